// Attention, but for its products: rotary encoding of positions, and weights from scores, row by row.
//
// Scores (rows, T): row r is what token r mod T looks at; with `causal`, tokens up to itself, and zeros
// stand for later ones, before and after. Weights take the place of scores, see the reference: A of the
// means, strengths c of the variances; `slope` is r, `second` is E[A^2].

#include "blocks.cuh"

KERNEL rotate_pairs(real *__restrict__ first, real *__restrict__ second,
                    const real *__restrict__ cosine, const real *__restrict__ sine, int rows, int T,
                    int width, int n, int half, int inverse) {
    EACH_ROW(row, rows) {
        const real *c = cosine + (long long)(row % T) * half, *s = sine + (long long)(row % T) * half;
        for (int head = 0; head < n; head += 2 * half) {
            real *a = first + (long long)row * width + head, *v = second + (long long)row * width + head;
            SIMD EACH_COLUMN(i, half) {
                real same = c[i], other = inverse ? -s[i] : s[i];
                real a0 = a[2 * i], a1 = a[2 * i + 1], v0 = v[2 * i], v1 = v[2 * i + 1];
                a[2 * i] = same * a0 - other * a1;
                a[2 * i + 1] = other * a0 + same * a1;
                v[2 * i] = same * same * v0 + other * other * v1;
                v[2 * i + 1] = other * other * v0 + same * same * v1;
            }
        }
    }
}

// Rows are worked on in whole vectors, so a little beyond the n tokens looked at.
DEVICE int padded(int n, int T) {
    int whole = (n + 15) / 16 * 16;
    return whole < T ? whole : T;
}

// E[A_k^2] from the weights and strengths of N tokens, and zeros behind them.
DEVICE void finish_row(real *__restrict__ a, real *__restrict__ c, real *__restrict__ r,
                       real *__restrict__ e, int N, int T) {
    real all = 0;
    SIMD_SUM(all) EACH_COLUMN(k, N) all += c[k];
    all = TOTAL(all);
    SIMD EACH_COLUMN(k, N) {
        real left = REAL(1.0) - a[k];
        e[k] = a[k] * a[k] * (REAL(1.0) + all - c[k]) + c[k] * left * left;
    }
    SIMD EACH_COLUMN(k, T - N) a[N + k] = c[N + k] = r[N + k] = e[N + k] = 0;
}

KERNEL attention_softmax(real *__restrict__ mu, real *__restrict__ var, real *__restrict__ slope,
                         real *__restrict__ second, int rows, int T, int causal) {
    EACH_ROW(row, rows) {
        long long first = (long long)row * T;
        real *a = mu + first, *v = var + first, *r = slope + first, *e = second + first;
        int n = causal ? row % T + 1 : T, N = padded(n, T);
        real highest = a[0], sum = 0, total = 0;
        EACH_COLUMN(k, n) highest = a[k] > highest ? a[k] : highest;
        highest = HIGHEST(highest);
        SIMD EACH_COLUMN(k, N) {
            real seen = k < n ? REAL(1.0) : REAL(0.0);
            a[k] = seen * real_exp(seen * (a[k] - highest));
        }
        SIMD_SUM(sum) EACH_COLUMN(k, N) sum += a[k];
        sum = TOTAL(sum);
        real unit = REAL(1.0) / sum;
        SIMD EACH_COLUMN(k, N) {
            real x = a[k] * unit;
            a[k] = x / (REAL(1.0) + x * v[k]);
        }
        SIMD_SUM(total) EACH_COLUMN(k, N) total += a[k];
        total = TOTAL(total);
        unit = REAL(1.0) / total;
        SIMD EACH_COLUMN(k, N) {
            real weight = a[k] * unit, t = weight * v[k], damped = REAL(1.0) / (REAL(1.0) + t);
            a[k] = weight;
            v[k] = weight * (t * damped);
            r[k] = weight * damped;
        }
        finish_row(a, v, r, e, N, T);
    }
}

KERNEL attention_remax(real *__restrict__ mu, real *__restrict__ var, real *__restrict__ slope,
                       real *__restrict__ second, int rows, int T, int causal) {
    EACH_ROW(row, rows) {
        long long first = (long long)row * T;
        real *a = mu + first, *v = var + first, *r = slope + first, *e = second + first;
        int n = causal ? row % T + 1 : T, N = padded(n, T);
        real sum = 0, total = 0;
        // `second` holds the variance over that of the score, then what a weight keeps of its share.
        SIMD EACH_COLUMN(k, N) rectified(a[k], v[k], a + k, e + k, r + k);
        SIMD_SUM(sum) EACH_COLUMN(k, N) sum += a[k];
        sum = TOTAL(sum);
        real unit = sum == REAL(0.0) ? REAL(0.0) : REAL(1.0) / sum;
        SIMD EACH_COLUMN(k, N) {
            real x = a[k] * unit, y = v[k] * e[k] * unit * unit;
            a[k] = x;
            v[k] = y;
            e[k] = x / (x == REAL(0.0) ? REAL(1.0) : x + y);
        }
        SIMD_SUM(total) EACH_COLUMN(k, N) total += a[k] * e[k];
        total = TOTAL(total);
        if (total == REAL(0.0)) {
            // No score is above zero: nothing tells the tokens apart.
            SIMD EACH_COLUMN(k, N) {
                a[k] = k < n ? REAL(1.0) / (real)n : REAL(0.0);
                v[k] = r[k] = 0;
            }
        } else {
            real scale = REAL(1.0) / total;
            SIMD EACH_COLUMN(k, N) {
                real x = a[k], w = e[k] * scale;
                real t = w * v[k] / (x == REAL(0.0) ? REAL(1.0) : x);
                real small = t > REAL(1.0) ? REAL(0.0) : REAL(1.0), large = REAL(1.0) - small;
                real u = smaller(t, REAL(1.0) / larger(t, REAL(1.0)));
                real root = REAL(1.0) / SQRT(REAL(1.0) + u * u);
                a[k] = x * w;
                v[k] = x * w * (small * u * root + large * root);
                r[k] *= w * unit * (small * root + large * u * root);
            }
        }
        finish_row(a, v, r, e, N, T);
    }
}
