// Running averages over the rows of consecutive batches, taken as steps in time, and of posteriors.

// window (W, n): the last W rows before the batch, oldest first. Each output is the mean of W rows.
KERNEL moving_average_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                              const real *__restrict__ mu_a, const real *__restrict__ var_a,
                              real *__restrict__ window_mu, real *__restrict__ window_var, int B,
                              int W, int n) {
    real share = REAL(1.0) / (real)W;
    GRID_STRIDE(i, n) {
        for (int b = 0; b < B; ++b) {
            real mean = 0, variance = 0;
            for (int step = b - W + 1; step <= b; ++step) {
                if (step < 0) {
                    mean += window_mu[(W + step) * n + i];
                    variance += window_var[(W + step) * n + i];
                } else {
                    mean += mu_a[step * n + i];
                    variance += var_a ? var_a[step * n + i] : REAL(0.0);
                }
            }
            mu_z[b * n + i] = mean * share;
            var_z[b * n + i] = variance * share * share;
        }
        for (int k = 0; k < W; ++k) {
            int step = B - W + k;
            bool old = step < 0;
            window_mu[k * n + i] = old ? window_mu[(k + B) * n + i] : mu_a[step * n + i];
            window_var[k * n + i] =
                old ? window_var[(k + B) * n + i] : var_a ? var_a[step * n + i] : REAL(0.0);
        }
    }
}

KERNEL moving_average_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                               const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z,
                               int B, int W, int n, int accumulate) {
    real share = REAL(1.0) / (real)W;
    GRID_STRIDE(i, n) {
        for (int b = 0; b < B; ++b) {
            real mean = 0, variance = 0;
            for (int step = b; step < b + W && step < B; ++step) {
                mean += d_mu_z[step * n + i];
                variance += d_var_z[step * n + i];
            }
            real before_mu = accumulate ? d_mu_a[b * n + i] : REAL(0.0);
            real before_var = accumulate ? d_var_a[b * n + i] : REAL(0.0);
            d_mu_a[b * n + i] = before_mu + share * mean;
            d_var_a[b * n + i] = before_var + share * share * variance;
        }
    }
}

KERNEL exponential_average_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                                   const real *__restrict__ mu_a, const real *__restrict__ var_a,
                                   real *__restrict__ average_mu, real *__restrict__ average_var,
                                   real momentum, int B, int n) {
    real rest = REAL(1.0) - momentum;
    for (int b = 0; b < B; ++b) {
        SIMD GRID_STRIDE(i, n) {
            real v = var_a ? var_a[b * n + i] : REAL(0.0);
            real mean = momentum * average_mu[i] + rest * mu_a[b * n + i];
            real variance = momentum * momentum * average_var[i] + rest * rest * v;
            average_mu[i] = mu_z[b * n + i] = mean;
            average_var[i] = var_z[b * n + i] = variance;
        }
    }
}

KERNEL exponential_average_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                                    const real *__restrict__ d_mu_z,
                                    const real *__restrict__ d_var_z, real momentum, int B, int n,
                                    int accumulate) {
    real rest = REAL(1.0) - momentum;
    GRID_STRIDE(i, n) {
        real mean = 0, variance = 0;
        for (int b = B - 1; b >= 0; --b) {
            mean = d_mu_z[b * n + i] + momentum * mean;
            variance = d_var_z[b * n + i] + momentum * momentum * variance;
            real before_mu = accumulate ? d_mu_a[b * n + i] : REAL(0.0);
            real before_var = accumulate ? d_var_a[b * n + i] : REAL(0.0);
            d_mu_a[b * n + i] = before_mu + rest * mean;
            d_var_a[b * n + i] = before_var + rest * rest * variance;
        }
    }
}

// One more Gaussian in a mixture whose older members count for momentum in all.
KERNEL mixture_average(real *__restrict__ average_mu, real *__restrict__ average_var,
                       const real *__restrict__ mu, const real *__restrict__ var, real momentum,
                       int n) {
    real rest = REAL(1.0) - momentum;
    SIMD GRID_STRIDE(i, n) {
        real d = mu[i] - average_mu[i];
        average_var[i] = momentum * average_var[i] + rest * (var[i] + momentum * d * d);
        average_mu[i] += rest * d;
    }
}
