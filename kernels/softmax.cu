// Moments of class probabilities, row by row: K logits z to K probabilities a. var_z and var_a are
// null together for certain logits. jac = cov(a_k, z_k) / var_z_k; the covariance with other logits is
// not passed on, as all units are treated as independent.

#include "others.cuh"

// Logit variances enter the log-normal moments up to 20: beyond it these exceed exp(20), and say
// nothing about a probability any more, but may overflow.
#define LIMITED(v) ((v) > REAL(20.0) ? REAL(20.0) : (v))

KERNEL softmax_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                       const real *__restrict__ mu_z, const real *__restrict__ var_z, int rows,
                       int K) {
    EACH_ROW(r, rows) {
        long long first = (long long)r * K;
        const real *m = mu_z + first;
        real *a = mu_a + first, *j = jac + first, highest = m[0], top, rest;
        int largest;
        EACH_COLUMN(k, K) highest = m[k] > highest ? m[k] : highest;
        highest = HIGHEST(highest);
        SIMD EACH_COLUMN(k, K) a[k] = real_exp(m[k] - highest);
        without_largest(a, K, &largest, &top, &rest);
        real unit = REAL(1.0) / (top + rest);
        SIMD EACH_COLUMN(k, K) {
            real p = a[k] * unit;
            j[k] = p * (OTHERS(a, k, largest, top, rest) * unit);
            a[k] = p;
        }
        if (!var_z) continue;
        const real *v = var_z + first;
        real *s = var_a + first;
        SIMD EACH_COLUMN(k, K) s[k] = a[k] * a[k] * v[k];
        without_largest(s, K, &largest, &top, &rest);
        SIMD EACH_COLUMN(k, K) {
            real others = OTHERS(s, k, largest, top, rest);
            s[k] = j[k] * j[k] * v[k] + a[k] * a[k] * others;
        }
    }
}

KERNEL closed_form_softmax_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                                   real *__restrict__ jac, const real *__restrict__ mu_z,
                                   const real *__restrict__ var_z, int rows, int K) {
    EACH_ROW(r, rows) {
        long long first = (long long)r * K;
        const real *m = mu_z + first, *v = var_z ? var_z + first : 0;
        real *a = mu_a + first, *j = jac + first, *s = var_a ? var_a + first : 0;
        real highest = m[0] + (v ? REAL(0.5) * LIMITED(v[0]) : REAL(0.0)), top, rest;
        int largest;
        SIMD EACH_COLUMN(k, K) {
            a[k] = m[k] + (v ? REAL(0.5) * LIMITED(v[k]) : REAL(0.0));
        }
        EACH_COLUMN(k, K) highest = a[k] > highest ? a[k] : highest;
        highest = HIGHEST(highest);
        SIMD EACH_COLUMN(k, K) a[k] = real_exp(a[k] - highest);
        without_largest(a, K, &largest, &top, &rest);
        real unit = REAL(1.0) / (top + rest);
        SIMD EACH_COLUMN(k, K) {
            j[k] = OTHERS(a, k, largest, top, rest) * unit;
            a[k] *= unit;
        }
        if (!v) {
            SIMD EACH_COLUMN(k, K) j[k] *= a[k];
            continue;
        }
        SIMD EACH_COLUMN(k, K) s[k] = a[k] * a[k] * real_expm1(LIMITED(v[k]));
        without_largest(s, K, &largest, &top, &rest);
        SIMD EACH_COLUMN(k, K) {
            real p = a[k], left = j[k], variance = LIMITED(v[k]), c = real_expm1(variance);
            real others = OTHERS(s, k, largest, top, rest);
            real joint = REAL(1.0) + p * c;
            real mean = p * (REAL(1.0) + (top + rest)) / joint;
            real ratio = mean / joint;
            real cov = real_log1p(left * c / joint);
            real rate = cov / (variance > REAL(0.0) ? variance : REAL(1.0));
            real slope = mean * (variance > REAL(0.0) ? rate : left);
            real spread = c * left * left + others * (REAL(1.0) + c);
            real bound = ratio * SQRT(spread / (variance > REAL(0.0) ? v[k] : REAL(1.0)));
            bound = variance > REAL(0.0) ? bound : slope;
            a[k] = mean;
            s[k] = ratio * ratio * spread;
            j[k] = bound < slope ? bound : slope;
        }
    }
}

// A row of remax where all rectified logits vanish: nothing tells the classes apart.
DEVICE void undecided(real *a, real *s, real *j, int K) {
    EACH_COLUMN(k, K) {
        a[k] = REAL(1.0) / (real)K;
        j[k] = 0;
        if (s) s[k] = 0;
    }
}

KERNEL remax_forward(real *__restrict__ mu_a, real *__restrict__ var_a, real *__restrict__ jac,
                     const real *__restrict__ mu_z, const real *__restrict__ var_z, int rows,
                     int K) {
    EACH_ROW(r, rows) {
        long long first = (long long)r * K;
        const real *m = mu_z + first, *v = var_z ? var_z + first : 0;
        real *a = mu_a + first, *j = jac + first, *s = var_a ? var_a + first : 0;
        real mean, top, rest, top_y = 0, rest_y = 0, heaviest = 0, sum = 0;
        int largest, largest_y = 0;
        if (v) {
            SIMD EACH_COLUMN(k, K) rectified(m[k], v[k], a + k, s + k, j + k);
        } else {
            SIMD EACH_COLUMN(k, K) {
                j[k] = m[k] > REAL(0.0) ? REAL(1.0) : REAL(0.0);
                a[k] = m[k] * j[k];
            }
        }
        without_largest(a, K, &largest, &top, &rest);
        mean = top + rest;
        if (mean == REAL(0.0)) {
            undecided(a, s, j, K);
            continue;
        }
        real unit = REAL(1.0) / mean;
        top *= unit;
        rest *= unit;
        SIMD EACH_COLUMN(k, K) a[k] *= unit;
        if (!v) {
            SIMD EACH_COLUMN(k, K) j[k] *= OTHERS(a, k, largest, top, rest) * unit;
            continue;
        }
        // From here on a holds the mean x and s the variance y of a rectified logit, in units of the
        // sum of the means, and j = var(M) / (var(z) P(z > 0)).
        SIMD EACH_COLUMN(k, K) {
            j[k] = s[k] / (j[k] > REAL(0.0) ? j[k] : REAL(1.0));
            // From the small end, as a unit of 1e20 has no square in single precision.
            real y = s[k] * v[k] * unit * unit;
            s[k] = y > REAL(1e30) ? REAL(1e30) : y;
        }
        without_largest(s, K, &largest_y, &top_y, &rest_y);
        // Weights w = x / (x + y); only their ratios matter where all are tiny.
        EACH_COLUMN(k, K) {
            real w = a[k] > REAL(0.0) ? a[k] / (a[k] + s[k]) : a[k];
            heaviest = w > heaviest ? w : heaviest;
        }
        heaviest = HIGHEST(heaviest);
        if (heaviest == REAL(0.0) && mean == mean) {
            undecided(a, s, j, K);
            continue;
        }
        EACH_COLUMN(k, K) {
            real w = a[k] > REAL(0.0) ? a[k] / (a[k] + s[k]) : a[k];
            sum += a[k] * (w / heaviest);
        }
        sum = TOTAL(sum);
        SIMD EACH_COLUMN(k, K) {
            real x = a[k], y = s[k], safe = x > REAL(0.0) ? x + y : REAL(1.0);
            real w = x / safe, both = x * (y / safe), f = w / heaviest / sum;
            real left = OTHERS(a, k, largest, top, rest);
            real others = OTHERS(s, k, largest_y, top_y, rest_y);
            real relative = both * w * left * left + others * w * (x * x * w + both);
            real variance = relative * f * f, slope = j[k] * left * w * unit * f;
            real bound = SQRT(variance / (v[k] > REAL(0.0) ? v[k] : REAL(1.0)));
            bound = v[k] > REAL(0.0) ? bound : slope;
            a[k] = x * f;
            s[k] = variance;
            j[k] = bound < slope ? bound : slope;
        }
    }
}
