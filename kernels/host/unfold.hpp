// Images unfolded into rows of placements, one row per tap, and folded back.
//
// The kernel slides over an image (C, H, W); a map (O, P, Q) has one entry per placement. Entry (p, q)
// and tap (i, j) meet at pixel (p sh + i dh - top, q sw + j dw - left), which counts as zero outside.
// Rows are written in whole vectors: up to LANES - 1 elements past their end are overwritten.

#include "product.hpp"

#define WINDOW                                                                                    \
    int C, int H, int W, int O, int P, int Q, int kh, int kw, int sh, int sw, int dh, int dw,     \
        int top, int left, int groups
#define WINDOW_VALUES \
    { C, H, W, O, P, Q, kh, kw, sh, sw, dh, dw, top, left, groups }

struct Window {
    int C, H, W, O, P, Q, kh, kw, sh, sw, dh, dw, top, left, groups;
    int channels() const { return C / groups; }
    int maps() const { return O / groups; }
    int taps() const { return channels() * kh * kw; }
    int positions() const { return P * Q; }
    long pixels() const { return (long)H * W; }
};

// Placements next to each other in a row of the map: `count` of them, the first at column `at` of a panel;
// (y, x) is where their first tap (0, 0) lies in an image, and `pixel` where among the pixels of all images.
struct Run {
    int at, count, y, x;
    long pixel;
};

static inline int least(int a, int b) { return a < b ? a : b; }

// Cut `count` placements from `first` on, counted through all images, into runs.
static int cut(const Window &w, Run *runs, long first, int count) {
    int n = 0;
    long b = first / w.positions();
    int rest = (int)(first % w.positions()), p = rest / w.Q, q = rest % w.Q;
    for (int at = 0; at < count; ++n) {
        int length = least(w.Q - q, count - at);
        const int y = p * w.sh - w.top, x = q * w.sw - w.left;
        runs[n] = {at, length, y, x, b * w.C * w.pixels() + (long)y * w.W + x};
        at += length;
        q = 0;
        if (++p == w.P) p = 0, ++b;
    }
    return n;
}

// Which of the pixels x, x + step, ... (count of them) lie in [0, W): from `low` on, before `high`.
static inline void bounds(int x, int step, int W, int count, int *low, int *high) {
    if (step == 1) {
        *low = x < 0 ? -x : 0;
        *high = least(W - x, count);
    } else {
        *low = x < 0 ? (step - 1 - x) / step : 0;
        *high = x < W ? least((W - 1 - x) / step + 1, count) : 0;
    }
}

// to[j] = row[x + j step], zero outside; written up to a whole number of vectors.
static inline void read_row(real *__restrict__ to, const real *from, int step, int low, int high,
                            int count) {
    for (int v = 0; v < count; v += LANES) {
        SIMD for (int j = 0; j < LANES; ++j) to[v + j] =
            v + j >= low && v + j < high ? from[(v + j) * step] : REAL(0.0);
    }
}

// A tap of a group: channel and place in the kernel, counted up one by one.
struct Tap {
    int c, i, j;
    Tap(const Window &w, int k) : c(k / (w.kh * w.kw)), i(k / w.kw % w.kh), j(k % w.kw) {}
    // How much further than tap (0, 0) of the first channel its pixel lies.
    long offset(const Window &w, int group) const {
        return (group * w.channels() + c) * w.pixels() + (long)i * w.dh * w.W + j * w.dw;
    }
    void next(const Window &w) {
        if (++j == w.kw) j = 0, ++i;
        if (i == w.kh) i = 0, ++c;
    }
};

// Calls body(run, first pixel, low, high) for the runs of a tap: pixels from `low` on and before `high` lie
// inside the image, a step apart; none where the row lies outside.
template <typename Body>
static inline void along(const Window &w, const Tap &tap, int group, const Run *runs, int n,
                         const Body &body) {
    const long offset = tap.offset(w, group);
    for (int r = 0; r < n; ++r) {
        const Run &run = runs[r];
        const int y = run.y + tap.i * w.dh, x = run.x + tap.j * w.dw;
        int low = 0, high = 0;
        if (y >= 0 && y < w.H) bounds(x, w.sw, w.W, run.count, &low, &high);
        body(run, run.pixel + offset, low, high);
    }
}

// Unfolded images: taps k ... k + depth of a group as rows of length `stride`. The second may be null.
static void unfold(const Window &w, real *to1, real *to2, int stride, const real *image1,
                   const real *image2, int group, const Run *runs, int n, int k, int depth) {
    Tap tap(w, k);
    for (int t = 0; t < depth;) {
        const int taps = w.sw == 1 ? least(w.kw - tap.j, depth - t) : 1;
        if (w.sw == 1) {
            // The taps of a row of the kernel: the same pixels, `dw` further from tap to tap.
            const long offset = tap.offset(w, group);
            for (int r = 0; r < n; ++r) {
                const Run &run = runs[r];
                const int y = run.y + tap.i * w.dh, x = run.x + tap.j * w.dw;
                const int W = y >= 0 && y < w.H ? w.W : 0;
                const bool inside = x >= 0 && x + (taps - 1) * w.dw + run.count <= W;
                for (int v = 0; v < run.count; v += LANES) {
                    const unsigned long long all = lanes_between(0, run.count - v);
                    const int room = stride - run.at - v;  // the next row may be there already
                    long at = (long)t * stride + run.at + v, pixel = run.pixel + offset + v;
                    for (int u = 0; u < taps; ++u, at += stride, pixel += w.dw) {
                        const int first = x + v + u * w.dw;
                        const auto bits = inside ? all : all & lanes_between(-first, W - first);
                        store_part(to1 + at, load_lanes(image1 + pixel, bits), room);
                        if (image2) store_part(to2 + at, load_lanes(image2 + pixel, bits), room);
                    }
                }
            }
        } else {
            along(w, tap, group, runs, n, [&](const Run &run, long pixel, int low, int high) {
                const long at = (long)t * stride + run.at;
                read_row(to1 + at, image1 + pixel, w.sw, low, high, run.count);
                if (image2) read_row(to2 + at, image2 + pixel, w.sw, low, high, run.count);
            });
        }
        t += taps;
        for (int u = 0; u < taps; ++u) tap.next(w);
    }
}

// row[x] += from[j] for the pixels x = j step; none outside.
static inline void add_row(real *to, const real *__restrict__ from, int step, int low, int high) {
    for (int j = low; j < high; ++j) to[j * step] += from[j];
}

// row[x] += sum over taps u < taps of from[u WIDTH + x - u dw], for the pixels x from `low` on and before `high`
// of a row, for two images; `count` <= WIDTH placements exist. The sums stay in registers: to load what was
// stored a moment ago, a lane further, would have to wait for it.
static inline void add_taps(real *to1, real *to2, const real *from1, const real *from2, int taps,
                            int dw, int count, int low, int high) {
    const unsigned long long all = (1ull << count) - 1;
    if (low == 0 && high <= LANES && (taps - 1) * dw + count == high) {  // all fits one vector
        vec sum1 = load_part(to1, high), sum2 = load_part(to2, high);
        unsigned long long bits = all;
        for (int u = 0; u < taps; ++u, bits <<= dw, from1 += WIDTH - dw, from2 += WIDTH - dw) {
            sum1 += load_lanes(from1, bits);
            sum2 += load_lanes(from2, bits);
        }
        store_part(to1, sum1, high);
        store_part(to2, sum2, high);
        return;
    }
    for (int x = low; x < high; x += LANES) {
        const int n = least(high - x, LANES);
        vec sum1 = load_part(to1 + x, n), sum2 = load_part(to2 + x, n);
        for (int u = 0; u < taps; ++u) {
            const int shift = u * dw - x;
            if (shift <= -count || shift >= LANES) continue;
            const unsigned long long bits = shift < 0 ? all >> -shift : all << shift;
            sum1 += load_lanes(from1 + u * WIDTH - shift, bits);
            sum2 += load_lanes(from2 + u * WIDTH - shift, bits);
        }
        store_part(to1 + x, sum1, n);
        store_part(to2 + x, sum2, n);
    }
}

// The adjoint: add rows of WIDTH placements to the pixels that they come from.
static void fold(const Window &w, real *image1, real *image2, const real *from1, const real *from2,
                 int group, const Run *runs, int n, int k, int rows) {
    Tap tap(w, k);
    for (int t = 0; t < rows;) {
        const int taps = w.sw == 1 ? least(w.kw - tap.j, rows - t) : 1;
        if (taps > 1) {
            const long offset = tap.offset(w, group);
            for (int r = 0; r < n; ++r) {
                const Run &run = runs[r];
                const int y = run.y + tap.i * w.dh, x = run.x + tap.j * w.dw;
                if (y < 0 || y >= w.H) continue;
                const int low = x < 0 ? -x : 0;
                const int high = least(w.W - x, (taps - 1) * w.dw + run.count);
                const long pixel = run.pixel + offset;
                const int at = t * WIDTH + run.at;
                add_taps(image1 + pixel, image2 + pixel, from1 + at, from2 + at, taps, w.dw,
                         run.count, low, high);
            }
        } else {
            along(w, tap, group, runs, n, [&](const Run &run, long pixel, int low, int high) {
                const int at = t * WIDTH + run.at;
                add_row(image1 + pixel, from1 + at, w.sw, low, high);
                add_row(image2 + pixel, from2 + at, w.sw, low, high);
            });
        }
        t += taps;
        for (int u = 0; u < taps; ++u) tap.next(w);
    }
}

// Columns `first` ... of a map's panel: row t holds map o + t of a group.
static void load(const Window &w, real *to, const real *map, int group, int o, int depth, long first,
                 int count) {
    const int PQ = w.positions();
    for (int j = 0; j < count;) {
        const long b = (first + j) / PQ, p = (first + j) % PQ;
        const int n = least(count - j, (int)(PQ - p));
        const real *from = map + (b * w.O + group * w.maps() + o) * PQ + p;
        for (int t = 0; t < depth; ++t) {
            for (int v = 0; v < n; v += LANES) {
                const int part = least(n - v, LANES);
                store_part(to + t * WIDTH + j + v, load_part(from + (long)t * PQ + v, part), part);
            }
        }
        j += n;
    }
}
