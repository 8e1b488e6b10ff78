// Update rules: what a parameter makes of its accumulated innovations G and L.
// Tensor t ends at ends[t]; floored[t] counts variances that would not have stayed positive. What is
// certain, variance 0, stays so.

#define FLOOR REAL(1e-5)

// One pass over every tensor: `body` sets the mean's step dm and the new variance v1 from m, v, g, l.
#define STEP(prepare, body)                                     \
    int start = 0;                                              \
    prepare for (int t = 0; t < tensors; ++t) {                 \
        int end = ends[t], total = 0;                           \
        SIMD_SUM(total) for (int i = start + THREAD; i < end; i += THREADS) { \
            real v = var[i], g = G[i], l = L[i], dm, v1;        \
            body mu[i] += dm;                                   \
            int bad = (v1 <= REAL(0.0)) & (v > REAL(0.0));      \
            var[i] = bad ? FLOOR : v1;                          \
            total += bad;                                       \
        }                                                       \
        if (total) COUNT(floored[t], total);                    \
        start = end;                                            \
    }

#define ARGUMENTS                                                                                 \
    (real *__restrict__ mu, real *__restrict__ var, const real *__restrict__ G,                   \
     const real *__restrict__ L, int *__restrict__ floored, const int *__restrict__ ends,         \
     const real *__restrict__ rows, real cap, int tensors, int n)

KERNEL step_sum ARGUMENTS {
    STEP(, dm = v * g; v1 = v + v * v * l;)
}

KERNEL step_capped ARGUMENTS {
    STEP(real scale = REAL(1.0) / cap;, real bar = SQRT(v) * scale;
         real dv = v * v * l;
         dm = larger(smaller(v * g, bar), -bar);
         v1 = v + larger(smaller(dv, bar), -bar);)
}

KERNEL step_information ARGUMENTS {
    STEP(, v1 = v / (REAL(1.0) - v * l); dm = v1 * g;)
}

KERNEL step_information_capped ARGUMENTS {
    STEP(real scale = REAL(1.0) / cap;, real bar = SQRT(v) * scale;
         v1 = v / (REAL(1.0) - v * l);
         dm = larger(smaller(v1 * g, bar), -bar);)
}

KERNEL step_site ARGUMENTS {
    STEP(real B = rows[0];, real share = -v * l / B;
         share = larger(share, REAL(0.0));
         share = smaller(share, REAL(0.999999));
         real left = REAL(1.0) - share;
         v1 = v * left / (left + B * share);
         dm = v1 * g / left;)
}
