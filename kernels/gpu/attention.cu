// The products of attention: a thread for each result.
//
// Projections (B, T, (H + 2 G) d): queries, keys, values; weights and scores (B, H, T, T); outputs
// (B, T, H d). With `causal` tokens look at themselves and earlier ones.

#include "../attention.cuh"

#define EACH(i, n) for (long long i = THREAD, count = (n); i < count; i += THREADS)

// Where a head's projections begin in those of a token.
#define KEYS(g) ((long long)(H + (g)) * d)
#define VALUES(g) ((long long)(H + G + (g)) * d)

KERNEL attention_scores(real *__restrict__ mu_s, real *__restrict__ var_s,
                        const real *__restrict__ mu_p, const real *__restrict__ var_p, real scale,
                        int B, int T, int H, int G, int d, int causal) {
    long long width = (long long)(H + 2 * G) * d;
    EACH(i, (long long)B * H * T * T) {
        int u = i % T, t = i / T % T, h = i / T / T % H;
        long long b = i / T / T / H;
        long long q = (b * T + t) * width + (long long)h * d;
        long long k = (b * T + u) * width + KEYS(h / (H / G));
        real mean = 0, variance = 0;
        if (!causal || u <= t) {
            for (int m = 0; m < d; ++m)
                score_term(mu_p[q + m], var_p[q + m], mu_p[k + m], var_p[k + m], mean, variance);
        }
        mu_s[i] = scale * mean;
        var_s[i] = scale * scale * variance;
    }
}

KERNEL attention_values(real *__restrict__ mu_y, real *__restrict__ var_y,
                        const real *__restrict__ mu_a, const real *__restrict__ strength,
                        const real *__restrict__ second, const real *__restrict__ mu_p,
                        const real *__restrict__ var_p, int B, int T, int H, int G, int d,
                        int causal) {
    long long width = (long long)(H + 2 * G) * d;
    EACH(i, (long long)B * T * H * d) {
        int m = i % d, h = i / d % H, t = i / d / H % T;
        long long b = i / d / H / T;
        long long row = ((b * H + h) * T + t) * T, v = b * T * width + VALUES(h / (H / G)) + m;
        int end = causal ? t + 1 : T;
        real mean = 0, variance = 0;
        for (int u = 0; u < end; ++u)
            value_term(mu_a[row + u], second[row + u], mu_p[v + u * width], var_p[v + u * width],
                       mean, variance);
        for (int u = 0; u < end; ++u)
            spread_term(strength[row + u], mu_p[v + u * width], mean, variance);
        mu_y[i] = mean;
        var_y[i] = variance;
    }
}

KERNEL attention_values_backward(real *__restrict__ d_mu_p, real *__restrict__ d_var_p,
                                 const real *__restrict__ d_mu_y, const real *__restrict__ d_var_y,
                                 const real *__restrict__ mu_a, int B, int T, int H, int G, int d,
                                 int causal) {
    long long width = (long long)(H + 2 * G) * d;
    EACH(i, (long long)B * T * G * d) {
        int m = i % d, g = i / d % G, u = i / d / G % T;
        long long b = i / d / G / T;
        real mean = 0, variance = 0;
        for (int h = g * (H / G); h < (g + 1) * (H / G); ++h) {
            for (int t = causal ? u : 0; t < T; ++t) {
                long long y = ((b * T + t) * H + h) * d + m;
                send_term(mu_a[((b * H + h) * T + t) * T + u], d_mu_y[y], d_var_y[y], mean, variance);
            }
        }
        d_mu_p[(b * T + u) * width + VALUES(g) + m] = mean;
        d_var_p[(b * T + u) * width + VALUES(g) + m] = variance;
    }
}

KERNEL attention_weights_backward(real *__restrict__ d_mu_s, real *__restrict__ d_var_s,
                                  const real *__restrict__ d_mu_y, const real *__restrict__ d_var_y,
                                  const real *__restrict__ mu_y, const real *__restrict__ slope,
                                  const real *__restrict__ mu_p, int B, int T, int H, int G, int d,
                                  int causal) {
    long long width = (long long)(H + 2 * G) * d;
    EACH(i, (long long)B * H * T * T) {
        int u = i % T, t = i / T % T, h = i / T / T % H;
        long long b = i / T / T / H;
        long long y = ((b * T + t) * H + h) * d, v = (b * T + u) * width + VALUES(h / (H / G));
        real mean = 0, variance = 0;
        if (!causal || u <= t) {
            for (int m = 0; m < d; ++m)
                gap_term(d_mu_y[y + m], d_var_y[y + m], mu_y[y + m], mu_p[v + m], mean, variance);
        }
        d_mu_s[i] = slope[i] * mean;
        d_var_s[i] = slope[i] * slope[i] * variance;
    }
}

KERNEL attention_scores_backward(real *__restrict__ d_mu_p, real *__restrict__ d_var_p,
                                 const real *__restrict__ d_mu_s, const real *__restrict__ d_var_s,
                                 const real *__restrict__ mu_p, real scale, int B, int T, int H,
                                 int G, int d, int causal) {
    long long width = (long long)(H + 2 * G) * d;
    EACH(i, (long long)B * T * (H + G) * d) {
        int m = i % d, h = i / d % (H + G), t = i / d / (H + G) % T;
        long long b = i / d / (H + G) / T;
        real mean = 0, variance = 0;
        if (h < H) {
            long long row = ((b * H + h) * T + t) * T, k = b * T * width + KEYS(h / (H / G)) + m;
            int end = causal ? t + 1 : T;
            for (int u = 0; u < end; ++u)
                take_term(d_mu_s[row + u], d_var_s[row + u], mu_p[k + u * width], mean, variance);
        } else {
            // A key, looked at by the tokens `from`.
            int g = h - H;
            for (int head = g * (H / G); head < (g + 1) * (H / G); ++head) {
                for (int from = causal ? t : 0; from < T; ++from) {
                    long long s = ((b * H + head) * T + from) * T + t;
                    long long q = (b * T + from) * width + (long long)head * d + m;
                    take_term(d_mu_s[s], d_var_s[s], mu_p[q], mean, variance);
                }
            }
        }
        d_mu_p[(b * T + t) * width + (long long)h * d + m] = scale * mean;
        d_var_p[(b * T + t) * width + (long long)h * d + m] = scale * scale * variance;
    }
}
