// Normalisation by statistics that are treated as constants. Activations are (B, C, P): C features or
// channels, each with P positions. Statistics are per channel (batch norm) or per row (layer norm).

#include "blocks.cuh"
#include "norms.cuh"

// Channels that the host works through side by side.
#define STRIP 128

// body(i, b, c) for every element; on the host the inner loop runs along memory.
#ifdef TAGI_HOST
#define ELEMENTS(body)                                                              \
    if (P == 1) {                                                                   \
        for (int b = 0; b < B; ++b) {                                               \
            SIMD for (int c = 0; c < C; ++c) {                                      \
                long long i = (long long)b * C + c;                                 \
                body                                                                \
            }                                                                       \
        }                                                                           \
    } else {                                                                        \
        for (int b = 0; b < B; ++b) {                                               \
            for (int c = 0; c < C; ++c) {                                           \
                SIMD for (int p = 0; p < P; ++p) {                                  \
                    long long i = ((long long)b * C + c) * P + p;                   \
                    body                                                            \
                }                                                                   \
            }                                                                       \
        }                                                                           \
    }
#else
#define ELEMENTS(body)                                                              \
    for (long long i = THREAD; i < (long long)B * C * P; i += THREADS) {            \
        int c = (int)(i / P % C), b = (int)(i / ((long long)C * P));                \
        body                                                                        \
    }
#endif

#ifdef TAGI_HOST

// moments (1 + 2 C): number of elements per channel, then of each channel the mean of mu, and
// sum (mu - mean)^2 + var. Shards of a batch are merged by batch_norm_statistics.
KERNEL channel_moments(double *__restrict__ moments, const real *__restrict__ mu,
                       const real *__restrict__ var, int B, int C, int P) {
    double count = (double)B * P, share = count > 0 ? 1 / count : 0;
    double *mean = moments + 1, *squares = moments + 1 + C;
    GRID_STRIDE(strip, (C + STRIP - 1) / STRIP) {
        int first = strip * STRIP, width = C - first < STRIP ? C - first : STRIP;
        double sum[STRIP], square[STRIP];
        if (strip == 0) moments[0] = count;
        for (int k = 0; k < width; ++k) sum[k] = square[k] = 0;
        for (int b = 0; b < B; ++b) {
            const real *m = mu + ((long long)b * C + first) * P;
            if (P == 1) {
                SIMD for (int k = 0; k < width; ++k) sum[k] += m[k];
            } else {
                for (int k = 0; k < width; ++k) {
                    real total = 0;
                    SIMD_SUM(total) for (int p = 0; p < P; ++p) total += m[k * P + p];
                    sum[k] += total;
                }
            }
        }
        for (int k = 0; k < width; ++k) mean[first + k] = sum[k] *= share;
        for (int b = 0; b < B; ++b) {
            long long start = ((long long)b * C + first) * P;
            const real *m = mu + start, *v = var ? var + start : 0;
            if (P == 1) {
                SIMD for (int k = 0; k < width; ++k) {
                    ADD_SQUARES(square[k], sum[k], m[k], v ? v[k] : REAL(0.0))
                }
            } else {
                for (int k = 0; k < width; ++k) {
                    real total = 0, middle = (real)sum[k];
                    if (v) {
                        SIMD_SUM(total) for (int p = 0; p < P; ++p)
                            ADD_SQUARES(total, middle, m[k * P + p], v[k * P + p])
                    } else {
                        SIMD_SUM(total) for (int p = 0; p < P; ++p)
                            ADD_SQUARES(total, middle, m[k * P + p], REAL(0.0))
                    }
                    square[k] += total;
                }
            }
        }
        for (int k = 0; k < width; ++k) squares[first + k] = square[k];
    }
}

#endif

// Merges the moments (shards, 1 + 2 C) of all shards (Chan et al. 1979), and moves the running values.
KERNEL batch_norm_statistics(real *__restrict__ mean, real *__restrict__ var,
                             real *__restrict__ scale, real *__restrict__ running_mean,
                             real *__restrict__ running_var, const real *__restrict__ seen,
                             const double *__restrict__ moments, int shards, int C, int unbiased,
                             real eps, real momentum) {
    GRID_STRIDE(c, C) {
        double count = 0, middle = 0, squares = 0;
        int row = 1 + 2 * C;
        for (int r = 0; r < shards; ++r) {
            count += moments[r * row];
            middle += moments[r * row] * moments[r * row + 1 + c];
        }
        middle = count > 0 ? middle / count : 0;
        for (int r = 0; r < shards; ++r) {
            double d = moments[r * row + 1 + c] - middle;
            squares += moments[r * row + 1 + C + c] + moments[r * row] * d * d;
        }
        double divisor = count - unbiased;
        double spread = squares / (divisor > 1 ? divisor : 1);
        mean[c] = (real)middle;
        var[c] = (real)spread;
        scale[c] = REAL(1.0) / SQRT(var[c] + eps);
        if (count > 0) {
            real keep = seen[0] > REAL(0.0) ? momentum : REAL(0.0);
            running_mean[c] = keep * running_mean[c] + (REAL(1.0) - keep) * mean[c];
            running_var[c] = keep * running_var[c] + (REAL(1.0) - keep) * var[c];
        }
    }
}

KERNEL norm_scale(real *__restrict__ scale, const real *__restrict__ var, real eps, int n) {
    SIMD GRID_STRIDE(i, n) scale[i] = REAL(1.0) / SQRT(var[i] + eps);
}

// Mean, variance and 1 / sqrt(variance + eps) of each row of n elements; a centred one has mean 0.
KERNEL row_statistics(real *__restrict__ mean, real *__restrict__ var, real *__restrict__ scale,
                      const real *__restrict__ mu_a, const real *__restrict__ var_a, int rows,
                      int n, int centred, int unbiased, real eps) {
    real divisor = (real)(n - unbiased > 1 ? n - unbiased : 1);
    EACH_ROW(r, rows) {
        const real *m = mu_a + (long long)r * n, *v = var_a ? var_a + (long long)r * n : 0;
        real middle = 0;
        if (!centred) {
            real total = 0;
            SIMD_SUM(total) EACH_COLUMN(i, n) total += m[i];
            middle = TOTAL(total) / (real)n;
        }
        real total = 0;
        if (v) {
            SIMD_SUM(total) EACH_COLUMN(i, n) {
                real d = m[i] - middle;
                total += d * d + v[i];
            }
        } else {
            SIMD_SUM(total) EACH_COLUMN(i, n) {
                real d = m[i] - middle;
                total += d * d;
            }
        }
        total = TOTAL(total) / divisor;
        if (!LEADER) continue;
        mean[r] = middle;
        var[r] = total;
        scale[r] = REAL(1.0) / SQRT(total + eps);
    }
}

#define FORWARD(k)                                                                      \
    if (var_a) {                                                                        \
        ELEMENTS(real s = scale[k]; real w = mu_w[c]; real t = s * (mu_a[i] - mean[k]); \
                 real v = s * s * var_a[i];                                             \
                 mu_z[i] = w * t + (mu_b ? mu_b[c] : REAL(0.0));                        \
                 var_z[i] = w * w * v + var_w[c] * (t * t + v) +                        \
                            (mu_b ? var_b[c] : REAL(0.0));)                             \
    } else {                                                                            \
        ELEMENTS(real t = scale[k] * (mu_a[i] - mean[k]);                               \
                 mu_z[i] = mu_w[c] * t + (mu_b ? mu_b[c] : REAL(0.0));                  \
                 var_z[i] = var_w[c] * t * t + (mu_b ? var_b[c] : REAL(0.0));)          \
    }

KERNEL norm_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                    const real *__restrict__ mu_a, const real *__restrict__ var_a,
                    const real *__restrict__ mean, const real *__restrict__ scale,
                    const real *__restrict__ mu_w, const real *__restrict__ var_w,
                    const real *__restrict__ mu_b, const real *__restrict__ var_b, int B, int C,
                    int P, int per_row) {
    if (per_row) {
        FORWARD(b)
    } else {
        FORWARD(c)
    }
}

#define BACKWARD(k)                                                                     \
    if (accumulate) {                                                                   \
        ELEMENTS(real j = scale[k] * mu_w[c]; d_mu_a[i] += j * d_mu_z[i];               \
                 d_var_a[i] += j * j * d_var_z[i];)                                     \
    } else {                                                                            \
        ELEMENTS(real j = scale[k] * mu_w[c]; d_mu_a[i] = j * d_mu_z[i];                \
                 d_var_a[i] = j * j * d_var_z[i];)                                      \
    }

KERNEL norm_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                     const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z,
                     const real *__restrict__ scale, const real *__restrict__ mu_w, int B, int C,
                     int P, int per_row, int accumulate) {
    if (per_row) {
        BACKWARD(b)
    } else {
        BACKWARD(c)
    }
}

#ifdef TAGI_HOST

// Sums over batch and positions for one strip of channels; a, b: gain and bias, of mean and variance.
KERNEL norm_innovation(real *__restrict__ G_w, real *__restrict__ L_w, real *__restrict__ G_b,
                       real *__restrict__ L_b, const real *__restrict__ mu_a,
                       const real *__restrict__ mean, const real *__restrict__ scale,
                       const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int B,
                       int C, int P, int per_row, int accumulate) {
    GRID_STRIDE(strip, (C + STRIP - 1) / STRIP) {
        int first = strip * STRIP, width = C - first < STRIP ? C - first : STRIP;
        real sums[4][STRIP];
        for (int k = 0; k < width; ++k) sums[0][k] = sums[1][k] = sums[2][k] = sums[3][k] = 0;
        for (int b = 0; b < B; ++b) {
            long long start = ((long long)b * C + first) * P;
            const real *m = mu_a + start, *d = d_mu_z + start, *e = d_var_z + start;
            // Statistics of a row are the same for all channels: no step from one to the next.
            const real *middle = mean + (per_row ? b : first), *s = scale + (per_row ? b : first);
            int step = per_row ? 0 : 1;
            if (P == 1) {
                SIMD for (int k = 0; k < width; ++k) {
                    real t = s[k * step] * (m[k] - middle[k * step]);
                    ADD_INNOVATIONS(sums[0][k], sums[1][k], sums[2][k], sums[3][k], t, d[k], e[k])
                }
                continue;
            }
            for (int k = 0; k < width; ++k, m += P, d += P, e += P) {
                real centre = middle[k * step], factor = s[k * step];
                real gain = 0, gain_var = 0, bias = 0, bias_var = 0;
                SIMD_SUM(gain, gain_var, bias, bias_var) for (int p = 0; p < P; ++p) {
                    real t = factor * (m[p] - centre);
                    ADD_INNOVATIONS(gain, gain_var, bias, bias_var, t, d[p], e[p])
                }
                sums[0][k] += gain;
                sums[1][k] += gain_var;
                sums[2][k] += bias;
                sums[3][k] += bias_var;
            }
        }
        for (int k = 0; k < width; ++k) {
            int c = first + k;
            G_w[c] = (accumulate ? G_w[c] : REAL(0.0)) + sums[0][k];
            L_w[c] = (accumulate ? L_w[c] : REAL(0.0)) + sums[1][k];
            if (!G_b) continue;
            G_b[c] = (accumulate ? G_b[c] : REAL(0.0)) + sums[2][k];
            L_b[c] = (accumulate ? L_b[c] : REAL(0.0)) + sums[3][k];
        }
    }
}

#endif
