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
// (y, x) is where their first tap (0, 0) lies in image `b`.
struct Run {
    int at, count, b, y, x;
};

static inline int least(int a, int b) { return a < b ? a : b; }

// Cut `count` placements from `first` on, counted through all images, into runs.
static int cut(const Window &w, Run *runs, long first, int count) {
    int n = 0;
    long b = first / w.positions();
    int rest = (int)(first % w.positions()), p = rest / w.Q, q = rest % w.Q;
    for (int at = 0; at < count; ++n) {
        int length = least(w.Q - q, count - at);
        runs[n] = {at, length, (int)b, p * w.sh - w.top, q * w.sw - w.left};
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
static inline void read_row(real *__restrict__ to, const real *row, int x, int step, int W,
                            int count) {
    int low, high;
    bounds(x, step, W, count, &low, &high);
    const real *from = row + x;
    for (int v = 0; v < count; v += LANES) {
        if (step == 1) {
            SIMD for (int j = 0; j < LANES; ++j) to[v + j] =
                v + j >= low && v + j < high ? from[v + j] : REAL(0.0);
        } else {
            SIMD for (int j = 0; j < LANES; ++j) to[v + j] =
                v + j >= low && v + j < high ? from[(v + j) * step] : REAL(0.0);
        }
    }
}

// row[x + j step] += from[j], nothing outside.
static inline void add_row(real *row, const real *__restrict__ from, int x, int step, int W,
                           int count) {
    int low, high;
    bounds(x, step, W, count, &low, &high);
    real *to = row + x;
    for (int v = 0; v < high; v += LANES) {
        if (step == 1) {
            SIMD for (int j = 0; j < LANES; ++j) {
                if (v + j >= low && v + j < high) to[v + j] += from[v + j];
            }
        } else {
            for (int j = v > low ? v : low; j < least(v + LANES, high); ++j) to[j * step] += from[j];
        }
    }
}

// A tap of a group: channel and place in the kernel, counted up one by one.
struct Tap {
    int c, i, j;
    Tap(const Window &w, int k) : c(k / (w.kh * w.kw)), i(k / w.kw % w.kh), j(k % w.kw) {}
    void next(const Window &w) {
        if (++j == w.kw) j = 0, ++i;
        if (i == w.kh) i = 0, ++c;
    }
};

// The unfolded image: taps k ... k + depth of a group as rows of length `stride`.
static void unfold(const Window &w, real *to, int stride, const real *image, int group,
                   const Run *runs, int n, int k, int depth) {
    Tap tap(w, k);
    for (int t = 0; t < depth; ++t, to += stride, tap.next(w)) {
        int channel = group * w.channels() + tap.c;
        for (int r = 0; r < n; ++r) {
            const Run &run = runs[r];
            int y = run.y + tap.i * w.dh;
            if (y < 0 || y >= w.H) {
                for (int v = 0; v < run.count; v += LANES)
                    SIMD for (int j = 0; j < LANES; ++j) to[run.at + v + j] = 0;
            } else {
                const real *row = image + ((long)run.b * w.C + channel) * w.pixels() + (long)y * w.W;
                read_row(to + run.at, row, run.x + tap.j * w.dw, w.sw, w.W, run.count);
            }
        }
    }
}

// The adjoint: add `rows` rows of WIDTH placements to the pixels that they come from.
static void fold(const Window &w, real *image, const real *from, int group, const Run *runs, int n,
                 int k, int rows) {
    Tap tap(w, k);
    for (int t = 0; t < rows; ++t, from += WIDTH, tap.next(w)) {
        int channel = group * w.channels() + tap.c;
        for (int r = 0; r < n; ++r) {
            const Run &run = runs[r];
            int y = run.y + tap.i * w.dh;
            if (y < 0 || y >= w.H) continue;
            real *row = image + ((long)run.b * w.C + channel) * w.pixels() + (long)y * w.W;
            add_row(row, from + run.at, run.x + tap.j * w.dw, w.sw, w.W, run.count);
        }
    }
}

// Columns `first` ... of a map's panel: row o holds map o of a group.
static void load(const Window &w, real *to, const real *map, int group, int o, int depth, long first,
                 int count) {
    const int PQ = w.positions();
    for (int t = 0; t < depth; ++t, to += WIDTH) {
        for (int j = 0; j < count;) {
            const long b = (first + j) / PQ, p = (first + j) % PQ;
            const int n = least(count - j, (int)(PQ - p));
            const real *from = map + (b * w.O + group * w.maps() + o + t) * PQ + p - j;
            for (int i = j; i < j + n; ++i) to[i] = from[i];
            j += n;
        }
    }
}
