// Running scores per output (K, 3): count, negative log-likelihood, squared error.

#include "blocks.cuh"

DEVICE void add_score(double *sums, double error, double total) {
    if (!(error - error == 0.0)) return;
    sums[0] += 1;
    sums[1] += 0.5 * (1.8378770664093453 + log(total) + error * error / total);
    sums[2] += error * error;
}

// Adds what the threads of a row have found.
DEVICE void add_scores(double *__restrict__ scores, const double *sums) {
    for (int i = 0; i < 3; ++i) {
        double total = TOTAL(sums[i]);
        if (LEADER) scores[i] += total;
    }
}

KERNEL gaussian_score(double *__restrict__ scores, const real *__restrict__ mu,
                      const real *__restrict__ var, const real *__restrict__ y,
                      const real *__restrict__ var_v, int B, int K) {
    EACH_ROW(k, K) {
        double sums[3] = {0, 0, 0};
        EACH_COLUMN(b, B) {
            int i = b * K + k;
            add_score(sums, y[i] - mu[i], var[i] + var_v[k]);
        }
        add_scores(scores + 3 * k, sums);
    }
}

KERNEL heteroscedastic_score(double *__restrict__ scores, const real *__restrict__ mu,
                             const real *__restrict__ var, const real *__restrict__ y, int B,
                             int K) {
    EACH_ROW(k, K) {
        double sums[3] = {0, 0, 0};
        EACH_COLUMN(b, B) {
            int i = 2 * (b * K + k);
            add_score(sums, y[b * K + k] - mu[i], var[i] + mu[i + 1]);
        }
        add_scores(scores + 3 * k, sums);
    }
}
