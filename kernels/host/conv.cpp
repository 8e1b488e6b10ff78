// Convolutions on the host: products with unfolded images, of which only a panel exists at a time.
//
// Three products serve both directions: weights times the unfolded image (correlate), transposed weights
// times the map, folded back onto the image (spread), and the map times the unfolded image (weigh).
// Sums run in an order that does not depend on the number of threads.

#include "unfold.hpp"

// MAPS: maps that one packed panel serves at a time, or taps that are folded at a time. TAPS: rows of a panel; one is left free, as rows are
// written in whole vectors. PLACEMENTS, STRIDE: rows that are unfolded to be transposed into a panel.
enum { MAPS = 96, TAPS = DEPTH - 1, PLACEMENTS = 128, STRIDE = PLACEMENTS + LANES };

struct Workspace {
    Panels panels;
    real c1[MAPS * WIDTH], c2[MAPS * WIDTH];
    Run runs[PLACEMENTS];
    real rows[2][WIDTH * STRIDE];
};

// Into how many parts to cut each of `tasks` tasks so that no thread is idle.
static int parts_of(int tasks, int most) {
    return least(most, (thread_count() + tasks - 1) / tasks);
}

// squares[i] = x[i]^2 (+ more[i])
static inline void squares(real *__restrict__ to, const real *__restrict__ x,
                           const real *__restrict__ more, long n) {
    if (more) {
        SIMD for (long i = 0; i < n; ++i) to[i] = x[i] * x[i] + more[i];
    } else {
        SIMD for (long i = 0; i < n; ++i) to[i] = x[i] * x[i];
    }
}

// Two operands of a product, or of three with `third`. The second is squares of the first, plus the third
// where there is one, unless it is given.
struct Operands {
    const real *first, *second, *third;
};

// z1 = W1 unfold(x1), z2 = W2 unfold(x2) + W3 unfold(x3), onto maps: plus a bias, or to what is there.
template <bool THIRD>
static void correlate(const Window &w, int B, const Operands &weights, const Operands &image,
                      real *z1, real *z2, const real *bias1, const real *bias2, bool accumulate) {
    const int K = w.taps(), maps = w.maps(), PQ = w.positions();
    const long N = (long)B * PQ;
    const int strips = (int)((N + WIDTH - 1) / WIDTH);
    parallel(strips * w.groups, (double)N * K * w.O, [&](int task) {
        Workspace &work = own<Workspace>();
        Panels &panels = work.panels;
        const int group = task / strips;
        const long first = (long)(task % strips) * WIDTH;
        const int count = N - first < WIDTH ? (int)(N - first) : WIDTH;
        const int runs = cut(w, work.runs, first, count);
        for (int o = 0; o < maps; o += MAPS) {
            const int block = least(MAPS, maps - o);
            for (int k = 0; k < K; k += TAPS) {
                const int depth = least(TAPS, K - k);
                if (o == 0 || K > TAPS) {
                    unfold(w, panels.p[0], panels.p[THIRD ? 2 : 1], WIDTH, image.first,
                           THIRD ? image.third : image.second, group, work.runs, runs, k, depth);
                    if (!image.second)
                        squares(panels.p[1], panels.p[0], THIRD ? panels.p[2] : nullptr,
                                (long)depth * WIDTH);
                }
                for (int m = 0; m < block; m += HEIGHT) {
                    const long at = (long)(group * maps + o + m) * K + k;
                    product_strip<THIRD>(least(HEIGHT, block - m), depth, weights.first + at,
                                        weights.second + at, THIRD ? weights.third + at : nullptr,
                                        K, 1, panels, work.c1 + m * WIDTH, work.c2 + m * WIDTH,
                                        WIDTH, count, k > 0);
                }
            }
            for (int m = 0; m < block; ++m) {
                const int map = group * maps + o + m;
                const real b1 = bias1 ? bias1[map] : REAL(0.0), b2 = bias2 ? bias2[map] : REAL(0.0);
                const real *c1 = work.c1 + m * WIDTH, *c2 = work.c2 + m * WIDTH;
                for (int j = 0; j < count;) {
                    const long b = (first + j) / PQ, p = (first + j) % PQ;
                    const int n = least(count - j, (int)(PQ - p));
                    real *t1 = z1 + (b * w.O + map) * PQ + p, *t2 = z2 + (b * w.O + map) * PQ + p;
                    for (int v = 0; v < n; v += LANES) {
                        const int part = n - v;
                        vec m = load_part(c1 + j + v, part), s = load_part(c2 + j + v, part);
                        m += accumulate ? load_part(t1 + v, part) : b1 + vec{};
                        s += accumulate ? load_part(t2 + v, part) : b2 + vec{};
                        store_part(t1 + v, m, part);
                        store_part(t2 + v, s, part);
                    }
                    j += n;
                }
            }
        }
    });
}

// x1 = fold(W1' z1), x2 = fold(W2' z2 + W3' z3), onto images: from a bias per channel, or to what is there.
template <bool THIRD>
static void spread(const Window &w, int B, const Operands &weights, const Operands &map, real *x1,
                   real *x2, const real *bias1, const real *bias2, bool accumulate) {
    const int K = w.taps(), maps = w.maps(), channels = w.channels(), PQ = w.positions();
    // A task owns the pixels that it adds to: some channels of some images. Small maps share panels.
    if (B == 0) return;
    const int images = least(B, (256 + PQ - 1) / PQ), batches = (B + images - 1) / images;
    const int parts = parts_of(batches * w.groups, channels);
    parallel(batches * w.groups * parts, (double)B * PQ * K * w.O, [&](int task) {
        Workspace &work = own<Workspace>();
        Panels &panels = work.panels;
        const int b = task / (w.groups * parts) * images, group = task / parts % w.groups;
        const int part = task % parts, from = channels * part / parts;
        const int to = channels * (part + 1) / parts, last = least(b + images, B);
        if (!accumulate) {
            for (int i = b; i < last; ++i) {
                for (int c = group * channels + from; c < group * channels + to; ++c) {
                    const real b1 = bias1 ? bias1[c] : REAL(0.0), b2 = bias2 ? bias2[c] : REAL(0.0);
                    const long at = ((long)i * w.C + c) * w.pixels();
                    real *__restrict__ t1 = x1 + at, *__restrict__ t2 = x2 + at;
                    SIMD for (long p = 0; p < w.pixels(); ++p) t1[p] = b1, t2[p] = b2;
                }
            }
        }
        for (long first = (long)b * PQ; first < (long)last * PQ; first += WIDTH) {
            const long rest = (long)last * PQ - first;
            const int count = rest < WIDTH ? (int)rest : WIDTH;
            const int runs = cut(w, work.runs, first, count);
            for (int o = 0; o < maps; o += DEPTH) {
                const int depth = least(DEPTH, maps - o);
                load(w, panels.p[0], map.first, group, o, depth, first, count);
                if (THIRD) load(w, panels.p[2], map.third, group, o, depth, first, count);
                if (map.second)
                    load(w, panels.p[1], map.second, group, o, depth, first, count);
                else
                    squares(panels.p[1], panels.p[0], THIRD ? panels.p[2] : nullptr,
                            (long)depth * WIDTH);
                for (int k = from * w.kh * w.kw; k < to * w.kh * w.kw; k += MAPS) {
                    const int rows = least(MAPS, to * w.kh * w.kw - k);
                    for (int t = 0; t < rows; t += HEIGHT) {
                        const long at = (long)(group * maps + o) * K + k + t;
                        product_strip<THIRD>(least(HEIGHT, rows - t), depth, weights.first + at,
                                            weights.second + at,
                                            THIRD ? weights.third + at : nullptr, 1, K, panels,
                                            work.c1 + t * WIDTH, work.c2 + t * WIDTH, WIDTH, count,
                                            false);
                    }
                    fold(w, x1, x2, work.c1, work.c2, group, work.runs, runs, k, rows);
                }
            }
        }
    });
}

// G = sum over images of z1 unfold(x1)', L = sum of z2 unfold(x2)'; x2 is x1 squared where it is null.
static void weigh(const Window &w, int B, const real *z1, const real *z2, const real *x1,
                  const real *x2, real *G, real *L, bool accumulate) {
    const int K = w.taps(), maps = w.maps(), PQ = w.positions();
    const int strips = (K + WIDTH - 1) / WIDTH, whole = strips * w.groups;
    if (B == 0 && !accumulate)
        for (long i = 0; i < (long)w.O * K; ++i) G[i] = L[i] = 0;
    // Few taps: threads share the maps, and each unfolds for itself.
    const int blocks = (maps + HEIGHT - 1) / HEIGHT;
    const int parts = parts_of(whole, blocks);
    parallel(whole * parts, (double)B * PQ * K * w.O, [&](int task) {
        Workspace &work = own<Workspace>();
        Panels &panels = work.panels;
        const int group = task / parts % w.groups, part = task % parts;
        const int k = task / (parts * w.groups) * WIDTH, count = least(WIDTH, K - k);
        const int from = blocks * part / parts * HEIGHT;
        const int to = least(blocks * (part + 1) / parts * HEIGHT, maps);
        for (int b = 0; b < B; ++b) {
            for (int p = 0; p < PQ; p += PLACEMENTS) {
                const int depth = least(PLACEMENTS, PQ - p);
                const int runs = cut(w, work.runs, (long)b * PQ + p, depth);
                unfold(w, work.rows[0], work.rows[1], STRIDE, x1, x2, group, work.runs, runs, k, count);
                pack_transposed(panels.p[0], work.rows[0], STRIDE, count, depth);
                if (x2)
                    pack_transposed(panels.p[1], work.rows[1], STRIDE, count, depth);
                else
                    squares(panels.p[1], panels.p[0], nullptr, (long)depth * WIDTH);
                for (int m = from; m < to; m += HEIGHT) {
                    const int map = group * maps + m;
                    const long at = ((long)b * w.O + map) * PQ + p, target = (long)map * K + k;
                    product_strip<false>(least(HEIGHT, to - m), depth, z1 + at, z2 + at, nullptr, PQ,
                                        1, panels, G + target, L + target, K, count,
                                        accumulate || b + p > 0);
                }
            }
        }
    });
}

// Sums of d over images and places, per channel of (B, channels, places).
static void bias_sums(real *G, real *L, const real *d_mu, const real *d_var, int B, int channels,
                      long places, bool accumulate) {
    parallel(channels, (double)B * channels * places, [&](int c) {
        vec mean = {}, variance = {};
        for (int b = 0; b < B; ++b) {
            const real *mu = d_mu + ((long)b * channels + c) * places;
            const real *var = d_var + ((long)b * channels + c) * places;
            for (long p = 0; p < places; p += LANES) {
                const int part = places - p < LANES ? (int)(places - p) : (int)LANES;
                mean += load_part(mu + p, part);
                variance += load_part(var + p, part);
            }
        }
        G[c] = (accumulate ? G[c] : REAL(0.0)) + total(mean);
        L[c] = (accumulate ? L[c] : REAL(0.0)) + total(variance);
    });
}

KERNEL conv2d_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a,
                      const real *mu_w, const real *var_w, const real *mu_b, const real *var_b,
                      real *scratch, int B, WINDOW) {
    const Window w = WINDOW_VALUES;
    if (var_a) {
        squares(scratch, mu_w, nullptr, (long)O * w.taps());
        correlate<true>(w, B, {mu_w, var_w, scratch}, {mu_a, nullptr, var_a}, mu_z, var_z, mu_b,
                        var_b, false);
    } else {
        correlate<false>(w, B, {mu_w, var_w, nullptr}, {mu_a, nullptr, nullptr}, mu_z, var_z, mu_b,
                         var_b, false);
    }
}

KERNEL conv2d_backward(real *d_mu_a, real *d_var_a, const real *d_mu_z, const real *d_var_z,
                       const real *mu_w, real *scratch, int B, WINDOW, int accumulate) {
    const Window w = WINDOW_VALUES;
    squares(scratch, mu_w, nullptr, (long)O * w.taps());
    spread<false>(w, B, {mu_w, scratch, nullptr}, {d_mu_z, d_var_z, nullptr}, d_mu_a, d_var_a,
                  nullptr, nullptr, accumulate);
}

KERNEL conv2d_innovation(real *G_w, real *L_w, real *G_b, real *L_b, const real *mu_a,
                         const real *d_mu_z, const real *d_var_z, real *scratch, int B, WINDOW,
                         int accumulate) {
    const Window w = WINDOW_VALUES;
    weigh(w, B, d_mu_z, d_var_z, mu_a, nullptr, G_w, L_w, accumulate);
    if (G_b) bias_sums(G_b, L_b, d_mu_z, d_var_z, B, O, w.positions(), accumulate);
}

KERNEL conv_transpose2d_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a,
                                const real *mu_w, const real *var_w, const real *mu_b,
                                const real *var_b, real *scratch, int B, WINDOW) {
    const Window w = WINDOW_VALUES;
    if (var_a) {
        squares(scratch, mu_w, nullptr, (long)O * w.taps());
        spread<true>(w, B, {mu_w, var_w, scratch}, {mu_a, nullptr, var_a}, mu_z, var_z, mu_b, var_b,
                     false);
    } else {
        spread<false>(w, B, {mu_w, var_w, nullptr}, {mu_a, nullptr, nullptr}, mu_z, var_z, mu_b,
                      var_b, false);
    }
}

KERNEL conv_transpose2d_backward(real *d_mu_a, real *d_var_a, const real *d_mu_z,
                                 const real *d_var_z, const real *mu_w, real *scratch, int B, WINDOW,
                                 int accumulate) {
    const Window w = WINDOW_VALUES;
    squares(scratch, mu_w, nullptr, (long)O * w.taps());
    correlate<false>(w, B, {mu_w, scratch, nullptr}, {d_mu_z, d_var_z, nullptr}, d_mu_a, d_var_a,
                     nullptr, nullptr, accumulate);
}

KERNEL conv_transpose2d_innovation(real *G_w, real *L_w, real *G_b, real *L_b, const real *mu_a,
                                   const real *d_mu_z, const real *d_var_z, real *scratch, int B,
                                   WINDOW, int accumulate) {
    const Window w = WINDOW_VALUES;
    squares(scratch, mu_a, nullptr, (long)B * O * w.positions());
    weigh(w, B, mu_a, scratch, d_mu_z, d_var_z, G_w, L_w, accumulate);
    if (G_b) bias_sums(G_b, L_b, d_mu_z, d_var_z, B, C, w.pixels(), accumulate);
}
