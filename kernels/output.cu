// Innovations of the outputs given observations. What is not finite teaches nothing.

#include "blocks.cuh"

KERNEL gaussian_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                       const real *__restrict__ mu, const real *__restrict__ var,
                       const real *__restrict__ y, const real *__restrict__ var_v, int n,
                       int period) {
    GRID_STRIDE(i, n) {
        real total = var_v[i % period] + (var ? var[i] : REAL(0.0));
        real error = y[i] - mu[i];
        bool known = is_finite(error) && total > REAL(0.0) && is_finite(total);
        real gain = known ? REAL(1.0) / total : REAL(0.0);
        d_mu[i] = known ? gain * error : REAL(0.0);
        d_var[i] = -gain;
    }
}

KERNEL heteroscedastic_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                              const real *__restrict__ mu, const real *__restrict__ var,
                              const real *__restrict__ y, int n) {
    GRID_STRIDE(i, n) {
        int even = 2 * i, odd = even + 1;
        real v = var[even], w_mu = mu[odd], w_var = var[odd];
        real total = v + w_mu;
        real error = y[i] - mu[even];
        bool known = is_finite(error) && total > REAL(0.0) && is_finite(total);
        real gain = known ? REAL(1.0) / total : REAL(0.0);
        error = known ? error : REAL(0.0);
        d_mu[even] = gain * error;
        d_var[even] = -gain;
        real mean_v = w_mu * gain * error;
        real variance_v = w_mu * v * gain;
        real square = mean_v * mean_v + variance_v;
        real square_var = REAL(2.0) * variance_v * variance_v + REAL(4.0) * variance_v * mean_v * mean_v;
        real prior_var = REAL(3.0) * w_var + REAL(2.0) * w_mu * w_mu;
        bool usable = known && prior_var > REAL(0.0) && is_finite(prior_var);
        real k = usable ? REAL(1.0) / prior_var : REAL(0.0);
        d_mu[odd] = usable ? k * (square - w_mu) : REAL(0.0);
        // k * k alone would overflow where the error variance is tiny.
        d_var[odd] = usable ? k * (k * square_var - REAL(1.0)) : REAL(0.0);
    }
}

// The indices of a row, from 1, are distinct; 0 stands for none.
KERNEL indexed_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                      const real *__restrict__ mu, const real *__restrict__ var,
                      const real *__restrict__ y, const real *__restrict__ var_v,
                      const int *__restrict__ index, int B, int K, int n_obs) {
    EACH_ROW(b, B) {
        EACH_COLUMN(k, K) {
            d_mu[b * K + k] = REAL(0.0);
            d_var[b * K + k] = REAL(0.0);
        }
        BARRIER
        EACH_COLUMN(o, n_obs) {
            int p = b * n_obs + o;
            if (index[p] < 1) continue;
            int i = b * K + index[p] - 1;
            real total = var_v[p] + (var ? var[i] : REAL(0.0));
            real error = y[p] - mu[i];
            if (!(is_finite(error) && total > REAL(0.0) && is_finite(total))) continue;
            d_mu[i] = error / total;
            d_var[i] = REAL(-1.0) / total;
        }
    }
}

// Sets the flag where a variance is negative, which leaves it as it is elsewhere.
KERNEL find_negative(int *__restrict__ flag, const real *__restrict__ var, int n) {
    GRID_STRIDE(i, n) {
        if (var[i] < REAL(0.0)) flag[0] = 1;
    }
}
