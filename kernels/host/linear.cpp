// Fully connected layer on the host.

#include "product.hpp"

// z for one or two long rows, or a few outputs: dot products along the inputs, nothing to pack.
static void forward_dots(real *__restrict__ mu_z, real *__restrict__ var_z,
                         const real *__restrict__ mu_a, const real *__restrict__ var_a,
                         const real *__restrict__ mu_w, const real *__restrict__ var_w, int B,
                         int I, int O) {
    for (int b = 0; b < B; ++b) {
        const real *m = mu_a + (long)b * I, *v = var_a ? var_a + (long)b * I : nullptr;
        for (int o = 0; o < O; ++o) {
            const real *w = mu_w + (long)o * I, *s = var_w + (long)o * I;
            real mean = 0, variance = 0;
            if (v) {
                _Pragma("omp simd reduction(+ : mean, variance)") for (int i = 0; i < I; ++i) {
                    mean += m[i] * w[i];
                    variance += v[i] * w[i] * w[i] + (m[i] * m[i] + v[i]) * s[i];
                }
            } else {
                _Pragma("omp simd reduction(+ : mean, variance)") for (int i = 0; i < I; ++i) {
                    mean += m[i] * w[i];
                    variance += m[i] * m[i] * s[i];
                }
            }
            mu_z[(long)b * O + o] = mean;
            var_z[(long)b * O + o] = variance;
        }
    }
}

KERNEL linear_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a,
                      const real *mu_w, const real *var_w, const real *mu_b, const real *var_b,
                      real *scratch, int B, int I, int O) {
    if ((B <= 2 && I >= 4 * LANES) || O < LANES / 2) {
        forward_dots(mu_z, var_z, mu_a, var_a, mu_w, var_w, B, I, O);
    } else {
        real *__restrict__ second = scratch;
        const long n = (long)B * I;
        if (var_a) {
            SIMD for (long i = 0; i < n; ++i) second[i] = mu_a[i] * mu_a[i] + var_a[i];
        } else {
            SIMD for (long i = 0; i < n; ++i) second[i] = mu_a[i] * mu_a[i];
        }
        auto pack = [=](Panels &panels, int first, int count, int k, int depth) {
            long at = (long)first * I + k;
            pack_transposed(panels.p[0], mu_w + at, I, count, depth);
            pack_transposed(panels.p[1], var_w + at, I, count, depth);
            if (var_a) {
                SIMD for (int i = 0; i < depth * WIDTH; ++i) panels.p[2][i] =
                    panels.p[0][i] * panels.p[0][i];
            }
        };
        if (var_a)
            products<true>(B, O, I, mu_a, second, var_a, I, 1, pack, mu_z, var_z, false);
        else
            products<false>(B, O, I, mu_a, second, nullptr, I, 1, pack, mu_z, var_z, false);
    }
    if (!mu_b) return;
    for (int b = 0; b < B; ++b) {
        real *__restrict__ m = mu_z + (long)b * O, *__restrict__ v = var_z + (long)b * O;
        SIMD for (int o = 0; o < O; ++o) {
            m[o] += mu_b[o];
            v[o] += var_b[o];
        }
    }
}

KERNEL linear_backward(real *d_mu_a, real *d_var_a, const real *d_mu_z, const real *d_var_z,
                       const real *mu_w, real *scratch, int B, int I, int O, int accumulate) {
    auto pack = [=](Panels &panels, int first, int count, int k, int depth) {
        pack_rows(panels.p[0], panels.p[1], mu_w + (long)k * I + first, I, count, depth);
    };
    products<false>(B, I, O, d_mu_z, d_var_z, nullptr, O, 1, pack, d_mu_a, d_var_a, accumulate);
}

KERNEL linear_innovation(real *G_w, real *L_w, real *__restrict__ G_b, real *__restrict__ L_b,
                         const real *mu_a, const real *__restrict__ d_mu_z,
                         const real *__restrict__ d_var_z, real *scratch, int B, int I, int O,
                         int accumulate) {
    auto pack = [=](Panels &panels, int first, int count, int k, int depth) {
        pack_rows(panels.p[0], panels.p[1], mu_a + (long)k * I + first, I, count, depth);
    };
    products<false>(O, I, B, d_mu_z, d_var_z, nullptr, 1, O, pack, G_w, L_w, accumulate);
    if (!G_b) return;
    if (!accumulate) {
        SIMD for (int o = 0; o < O; ++o) G_b[o] = L_b[o] = 0;
    }
    for (int b = 0; b < B; ++b) {
        SIMD for (int o = 0; o < O; ++o) {
            G_b[o] += d_mu_z[(long)b * O + o];
            L_b[o] += d_var_z[(long)b * O + o];
        }
    }
}
