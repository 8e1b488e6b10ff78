// Moments of elementwise activations, and the backward that they share.
// var_z and var_a are null together for a certain input. jac = cov(a, z) / var_z.

KERNEL jacobian_backward(real *__restrict__ d_mu_z, real *__restrict__ d_var_z,
                         const real *__restrict__ d_mu_a, const real *__restrict__ d_var_a,
                         const real *__restrict__ jac, int n, int accumulate) {
    if (accumulate) {
        SIMD GRID_STRIDE(i, n) {
            real j = jac[i];
            d_mu_z[i] += j * d_mu_a[i];
            d_var_z[i] += j * j * d_var_a[i];
        }
    } else {
        SIMD GRID_STRIDE(i, n) {
            real j = jac[i];
            d_mu_z[i] = j * d_mu_a[i];
            d_var_z[i] = j * j * d_var_a[i];
        }
    }
}

// The loop of an activation that is linearised at the mean: `body` sets a and j from m.
#define LINEARISED(body)                              \
    if (var_z) {                                      \
        SIMD GRID_STRIDE(i, n) {                      \
            real m = mu_z[i], a, j;                   \
            body mu_a[i] = a;                         \
            jac[i] = j;                               \
            var_a[i] = j * j * var_z[i];              \
        }                                             \
    } else {                                          \
        SIMD GRID_STRIDE(i, n) {                      \
            real m = mu_z[i], a, j;                   \
            body mu_a[i] = a;                         \
            jac[i] = j;                               \
        }                                             \
    }

KERNEL relu_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                    const real *__restrict__ mu_z, const real *__restrict__ var_z, int n) {
    LINEARISED(j = m > REAL(0.0) ? REAL(1.0) : REAL(0.0); a = m * j;)
}

KERNEL leaky_relu_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                          real *__restrict__ jac, const real *__restrict__ mu_z,
                          const real *__restrict__ var_z, real negative_slope, int n) {
    LINEARISED(j = m > REAL(0.0) ? REAL(1.0) : negative_slope; a = m * j;)
}

KERNEL sigmoid_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                       const real *__restrict__ mu_z, const real *__restrict__ var_z, int n) {
    LINEARISED(a = REAL(1.0) / (REAL(1.0) + real_exp(-m)); j = a * (REAL(1.0) - a);)
}

KERNEL tanh_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                    const real *__restrict__ mu_z, const real *__restrict__ var_z, int n) {
    LINEARISED(a = real_tanh(m); j = REAL(1.0) - a * a;)
}

KERNEL softplus_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                        const real *__restrict__ mu_z, const real *__restrict__ var_z, int n) {
    LINEARISED(a = softplus(m); j = REAL(1.0) / (REAL(1.0) + real_exp(-m));)
}

KERNEL mixture_relu_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                            real *__restrict__ jac, const real *__restrict__ mu_z,
                            const real *__restrict__ var_z, int n) {
    if (!var_z) {
        SIMD GRID_STRIDE(i, n) {
            real j = mu_z[i] > REAL(0.0) ? REAL(1.0) : REAL(0.0);
            mu_a[i] = mu_z[i] * j;
            jac[i] = j;
        }
        return;
    }
    SIMD GRID_STRIDE(i, n) {
        real mean, part, positive;
        rectified(mu_z[i], var_z[i], &mean, &part, &positive);
        mu_a[i] = mean;
        var_a[i] = var_z[i] * part;
        jac[i] = positive;
    }
}

// What an exponential takes of a variance, and of mean and variance together: beyond it the square
// of its slope overflows, and an innovation of zero times that slope is no number.
#define WIDEST REAL(20.0)
#define HIGHEST REAL(40.0)

KERNEL even_exp_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                        const real *__restrict__ mu_z, const real *__restrict__ var_z, int n) {
    GRID_STRIDE(pair, n / 2) {
        int even = 2 * pair, odd = even + 1;
        real v = var_z ? var_z[odd] : REAL(0.0);
        v = v > WIDEST ? WIDEST : v;
        real m = mu_z[odd], top = HIGHEST - v;
        real a = real_exp((m > top ? top : m) + REAL(0.5) * v);
        mu_a[even] = mu_z[even];
        jac[even] = REAL(1.0);
        mu_a[odd] = a;
        jac[odd] = a;
        if (var_z) {
            var_a[even] = var_z[even];
            var_a[odd] = a * a * real_expm1(v);
        }
    }
}
