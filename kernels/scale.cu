// Learnt Gaussian scale and offset. A row has groups * inner elements; element i belongs to group i / inner.

#include "blocks.cuh"
#include "scale.cuh"

// Loops where i is an element and g its group, along the units or, where units share, along a group.
#define EACH_ELEMENT(...)                                    \
    if (inner == 1) {                                        \
        EACH_ROW(b, B) SIMD EACH_COLUMN(g, groups) {         \
            int i = b * groups + g;                          \
            __VA_ARGS__                                      \
        }                                                    \
    } else {                                                 \
        EACH_ROW(row, B *groups) {                           \
            int g = row % groups, first = row * inner;       \
            SIMD EACH_COLUMN(k, inner) {                     \
                int i = first + k;                           \
                __VA_ARGS__                                  \
            }                                                \
        }                                                    \
    }

KERNEL scale_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                     const real *__restrict__ mu_a, const real *__restrict__ var_a,
                     const real *__restrict__ mu_s, const real *__restrict__ var_s, int B,
                     int groups, int inner) {
    EACH_ELEMENT(real m = mu_s[g], v = var_s[g], a = mu_a[i];
                 real s = var_a ? var_a[i] : REAL(0.0);
                 mu_z[i] = m * a;
                 var_z[i] = (m * m + v) * s + v * a * a;)
}

KERNEL scale_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                      const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z,
                      const real *__restrict__ mu_s, int B, int groups, int inner, int accumulate) {
    EACH_ELEMENT(real m = mu_s[g];
                 d_mu_a[i] = m * d_mu_z[i] + (accumulate ? d_mu_a[i] : REAL(0.0));
                 d_var_a[i] = m * m * d_var_z[i] + (accumulate ? d_var_a[i] : REAL(0.0));)
}

KERNEL offset_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                      const real *__restrict__ mu_a, const real *__restrict__ var_a,
                      const real *__restrict__ mu_b, const real *__restrict__ var_b, int B,
                      int groups, int inner) {
    EACH_ELEMENT(mu_z[i] = mu_a[i] + mu_b[g];)
    if (!var_z) return;
    EACH_ELEMENT(var_z[i] = (var_a ? var_a[i] : REAL(0.0)) + (var_b ? var_b[g] : REAL(0.0));)
}

#ifdef TAGI_HOST

KERNEL scale_innovation(real *__restrict__ G, real *__restrict__ L, const real *__restrict__ mu_a,
                        const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int B,
                        int groups, int inner, int accumulate) {
    if (inner == 1) {
        SIMD GRID_STRIDE(g, groups) {
            real mean = accumulate ? G[g] : REAL(0.0), variance = accumulate ? L[g] : REAL(0.0);
            for (int i = g; i < B * groups; i += groups) ADD(i)
            G[g] = mean;
            L[g] = variance;
        }
        return;
    }
    GRID_STRIDE(g, groups) {
        real mean = accumulate ? G[g] : REAL(0.0), variance = accumulate ? L[g] : REAL(0.0);
        for (int b = 0; b < B; ++b) {
            int first = (b * groups + g) * inner;
            SIMD_SUM(mean, variance) for (int i = first; i < first + inner; ++i) ADD(i)
        }
        G[g] = mean;
        L[g] = variance;
    }
}

#endif
