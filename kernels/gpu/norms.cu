// Sums over a channel, one thread block each.

#include "../blocks.cuh"
#include "../norms.cuh"

// Element j of channel c of (B, C, P), counted through the batch.
DEVICE long long element(int j, int c, int C, int P) { return ((long long)(j / P) * C + c) * P + j % P; }

KERNEL channel_moments(double *__restrict__ moments, const real *__restrict__ mu,
                       const real *__restrict__ var, int B, int C, int P) {
    double count = (double)B * P, share = count > 0 ? 1 / count : 0;
    if (blockIdx.x == 0 && LEADER) moments[0] = count;
    EACH_ROW(c, C) {
        double sum = 0, squares = 0;
        EACH_COLUMN(j, B * P) sum += mu[element(j, c, C, P)];
        double middle = TOTAL(sum) * share;
        EACH_COLUMN(j, B * P) {
            long long i = element(j, c, C, P);
            ADD_SQUARES(squares, middle, mu[i], var ? var[i] : REAL(0.0))
        }
        squares = TOTAL(squares);
        if (!LEADER) continue;
        moments[1 + c] = middle;
        moments[1 + C + c] = squares;
    }
}

KERNEL norm_innovation(real *__restrict__ G_w, real *__restrict__ L_w, real *__restrict__ G_b,
                       real *__restrict__ L_b, const real *__restrict__ mu_a,
                       const real *__restrict__ mean, const real *__restrict__ scale,
                       const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int B,
                       int C, int P, int per_row, int accumulate) {
    EACH_ROW(c, C) {
        real gain = 0, gain_var = 0, bias = 0, bias_var = 0;
        EACH_COLUMN(j, B * P) {
            long long i = element(j, c, C, P);
            int k = per_row ? j / P : c;
            real t = scale[k] * (mu_a[i] - mean[k]);
            ADD_INNOVATIONS(gain, gain_var, bias, bias_var, t, d_mu_z[i], d_var_z[i])
        }
        gain = TOTAL(gain);
        gain_var = TOTAL(gain_var);
        bias = TOTAL(bias);
        bias_var = TOTAL(bias_var);
        if (!LEADER) continue;
        G_w[c] = (accumulate ? G_w[c] : REAL(0.0)) + gain;
        L_w[c] = (accumulate ? L_w[c] : REAL(0.0)) + gain_var;
        if (!G_b) continue;
        G_b[c] = (accumulate ? G_b[c] : REAL(0.0)) + bias;
        L_b[c] = (accumulate ? L_b[c] : REAL(0.0)) + bias_var;
    }
}
