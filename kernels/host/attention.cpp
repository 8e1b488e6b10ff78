// The products of attention on the host: for each row and head, sums in register tiles.
//
// Projections (B, T, (H + 2 G) d): queries, keys, values; weights and scores (B, H, T, T); outputs
// (B, T, H d). With `causal` tokens look at themselves and earlier ones: tiles that only hold later
// ones are left out, and what other tiles put there becomes zero.

#include "product.hpp"
#include "../attention.cu"
#include "../attention.cuh"

// Which k a tile sums over.
struct Range {
    int begin, end;
};

template <int ROWS, int COLUMNS, typename Start, typename Term, typename Store>
static inline void sum_tile(int m, int n, int tail, Range range, int k0, bool add,
                            const Panels &panels, const Start &start, const Term &term,
                            const Store &store) {
    vec s1[ROWS][COLUMNS] = {}, s2[ROWS][COLUMNS] = {}, own[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < COLUMNS; ++v)
            own[r][v] = start(m + r, n + v * LANES, v == COLUMNS - 1 ? tail : (int)LANES);
    const vec *p1 = (const vec *)panels.p[0] - (long)k0 * VECTORS;
    const vec *p2 = (const vec *)panels.p[1] - (long)k0 * VECTORS;
    for (int k = range.begin; k < range.end; ++k)
        for (int r = 0; r < ROWS; ++r)
            for (int v = 0; v < COLUMNS; ++v)
                term(m + r, k, p1[k * VECTORS + v], p2[k * VECTORS + v], own[r][v], s1[r][v],
                     s2[r][v]);
    for (int r = 0; r < ROWS; ++r)
        for (int v = 0; v < COLUMNS; ++v)
            store(m + r, n + v * LANES, v == COLUMNS - 1 ? tail : (int)LANES, s1[r][v], s2[r][v],
                  add);
}

// For m < M, n < N: sums over the k in range(m, rows, n) of term(m, k, right, right, own, s1, s2), where
// pack(panels, n, columns, k, ks) prepares what is on the right, and own is what start(m, n, columns)
// gave. store(m, n, columns, s1, s2, add) takes them, in parts to be added where K is long.
template <typename Pack, typename Limits, typename Start, typename Term, typename Store>
static void sums(int M, int N, int K, const Pack &pack, const Limits &range, const Start &start,
                 const Term &term, const Store &store) {
    Panels &panels = own<Panels>();
    for (int n = 0; n < N; n += WIDTH) {
        int count = N - n < WIDTH ? N - n : (int)WIDTH;
        for (int k0 = 0; k0 < K; k0 += DEPTH) {
            int depth = K - k0 < DEPTH ? K - k0 : (int)DEPTH;
            pack(panels, n, count, k0, depth);
            for (int m = 0; m < M; m += HEIGHT) {
                int rows = M - m < HEIGHT ? M - m : (int)HEIGHT;
                Range all = range(m, rows, n), part = all;
                part.begin = part.begin > k0 ? part.begin : k0;
                part.end = part.end < k0 + depth ? part.end : k0 + depth;
                if (part.begin >= part.end) continue;
                bool add = part.begin > all.begin;
#define TILE(r)                                                                                 \
    case r:                                                                                     \
        if (count > LANES)                                                                      \
            sum_tile<(r <= HEIGHT ? r : 1), VECTORS>(m, n, count - LANES, part, k0, add, panels, \
                                                     start, term, store);                       \
        else                                                                                    \
            sum_tile<(r <= HEIGHT ? r : 1), 1>(m, n, count, part, k0, add, panels, start, term,  \
                                               store);                                          \
        break;
                switch (rows) {
                    TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
                }
#undef TILE
            }
        }
    }
}

static inline vec nothing(int, int, int) { return vec{}; }

// Two results side by side, of rows `stride` apart: the sums times the factors.
struct Target {
    real *mean, *variance;
    long stride;
    real scale;

    void operator()(int m, int n, int columns, vec s1, vec s2, bool add) const {
        real *to1 = mean + m * stride + n, *to2 = variance + m * stride + n;
        s1 *= scale;
        s2 *= scale * scale;
        if (add) {
            s1 += load_part(to1, columns);
            s2 += load_part(to2, columns);
        }
        store_part(to1, s1, columns);
        store_part(to2, s2, columns);
    }
};

// Rows of two matrices as they are.
struct Rows {
    const real *first, *second;
    long stride;

    void operator()(Panels &panels, int n, int count, int k, int depth) const {
        pack_rows(panels.p[0], panels.p[2], first + k * stride + n, stride, count, depth);
        if (second) pack_rows(panels.p[1], panels.p[2], second + k * stride + n, stride, count, depth);
    }
};

// Columns of two matrices as rows.
struct Columns {
    const real *first, *second;
    long stride;

    void operator()(Panels &panels, int n, int count, int k, int depth) const {
        pack_transposed(panels.p[0], first + n * stride + k, stride, count, depth);
        if (second) pack_transposed(panels.p[1], second + n * stride + k, stride, count, depth);
    }
};

// All of K, for tiles of scores that hold something to look at.
struct Seen {
    int K, causal;

    Range operator()(int m, int rows, int n) const {
        return Range{0, causal && n >= m + rows ? 0 : K};
    }
};

// The keys that some of the rows look at, and the tokens that look at some of the rows.
struct Before {
    int T, causal;

    Range operator()(int m, int rows, int) const { return Range{0, causal ? m + rows : T}; }
};

struct After {
    int T, causal;

    Range operator()(int m, int, int) const { return Range{causal ? m : 0, T}; }
};

// Zeros where tokens would look at later ones.
static inline void mask_later(real *a, real *b, int T) {
    for (int t = 0; t < T; ++t) {
        for (int u = t + 1; u < T; ++u) a[(long)t * T + u] = b[(long)t * T + u] = 0;
    }
}

// Where what belongs to a row and a head begins.
struct Places {
    int T, H, G, d;
    long width = (long)(H + 2 * G) * d, outputs = (long)H * d;

    long query(int b, int h) const { return b * T * width + (long)h * d; }
    long key(int b, int g) const { return b * T * width + (long)(H + g) * d; }
    long value(int b, int g) const { return b * T * width + (long)(H + G + g) * d; }
    long output(int b, int h) const { return b * T * outputs + (long)h * d; }
    long score(int b, int h) const { return ((long)b * H + h) * T * T; }
};

KERNEL attention_scores(real *mu_s, real *var_s, const real *mu_p, const real *var_p, real scale,
                        int B, int T, int H, int G, int d, int causal) {
    const Places at{T, H, G, d};
    parallel(B * H, (double)B * H * T * T * d, [&](int i) {
        int b = i / H, h = i % H;
        const real *q = mu_p + at.query(b, h), *v = var_p + at.query(b, h);
        const long k = at.key(b, h / (H / G)), s = at.score(b, h);
        auto term = [=](int t, int m, vec mu_k, vec var_k, vec, vec &s1, vec &s2) {
            score_term(q[t * at.width + m], v[t * at.width + m], mu_k, var_k, s1, s2);
        };
        sums(T, T, d, Columns{mu_p + k, var_p + k, at.width}, Seen{d, causal}, nothing, term,
             Target{mu_s + s, var_s + s, T, scale});
        if (causal) mask_later(mu_s + s, var_s + s, T);
    });
}

KERNEL attention_values(real *mu_y, real *var_y, const real *mu_a, const real *strength,
                        const real *second, const real *mu_p, const real *var_p, int B, int T, int H,
                        int G, int d, int causal) {
    const Places at{T, H, G, d};
    parallel(B * H, (double)B * H * T * T * d, [&](int i) {
        int b = i / H, h = i % H;
        const long v = at.value(b, h / (H / G)), y = at.output(b, h), s = at.score(b, h);
        const real *a = mu_a + s, *c = strength + s, *e = second + s;
        auto weigh = [=](int t, int u, vec mu_v, vec var_v, vec, vec &s1, vec &s2) {
            value_term(a[(long)t * T + u], e[(long)t * T + u], mu_v, var_v, s1, s2);
        };
        sums(T, d, T, Rows{mu_p + v, var_p + v, at.width}, Before{T, causal}, nothing, weigh,
             Target{mu_y + y, var_y + y, at.outputs, 1});
        auto mean = [=](int t, int m, int columns) {
            return load_part(mu_y + y + t * at.outputs + m, columns);
        };
        auto spread = [=](int t, int u, vec mu_v, vec, vec mu, vec &, vec &s2) {
            spread_term(c[(long)t * T + u], mu_v, mu, s2);
        };
        auto add = [=](int t, int m, int columns, vec, vec s2, bool) {
            real *to = var_y + y + t * at.outputs + m;
            store_part(to, load_part(to, columns) + s2, columns);
        };
        sums(T, d, T, Rows{mu_p + v, nullptr, at.width}, Before{T, causal}, mean, spread, add);
    });
}

KERNEL attention_values_backward(real *d_mu_p, real *d_var_p, const real *d_mu_y,
                                 const real *d_var_y, const real *mu_a, int B, int T, int H, int G,
                                 int d, int causal) {
    const Places at{T, H, G, d};
    const int heads = H / G;
    parallel(B * G, (double)B * H * T * T * d, [&](int i) {
        int b = i / G, g = i % G;
        const long v = at.value(b, g);
        for (int h = g * heads; h < (g + 1) * heads; ++h) {
            const long y = at.output(b, h);
            const real *a = mu_a + at.score(b, h);
            const Target target{d_mu_p + v, d_var_p + v, at.width, 1};
            auto term = [=](int u, int t, vec d_mu, vec d_var, vec, vec &s1, vec &s2) {
                send_term(a[(long)t * T + u], d_mu, d_var, s1, s2);
            };
            auto store = [=](int u, int m, int columns, vec s1, vec s2, bool add) {
                target(u, m, columns, s1, s2, add || h > g * heads);
            };
            sums(T, d, T, Rows{d_mu_y + y, d_var_y + y, at.outputs}, After{T, causal}, nothing, term,
                 store);
        }
    });
}

KERNEL attention_weights_backward(real *d_mu_s, real *d_var_s, const real *d_mu_y,
                                  const real *d_var_y, const real *mu_y, const real *slope,
                                  const real *mu_p, int B, int T, int H, int G, int d, int causal) {
    const Places at{T, H, G, d};
    parallel(B * H, (double)B * H * T * T * d, [&](int i) {
        int b = i / H, h = i % H;
        const long v = at.value(b, h / (H / G)), y = at.output(b, h), s = at.score(b, h);
        const Target target{d_mu_s + s, d_var_s + s, T, 1};
        auto term = [=](int t, int m, vec mu_v, vec, vec, vec &s1, vec &s2) {
            long at_y = y + t * at.outputs + m;
            gap_term(d_mu_y[at_y], d_var_y[at_y], mu_y[at_y], mu_v, s1, s2);
        };
        auto store = [=](int t, int u, int columns, vec s1, vec s2, bool add) {
            vec r = load_part(slope + s + (long)t * T + u, columns);
            target(t, u, columns, r * s1, r * r * s2, add);
        };
        sums(T, T, d, Columns{mu_p + v, nullptr, at.width}, Seen{d, causal}, nothing, term, store);
        if (causal) mask_later(d_mu_s + s, d_var_s + s, T);
    });
}

KERNEL attention_scores_backward(real *d_mu_p, real *d_var_p, const real *d_mu_s,
                                 const real *d_var_s, const real *mu_p, real scale, int B, int T,
                                 int H, int G, int d, int causal) {
    const Places at{T, H, G, d};
    const int heads = H / G;
    parallel(B * G, 2.0 * B * H * T * T * d, [&](int i) {
        int b = i / G, g = i % G;
        const long k = at.key(b, g);
        for (int h = g * heads; h < (g + 1) * heads; ++h) {
            const long q = at.query(b, h), s = at.score(b, h);
            const real *d_mu = d_mu_s + s, *d_var = d_var_s + s;
            auto looks = [=](int t, int u, vec mu_k, vec, vec, vec &s1, vec &s2) {
                take_term(d_mu[(long)t * T + u], d_var[(long)t * T + u], mu_k, s1, s2);
            };
            sums(T, d, T, Rows{mu_p + k, nullptr, at.width}, Before{T, causal}, nothing, looks,
                 Target{d_mu_p + q, d_var_p + q, at.width, scale});
            const Target target{d_mu_p + k, d_var_p + k, at.width, scale};
            auto seen = [=](int u, int t, vec mu_q, vec, vec, vec &s1, vec &s2) {
                take_term(d_mu[(long)t * T + u], d_var[(long)t * T + u], mu_q, s1, s2);
            };
            auto store = [=](int u, int m, int columns, vec s1, vec s2, bool add) {
                target(u, m, columns, s1, s2, add || h > g * heads);
            };
            sums(T, d, T, Rows{mu_p + q, nullptr, at.width}, After{T, causal}, nothing, seen, store);
        }
    });
}
