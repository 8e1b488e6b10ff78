// Pooling on the host, plane by plane: (N, H, W) -> (N, P, Q). Entry (p, q) sees the pixels
// (p sh + i - top, q sw + j - left) for i < kh, j < kw; those outside the image do not exist.
// Backward adds each entry to its pixels, which needs no search for the windows that hold a pixel.

#include "threads.hpp"

#define WINDOW int H, int W, int P, int Q, int kh, int kw, int sh, int sw, int top, int left
#define PASS H, W, P, Q, kh, kw, sh, sw, top, left

static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }

// A window's pixels along one axis: from `first` on, before `last`.
struct Span {
    int first, last;
    Span(int at, int k, int size) : first(most(at, 0)), last(least(at + k, size)) {}
};

// The entries of a row whose windows lie inside it: from `first` on, before `last`.
static inline Span whole(int W, int Q, int kw, int sw, int left) {
    Span span(0, Q, Q);
    span.first = least((left + sw - 1) / sw, Q);
    span.last = W + left < kw ? 0 : least((W + left - kw) / sw + 1, Q);
    span.last = most(span.first, span.last);
    return span;
}

// Calls body(q, first pixel, last pixel) for a row of entries. With KW and SW, windows of that width and step
// are unrolled where they lie inside, so that the loop vectorises.
template <int KW, int SW, typename Body>
static inline void along(int W, int Q, int kw, int sw, int left, const Body &body) {
    const Span inner = whole(W, Q, kw, sw, left);
    for (int q = 0; q < inner.first; ++q) {
        const Span x(q * sw - left, kw, W);
        body(q, x.first, x.last);
    }
    for (int q = inner.first; q < inner.last; ++q) {
        const int x = q * (KW ? SW : sw) - left;
        body(q, x, x + (KW ? KW : kw));
    }
    for (int q = inner.last; q < Q; ++q) {
        const Span x(q * sw - left, kw, W);
        body(q, x.first, x.last);
    }
}

// `call<KW, SW>(...)` with the sizes that occur most, else with zeros: any size.
#define WITH_SIZES(call, ...)                                \
    if (kw == 2 && sw == 2) call<2, 2>(__VA_ARGS__);         \
    else if (kw == 3 && sw == 2) call<3, 2>(__VA_ARGS__);    \
    else if (kw == 3 && sw == 1) call<3, 1>(__VA_ARGS__);    \
    else call<0, 0>(__VA_ARGS__);

// Rows of pixels up to this long are summed before windows are: across rows vectorises, along them hardly does.
enum { LINE = 2048 };

template <int KW, int SW>
static void average(real *__restrict__ out, const real *__restrict__ in, real share, WINDOW) {
    real sums[LINE];
    for (int p = 0; p < P; ++p, out += Q) {
        const Span y(p * sh - top, kh, H);
        const int rows = W <= LINE ? y.last - y.first : 1;
        for (int i = y.first; i < y.last; i += rows) {
            const real *line = in + (long)i * W;
            if (rows > 1) {
                const real *next = line + W;
                SIMD for (int x = 0; x < W; ++x) sums[x] = line[x] + next[x];
                for (int r = 2; r < rows; ++r) {
                    next += W;
                    SIMD for (int x = 0; x < W; ++x) sums[x] += next[x];
                }
                line = sums;
            }
            along<KW, SW>(W, Q, kw, sw, left, [=](int q, int first, int last) {
                real sum = 0;
                for (int x = first; x < last; ++x) sum += line[x];
                out[q] = i == y.first ? share * sum : out[q] + share * sum;
            });
        }
    }
}

template <int KW, int SW>
static void distribute(real *__restrict__ pixels, const real *__restrict__ entries, real share,
                       WINDOW) {
    real sums[LINE];
    for (int p = 0; p < P; ++p, entries += Q) {
        const auto send = [=](real *__restrict__ line) {
            along<KW, SW>(W, Q, kw, sw, left, [=](int q, int first, int last) {
                for (int x = first; x < last; ++x) line[x] += share * entries[q];
            });
        };
        const Span y(p * sh - top, kh, H);
        const bool together = W <= LINE && y.last - y.first > 1;
        if (together) {
            SIMD for (int x = 0; x < W; ++x) sums[x] = 0;
            send(sums);
        }
        for (int i = y.first; i < y.last; ++i) {
            real *__restrict__ row = pixels + (long)i * W;
            if (!together) {
                send(row);
            } else {
                SIMD for (int x = 0; x < W; ++x) row[x] += sums[x];
            }
        }
    }
}

template <int KW, int SW>
static void largest(real *__restrict__ out, int *__restrict__ winner, const real *__restrict__ in,
                    WINDOW) {
    for (int p = 0; p < P; ++p, out += Q, winner += Q) {
        const Span y(p * sh - top, kh, H);
        for (int i = y.first; i < y.last; ++i) {
            const real *row = in + (long)i * W;
            along<KW, SW>(W, Q, kw, sw, left, [=](int q, int first, int last) {
                real best = i == y.first ? row[first] : out[q];
                int place = i == y.first ? i * W + first : winner[q];
                for (int x = first; x < last; ++x) {
                    place = row[x] > best ? i * W + x : place;
                    best = row[x] > best ? row[x] : best;
                }
                out[q] = best;
                winner[q] = place;
            });
        }
    }
}

static double work(int N, WINDOW) { return 4.0 * N * P * Q * kh * kw; }

static void clear(real *__restrict__ a, real *__restrict__ b, int n) {
    SIMD for (int i = 0; i < n; ++i) a[i] = b[i] = 0;
}

KERNEL avg_pool2d_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a, int N,
                          WINDOW) {
    const real share = REAL(1.0) / (real)(kh * kw);
    parallel(N, work(N, PASS), [=](int n) {
        const long in = (long)n * H * W, out = (long)n * P * Q;
        WITH_SIZES(average, mu_z + out, mu_a + in, share, PASS)
        if (!var_z) return;
        WITH_SIZES(average, var_z + out, var_a + in, share * share, PASS)
    });
}

KERNEL avg_pool2d_backward(real *d_mu_a, real *d_var_a, const real *d_mu_z, const real *d_var_z,
                           int N, WINDOW, int accumulate) {
    const real share = REAL(1.0) / (real)(kh * kw);
    parallel(N, work(N, PASS), [=](int n) {
        const long in = (long)n * H * W, out = (long)n * P * Q;
        if (!accumulate) clear(d_mu_a + in, d_var_a + in, H * W);
        WITH_SIZES(distribute, d_mu_a + in, d_mu_z + out, share, PASS)
        WITH_SIZES(distribute, d_var_a + in, d_var_z + out, share * share, PASS)
    });
}

KERNEL max_pool2d_forward(real *mu_z, real *var_z, int *winner, const real *mu_a, const real *var_a,
                          int N, WINDOW) {
    parallel(N, work(N, PASS), [=](int n) {
        const long in = (long)n * H * W, out = (long)n * P * Q;
        WITH_SIZES(largest, mu_z + out, winner + out, mu_a + in, PASS)
        if (!var_z) return;
        for (int i = 0; i < P * Q; ++i) var_z[out + i] = var_a[in + winner[out + i]];
    });
}

KERNEL max_pool2d_backward(real *d_mu_a, real *d_var_a, const real *d_mu_z, const real *d_var_z,
                           const int *winner, int N, WINDOW, int accumulate) {
    parallel(N, work(N, PASS), [=](int n) {
        const long in = (long)n * H * W, out = (long)n * P * Q;
        if (!accumulate) clear(d_mu_a + in, d_var_a + in, H * W);
        for (int i = 0; i < P * Q; ++i) {
            d_mu_a[in + winner[out + i]] += d_mu_z[out + i];
            d_var_a[in + winner[out + i]] += d_var_z[out + i];
        }
    });
}
