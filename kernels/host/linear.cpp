// Fully connected layer on the host: BLAS for large products, our own loops for tiny ones, where the
// call alone would cost more than the arithmetic.

#ifdef TAGI_DOUBLE
#define VECTOR 8
#else
#define VECTOR 16
#endif

typedef void (*gemm_t)(const char *, const char *, const int *, const int *, const int *,
                       const real *, const real *, const int *, const real *, const int *,
                       const real *, real *, const int *);
static gemm_t blas_gemm;
extern "C" void set_gemm(void *pointer) { blas_gemm = (gemm_t)pointer; }

// C (M, N) = op(A) op(B) + beta C, row-major: BLAS sees the transposed problem.
static void gemm(bool ta, bool tb, int M, int N, int K, const real *A, const real *B, real beta,
                 real *C) {
    const real one = 1;
    const int lda = ta ? M : K, ldb = tb ? K : N;
    if (M == 0 || N == 0) return;
    blas_gemm(tb ? "T" : "N", ta ? "T" : "N", &N, &M, &K, &one, B, &ldb, A, &lda, &beta, C, &N);
}

// Measured: below this many products per call our loops win.
static const long long TINY = 32 * 1024;

static bool tiny(int B, int I, int O) { return (long long)B * I * O <= TINY; }

static void square(real *__restrict__ out, const real *__restrict__ x, int n) {
    SIMD for (int i = 0; i < n; ++i) out[i] = x[i] * x[i];
}

static void add_bias(real *__restrict__ z, const real *__restrict__ bias, int B, int O) {
    for (int b = 0; b < B; ++b) {
        SIMD for (int o = 0; o < O; ++o) z[b * O + o] += bias[o];
    }
}

// mu_z and var_z for one or a few outputs: dot products along the inputs.
static void forward_dots(real *__restrict__ mu_z, real *__restrict__ var_z,
                         const real *__restrict__ mu_a, const real *__restrict__ var_a,
                         const real *__restrict__ mu_w, const real *__restrict__ var_w,
                         const real *__restrict__ mu_b, const real *__restrict__ var_b, int B,
                         int I, int O) {
    for (int b = 0; b < B; ++b) {
        const real *m = mu_a + b * I, *v = var_a ? var_a + b * I : nullptr;
        for (int o = 0; o < O; ++o) {
            const real *w = mu_w + o * I, *s = var_w + o * I;
            real mean = 0, variance = 0;
            if (v) {
                _Pragma("omp simd reduction(+ : mean, variance)") for (int i = 0; i < I; ++i) {
                    mean += m[i] * w[i];
                    variance += v[i] * w[i] * w[i] + (m[i] * m[i] + v[i]) * s[i];
                }
            } else {
                _Pragma("omp simd reduction(+ : mean, variance)") for (int i = 0; i < I; ++i) {
                    mean += m[i] * w[i];
                    variance += m[i] * m[i] * s[i];
                }
            }
            mu_z[b * O + o] = mean + (mu_b ? mu_b[o] : REAL(0.0));
            var_z[b * O + o] = variance + (var_b ? var_b[o] : REAL(0.0));
        }
    }
}

// The same for many outputs: weights transposed once, then the loop runs along the outputs.
static void forward_axpy(real *__restrict__ mu_z, real *__restrict__ var_z,
                         const real *__restrict__ mu_a, const real *__restrict__ var_a,
                         const real *__restrict__ mu_w, const real *__restrict__ var_w,
                         const real *__restrict__ mu_b, const real *__restrict__ var_b,
                         real *__restrict__ w, real *__restrict__ s, int B, int I, int O) {
    for (int i = 0; i < I; ++i) {
        SIMD for (int o = 0; o < O; ++o) {
            w[i * O + o] = mu_w[o * I + i];
            s[i * O + o] = var_w[o * I + i];
        }
    }
    for (int b = 0; b < B; ++b) {
        real *__restrict__ mean = mu_z + b * O, *__restrict__ variance = var_z + b * O;
        SIMD for (int o = 0; o < O; ++o) {
            mean[o] = mu_b ? mu_b[o] : REAL(0.0);
            variance[o] = var_b ? var_b[o] : REAL(0.0);
        }
        for (int i = 0; i < I; ++i) {
            const real *__restrict__ wi = w + i * O, *__restrict__ si = s + i * O;
            real m = mu_a[b * I + i];
            if (var_a) {
                real v = var_a[b * I + i], second = m * m + v;
                SIMD for (int o = 0; o < O; ++o) {
                    mean[o] += m * wi[o];
                    variance[o] += v * wi[o] * wi[o] + second * si[o];
                }
            } else {
                real second = m * m;
                SIMD for (int o = 0; o < O; ++o) {
                    mean[o] += m * wi[o];
                    variance[o] += second * si[o];
                }
            }
        }
    }
}

KERNEL linear_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a,
                               const real *mu_w, const real *var_w, const real *mu_b,
                               const real *var_b, real *scratch, int B, int I, int O) {
    if (tiny(B, I, O)) {
        // Transposing pays off from a few rows on, and only fits the scratch where O I does.
        if (O >= VECTOR && B > 2)
            forward_axpy(mu_z, var_z, mu_a, var_a, mu_w, var_w, mu_b, var_b, scratch,
                         scratch + O * I, B, I, O);
        else
            forward_dots(mu_z, var_z, mu_a, var_a, mu_w, var_w, mu_b, var_b, B, I, O);
        return;
    }
    real *second = scratch, *squared = scratch + B * I;
    gemm(false, true, B, O, I, mu_a, mu_w, 0, mu_z);
    if (var_a) {
        SIMD for (int i = 0; i < B * I; ++i) second[i] = mu_a[i] * mu_a[i] + var_a[i];
        gemm(false, true, B, O, I, second, var_w, 0, var_z);
        square(squared, mu_w, O * I);
        gemm(false, true, B, O, I, var_a, squared, 1, var_z);
    } else {
        square(second, mu_a, B * I);
        gemm(false, true, B, O, I, second, var_w, 0, var_z);
    }
    if (mu_b) {
        add_bias(mu_z, mu_b, B, O);
        add_bias(var_z, var_b, B, O);
    }
}

KERNEL linear_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                                const real *__restrict__ d_mu_z,
                                const real *__restrict__ d_var_z, const real *__restrict__ mu_w,
                                real *__restrict__ scratch, int B, int I, int O, int accumulate) {
    if (!tiny(B, I, O)) {
        square(scratch, mu_w, O * I);
        gemm(false, false, B, I, O, d_mu_z, mu_w, (real)accumulate, d_mu_a);
        gemm(false, false, B, I, O, d_var_z, scratch, (real)accumulate, d_var_a);
        return;
    }
    for (int b = 0; b < B; ++b) {
        real *__restrict__ dm = d_mu_a + b * I, *__restrict__ dv = d_var_a + b * I;
        if (!accumulate) {
            SIMD for (int i = 0; i < I; ++i) dm[i] = dv[i] = 0;
        }
        for (int o = 0; o < O; ++o) {
            const real *__restrict__ w = mu_w + o * I;
            real m = d_mu_z[b * O + o], v = d_var_z[b * O + o];
            SIMD for (int i = 0; i < I; ++i) {
                dm[i] += m * w[i];
                dv[i] += v * w[i] * w[i];
            }
        }
    }
}

KERNEL linear_innovation(real *__restrict__ G_w, real *__restrict__ L_w,
                                  real *__restrict__ G_b, real *__restrict__ L_b,
                                  const real *__restrict__ mu_a, const real *__restrict__ d_mu_z,
                                  const real *__restrict__ d_var_z, real *__restrict__ scratch,
                                  int B, int I, int O, int accumulate) {
    if (!tiny(B, I, O)) {
        square(scratch, mu_a, B * I);
        gemm(true, false, O, I, B, d_mu_z, mu_a, (real)accumulate, G_w);
        gemm(true, false, O, I, B, d_var_z, scratch, (real)accumulate, L_w);
    } else {
        for (int o = 0; o < O; ++o) {
            real *__restrict__ g = G_w + o * I, *__restrict__ l = L_w + o * I;
            if (!accumulate) {
                SIMD for (int i = 0; i < I; ++i) g[i] = l[i] = 0;
            }
            for (int b = 0; b < B; ++b) {
                const real *__restrict__ a = mu_a + b * I;
                real m = d_mu_z[b * O + o], v = d_var_z[b * O + o];
                SIMD for (int i = 0; i < I; ++i) {
                    g[i] += m * a[i];
                    l[i] += v * a[i] * a[i];
                }
            }
        }
    }
    if (!G_b) return;
    if (!accumulate) {
        SIMD for (int o = 0; o < O; ++o) G_b[o] = L_b[o] = 0;
    }
    for (int b = 0; b < B; ++b) {
        SIMD for (int o = 0; o < O; ++o) {
            G_b[o] += d_mu_z[b * O + o];
            L_b[o] += d_var_z[b * O + o];
        }
    }
}
