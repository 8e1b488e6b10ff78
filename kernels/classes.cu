// Classes: scores, innovations, and trees of binary decisions. Labels y (B, K) are one-hot, with NaN in
// each element of a row whose label is missing.

#include "others.cuh"

// The least probability that is told from zero: that of the smallest float.
#define LEAST 1.17549435e-38

// Scores per class (K, 3): rows with that label, negative log-likelihood, rows taken for another class.
KERNEL class_score(double *__restrict__ scores, const real *__restrict__ mu,
                   const real *__restrict__ y, int B, int K) {
    EACH_ROW(k, K) {
        double sums[3] = {0, 0, 0};
        EACH_COLUMN(b, B) {
            const real *p = mu + (long long)b * K;
            if (!(y[(long long)b * K + k] > REAL(0.5))) continue;
            double total = 0;
            int best = 0;
            for (int l = 0; l < K; ++l) {
                total += p[l];
                best = p[l] > p[best] ? l : best;
            }
            double share = p[k] / total;
            sums[0] += 1;
            sums[1] -= log(share > LEAST ? share : LEAST);
            sums[2] += best != k;
        }
        for (int i = 0; i < 3; ++i) {
            double total = TOTAL(sums[i]);
            if (LEADER) scores[3 * k + i] += total;
        }
    }
}

// A row of probabilities in units of its sum: p, with the sum of the others l, which keeps its digits
// where 1 - p would not. error: variance of what p itself is off by.
KERNEL categorical_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                          const real *__restrict__ mu, const real *__restrict__ var,
                          const real *__restrict__ y, real error, int B, int K) {
    EACH_ROW(b, B) {
        long long first = (long long)b * K;
        const real *a = mu + first, *label = y + first;
        real top, rest;
        int largest;
        without_largest(a, K, &largest, &top, &rest);
        real unit = REAL(1.0) / (top + rest);
        EACH_COLUMN(k, K) {
            real p = a[k] * unit, left = OTHERS(a, k, largest, top, rest) * unit;
            real total = p * left, own = var ? var[first + k] * unit * unit : REAL(0.0);
            total = (own > total ? own : total) + error;
            bool known = label[k] == label[k] && total > REAL(0.0) && is_finite(total);
            real gain = known ? unit / total : REAL(0.0);
            real residual = label[k] > REAL(0.5) ? left : -p;
            d_mu[first + k] = known ? gain * residual : REAL(0.0);
            d_var[first + k] = known ? -gain * unit : REAL(0.0);
        }
    }
}

// The same for logits, past their softmax: jac = p (1 - p), of which nothing is left where a row is as
// good as decided, would have to bring back what was divided by it.
KERNEL softmax_update(real *__restrict__ d_mu, real *__restrict__ d_var,
                      const real *__restrict__ mu, const real *__restrict__ var,
                      const real *__restrict__ y, int B, int K) {
    EACH_ROW(b, B) {
        long long first = (long long)b * K;
        const real *a = mu + first, *label = y + first;
        real top, rest;
        int largest;
        without_largest(a, K, &largest, &top, &rest);
        real unit = REAL(1.0) / (top + rest);
        EACH_COLUMN(k, K) {
            real p = a[k] * unit, left = OTHERS(a, k, largest, top, rest) * unit, jac = p * left;
            real own = var ? var[first + k] * unit * unit : REAL(0.0);
            real error = label[k] > REAL(0.5) ? left : -p;
            bool known = is_finite(error) && label[k] == label[k] && is_finite(own) && is_finite(jac);
            real gain = !known ? REAL(0.0) : own > jac ? jac / own : REAL(1.0);
            d_mu[first + k] = known ? gain * error : REAL(0.0);
            d_var[first + k] = known ? -gain * jac : REAL(0.0);
        }
    }
}

KERNEL tree_targets(real *__restrict__ target, const real *__restrict__ y,
                    const real *__restrict__ codes, int B, int K, int U) {
    EACH_ROW(b, B) {
        const real *label = y + (long long)b * K;
        int found = -1;
        for (int k = 0; k < K; ++k) found = label[k] > REAL(0.5) ? k : found;
        EACH_COLUMN(u, U) {
            target[(long long)b * U + u] = found < 0 ? label[0] : codes[(long long)found * U + u];
        }
    }
}

KERNEL tree_probabilities(real *__restrict__ p, const real *__restrict__ mu,
                          const real *__restrict__ var, const real *__restrict__ codes, real spread,
                          int B, int K, int U) {
    GRID_STRIDE(i, B * K) {
        const real *code = codes + (long long)(i % K) * U;
        long long first = (long long)(i / K) * U;
        real product = 1;
        for (int u = 0; u < U; ++u) {
            if (!(code[u] == code[u])) continue;
            real t = code[u] * mu[first + u] / SQRT(spread + var[first + u]), q, g;
            normal_tail(t < REAL(0.0) ? -t : t, &q, &g);
            product *= t < REAL(0.0) ? q : REAL(1.0) - q;
        }
        p[i] = product;
    }
}

// Innovations (B, U) of rows whose labels count weight (K,) times: the error variance of what they
// observe is divided by it.
KERNEL weigh_labels(real *__restrict__ d_mu, real *__restrict__ d_var,
                    const real *__restrict__ var, const real *__restrict__ y,
                    const real *__restrict__ weight, int B, int K, int U) {
    EACH_ROW(b, B) {
        const real *label = y + (long long)b * K;
        long long first = (long long)b * U;
        int found = -1;
        for (int k = 0; k < K; ++k) found = label[k] > REAL(0.5) ? k : found;
        if (found < 0) continue;
        real w = weight[found];
        EACH_COLUMN(u, U) {
            real known = var ? -var[first + u] * d_var[first + u] : REAL(0.0);
            known = known > REAL(1.0) ? REAL(1.0) : known;
            real gain = w / (REAL(1.0) + (w - REAL(1.0)) * known);
            d_mu[first + u] *= gain;
            d_var[first + u] *= gain;
        }
    }
}
