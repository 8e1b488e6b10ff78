// Pooling on the host, plane by plane: (N, H, W) -> (N, P, Q). Entry (p, q) sees the pixels
// (p sh + i - top, q sw + j - left) for i < kh, j < kw; those outside the image do not exist.
// Overlapping windows of usual sizes are summed a vector at a time, others entry by entry.

#include "threads.hpp"
#include "vectors.hpp"

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

// Vectors of every second element of `low` and `high` in a row, from number FIRST on, and back: a and b in turns.
template <int FIRST, int... J>
static inline vec every_second(vec low, vec high, Indices<J...>) {
    return __builtin_shuffle(low, high, index_vec{(index)(2 * J + FIRST)...});
}

template <int FIRST, int... J>
static inline vec in_turns(vec a, vec b, Indices<J...>) {
    return __builtin_shuffle(a, b, index_vec{(index)(FIRST + J / 2 + J % 2 * LANES)...});
}

typedef typename Count<LANES>::type Lanes;

// With KW and SW, a vector of entries at a time: those that are SW pixels apart come out of SW vectors.
template <int KW, int SW>
static void average(real *__restrict__ out, const real *__restrict__ in, real share, WINDOW) {
    for (int q = 0; q < Q; q += LANES) {
        // Pixels of a row from x + j on, for every SW-th j; none outside the image.
        const int x = q * SW - left;
        unsigned long long bits[KW], next[KW];
        for (int j = 0; j < KW; j += SW) {
            bits[j] = lanes_between(-x - j, W - x - j);
            next[j] = lanes_between(-x - j - LANES, W - x - j - LANES);
        }
        for (int p = 0; p < P; ++p) {
            const Span y(p * sh - top, kh, H);
            vec low[KW] = {}, high[KW] = {};
            for (int i = y.first; i < y.last; ++i) {
                const real *row = in + (long)i * W + x;
                for (int j = 0; j < KW; j += SW) {
                    low[j] += load_lanes(row + j, bits[j]);
                    if (SW == 2) high[j] += load_lanes(row + j + LANES, next[j]);
                }
            }
            vec sum = {};
            for (int j = 0; j < KW; j += SW) {
                sum += SW == 2 ? every_second<0>(low[j], high[j], Lanes()) : low[j];
                if (SW == 2 && j + 1 < KW) sum += every_second<1>(low[j], high[j], Lanes());
            }
            store_part(out + (long)p * Q + q, share * sum, Q - q);
        }
    }
}

template <>
void average<0, 0>(real *__restrict__ out, const real *__restrict__ in, real share, WINDOW) {
    for (int p = 0; p < P; ++p, out += Q) {
        const Span y(p * sh - top, kh, H);
        along<0, 0>(W, Q, kw, sw, left, [=](int q, int first, int last) {
            real sum = 0;
            for (int i = y.first; i < y.last; ++i)
                for (int x = first; x < last; ++x) sum += in[(long)i * W + x];
            out[q] = share * sum;
        });
    }
}

// Adds to pixels, or sets them: each collects from the entries that see it.
template <int KW, int SW>
static void distribute(real *__restrict__ pixels, const real *__restrict__ entries, real share,
                       bool accumulate, WINDOW) {
    for (int q = left / SW; q * SW - left < W; q += LANES) {
        const int x = q * SW - left;
        unsigned long long bits[KW];
        for (int j = 0; j < KW; j += SW) bits[j] = lanes_between(j / SW - q, Q - q + j / SW);
        const auto here = lanes_between(-x, W - x), next = lanes_between(-x - LANES, W - x - LANES);
        const auto send = [=](real *to, vec sum, unsigned long long lanes) {
            sum *= share;
            if (accumulate) sum += load_lanes(to, lanes);
            store_lanes(to, sum, lanes);
        };
        int first = 0, last = 0;  // rows of entries that see row y
        for (int y = 0; y < H; ++y) {
            while (first < P && first * sh - top + kh <= y) ++first;
            while (last < P && last * sh - top <= y) ++last;
            vec even = {}, odd = {};
            for (int p = first; p < last; ++p) {
                const real *from = entries + (long)p * Q + q;
                for (int j = 0; j < KW; j += SW) {
                    const vec seen = load_lanes(from - j / SW, bits[j]);
                    even += seen;
                    if (SW == 2 && j + 1 < KW) odd += seen;
                }
            }
            real *to = pixels + (long)y * W + x;
            if (SW == 2) {
                send(to, in_turns<0>(even, odd, Lanes()), here);
                send(to + LANES, in_turns<LANES / 2>(even, odd, Lanes()), next);
            } else {
                send(to, even, here);
            }
        }
    }
}

template <>
void distribute<0, 0>(real *__restrict__ pixels, const real *__restrict__ entries, real share,
                      bool accumulate, WINDOW) {
    if (!accumulate)
        for (long i = 0; i < (long)H * W; ++i) pixels[i] = 0;
    for (int p = 0; p < P; ++p, entries += Q) {
        const Span y(p * sh - top, kh, H);
        for (int i = y.first; i < y.last; ++i) {
            real *__restrict__ row = pixels + (long)i * W;
            along<0, 0>(W, Q, kw, sw, left, [=](int q, int first, int last) {
                for (int x = first; x < last; ++x) row[x] += share * entries[q];
            });
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
        WITH_SIZES(distribute, d_mu_a + in, d_mu_z + out, share, accumulate, PASS)
        WITH_SIZES(distribute, d_var_a + in, d_var_z + out, share * share, accumulate, PASS)
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
