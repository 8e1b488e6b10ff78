// Update rules: one pass over all parameters, mu, var, and the accumulated innovations G and L.
// Tensor t ends at ends[t]; floored[t] counts variances that would not have stayed positive. What is
// certain, variance 0, stays so.

#include "rules.cuh"

#define STEP(prepare, rule)                                                    \
    int start = 0;                                                             \
    prepare for (int t = 0; t < tensors; ++t) {                                \
        int end = ends[t], total = 0;                                          \
        SIMD_SUM(total) for (int i = start + THREAD; i < end; i += THREADS) {  \
            real m = mu[i], v = var[i], g = G[i], l = L[i];                    \
            total += take_posterior(mu + i, var + i, m, v, rule);              \
        }                                                                      \
        if (total) COUNT(floored[t], total);                                   \
        start = end;                                                           \
    }

#define ARGUMENTS                                                                                 \
    (real *__restrict__ mu, real *__restrict__ var, const real *__restrict__ G,                   \
     const real *__restrict__ L, int *__restrict__ floored, const int *__restrict__ ends,         \
     const real *__restrict__ rows, real cap, int tensors, int n)

KERNEL step_sum ARGUMENTS { STEP(, rule_sum(v, g, l)) }

KERNEL step_capped ARGUMENTS { STEP(real scale = REAL(1.0) / cap;, rule_capped(v, g, l, scale)) }

KERNEL step_information ARGUMENTS { STEP(, rule_information(v, g, l)) }

KERNEL step_information_capped ARGUMENTS {
    STEP(real scale = REAL(1.0) / cap;, rule_information_capped(v, g, l, scale))
}

KERNEL step_site ARGUMENTS { STEP(real B = rows[0];, rule_site(v, g, l, B)) }
