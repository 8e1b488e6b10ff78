// Running scores per output (K, 3): count, negative log-likelihood, squared error.

DEVICE void add_score(double *__restrict__ scores, double error, double total) {
    if (!(error - error == 0.0)) return;
    scores[0] += 1;
    scores[1] += 0.5 * (1.8378770664093453 + log(total) + error * error / total);
    scores[2] += error * error;
}

KERNEL gaussian_score(double *__restrict__ scores, const real *__restrict__ mu,
                      const real *__restrict__ var, const real *__restrict__ y,
                      const real *__restrict__ var_v, int B, int K) {
    GRID_STRIDE(k, K) {
        for (int b = 0; b < B; ++b) {
            int i = b * K + k;
            add_score(scores + 3 * k, y[i] - mu[i], var[i] + var_v[k]);
        }
    }
}

KERNEL heteroscedastic_score(double *__restrict__ scores, const real *__restrict__ mu,
                             const real *__restrict__ var, const real *__restrict__ y, int B,
                             int K) {
    GRID_STRIDE(k, K) {
        for (int b = 0; b < B; ++b) {
            int i = 2 * (b * K + k);
            add_score(scores + 3 * k, y[b * K + k] - mu[i], var[i] + mu[i + 1]);
        }
    }
}
