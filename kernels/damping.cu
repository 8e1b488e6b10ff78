// Innovations of the outputs where the rows of a batch may tell the same thing several times.

#include "blocks.cuh"

// share[k] of the other rows counts as telling the same as this one: 0 is `gaussian_update`.
KERNEL damped_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                     const real *__restrict__ mu, const real *__restrict__ var,
                     const real *__restrict__ y, const real *__restrict__ var_v,
                     const real *__restrict__ share, real others, int B, int K) {
    EACH_ROW(b, B) {
        SIMD EACH_COLUMN(k, K) {
            int i = b * K + k;
            real v = var ? var[i] : REAL(0.0);
            real total = var_v[k] + v * (REAL(1.0) + share[k] * others);
            real error = y[i] - mu[i];
            bool known = is_finite(error) && total > REAL(0.0) && is_finite(total);
            real gain = known ? REAL(1.0) / total : REAL(0.0);
            d_mu[i] = known ? gain * error : REAL(0.0);
            d_var[i] = -gain;
        }
    }
}

// From 0 where var / (var + var_v) is at most `low` on average over the observed rows, to 1 from `high` on.
KERNEL damping_share(real *__restrict__ share, const real *__restrict__ var,
                     const real *__restrict__ y, const real *__restrict__ var_v, real low,
                     real high, int B, int K) {
    EACH_ROW(k, K) {
        double count = 0, sum = 0, r = var_v[k];
        EACH_COLUMN(b, B) {
            int i = b * K + k;
            double v = var ? (double)var[i] : 0.0;
            if (!(is_finite(y[i]) && v + r > 0)) continue;
            count += 1;
            sum += v / (v + r);
        }
        count = TOTAL(count);
        sum = TOTAL(sum);
        if (!LEADER || !(count > 0)) continue;
        double x = (sum / count - (double)low) / ((double)high - (double)low);
        share[k] = (real)(x < 0 ? 0 : x > 1 ? 1 : x);
    }
}
