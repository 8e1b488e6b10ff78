// Matrix products in pairs: a mean and a variance that run over the same indices share one pass.
//
//     C1 = A1 P1,   C2 = A2 P2 (+ A3 P3)          (added to C1 and C2 with `accumulate`)
//
// A* are (M, K) with any row and column stride; P* are (K, N) and never exist as a whole: `pack` writes
// a panel of WIDTH columns and up to DEPTH rows into a small buffer, from whatever the caller has.
// C* are (M, N), row-major. A register tile is HEIGHT x WIDTH of both results.

#include "threads.hpp"
#include "vectors.hpp"

enum { HEIGHT = BYTES == 64 ? 6 : 3, VECTORS = 2, WIDTH = VECTORS * LANES, DEPTH = 512 };

// A panel of each operand, aligned for vector loads.
struct Panels {
    alignas(64) real p[3][DEPTH * WIDTH];
};

// This thread's `Of`. Its address goes through an `asm`, else compilers look it up anew in inner loops, by a call.
template <typename Of>
static inline Of &own() {
    static thread_local Of of_this_thread;
    Of *found = &of_this_thread;
    asm("" : "+r"(found));
    return *found;
}

// ROWS x COLUMNS vectors of both results; the last vector has `tail` columns.
template <int ROWS, int COLUMNS, bool THIRD>
static inline void product_tile(int K, const real *a1, const real *a2, const real *a3, long row,
                                long column, const Panels &panels, real *c1, real *c2, int N,
                                int tail, bool accumulate) {
    vec s1[ROWS][COLUMNS] = {}, s2[ROWS][COLUMNS] = {};
    const vec *p1 = (const vec *)panels.p[0], *p2 = (const vec *)panels.p[1],
              *p3 = (const vec *)panels.p[2];
    for (int k = 0; k < K; ++k) {
        for (int r = 0; r < ROWS; ++r) {
            real x1 = a1[r * row + k * column], x2 = a2[r * row + k * column];
            for (int v = 0; v < COLUMNS; ++v) {
                s1[r][v] += x1 * p1[k * VECTORS + v];
                s2[r][v] += x2 * p2[k * VECTORS + v];
            }
            if (THIRD) {
                real x3 = a3[r * row + k * column];
                for (int v = 0; v < COLUMNS; ++v) s2[r][v] += x3 * p3[k * VECTORS + v];
            }
        }
    }
    for (int r = 0; r < ROWS; ++r) {
        for (int v = 0; v < COLUMNS; ++v) {
            real *to1 = c1 + (long)r * N + v * LANES, *to2 = c2 + (long)r * N + v * LANES;
            int n = v == COLUMNS - 1 ? tail : (int)LANES;
            if (accumulate) {
                s1[r][v] += load_part(to1, n);
                s2[r][v] += load_part(to2, n);
            }
            store_part(to1, s1[r][v], n);
            store_part(to2, s2[r][v], n);
        }
    }
}

template <int COLUMNS, bool THIRD>
static inline void product_rows(int rows, int K, const real *a1, const real *a2, const real *a3,
                                long row, long column, const Panels &panels, real *c1, real *c2,
                                int N, int tail, bool accumulate) {
#define TILE(n)                                                                              \
    case n:                                                                                  \
        product_tile<(n <= HEIGHT ? n : 1), COLUMNS, THIRD>(K, a1, a2, a3, row, column, panels, \
                                                            c1, c2, N, tail, accumulate);    \
        break;
    switch (rows) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
    }
#undef TILE
}

// The same for a panel with `count` columns.
template <bool THIRD>
static inline void product_strip(int rows, int K, const real *a1, const real *a2, const real *a3,
                                 long row, long column, const Panels &panels, real *c1, real *c2,
                                 int N, int count, bool accumulate) {
    if (count > LANES)
        product_rows<VECTORS, THIRD>(rows, K, a1, a2, a3, row, column, panels, c1, c2, N,
                                     count - LANES, accumulate);
    else
        product_rows<1, THIRD>(rows, K, a1, a2, a3, row, column, panels, c1, c2, N, count,
                               accumulate);
}

// `pack(panels, first column, columns, first k, ks)` fills panels.p[*][k * WIDTH + j], zero beyond `columns`.
template <bool THIRD, typename Pack>
static void products(int M, int N, int K, const real *A1, const real *A2, const real *A3, long row,
                     long column, const Pack &pack, real *C1, real *C2, bool accumulate) {
    int strips = (N + WIDTH - 1) / WIDTH;
    if (K == 0 && !accumulate)
        for (long i = 0; i < (long)M * N; ++i) C1[i] = C2[i] = 0;
    parallel(strips, (double)M * N * K, [&](int strip) {
        Panels &panels = own<Panels>();
        int first = strip * WIDTH, count = N - first < WIDTH ? N - first : WIDTH;
        for (int k = 0; k < K; k += DEPTH) {
            int depth = K - k < DEPTH ? K - k : DEPTH;
            pack(panels, first, count, k, depth);
            for (int m = 0; m < M; m += HEIGHT) {
                int rows = M - m < HEIGHT ? M - m : HEIGHT;
                long at = m * row + k * column;
                const real *a1 = A1 + at, *a2 = A2 + at, *a3 = THIRD ? A3 + at : nullptr;
                real *c1 = C1 + (long)m * N + first, *c2 = C2 + (long)m * N + first;
                bool add = accumulate || k > 0;
                product_strip<THIRD>(rows, depth, a1, a2, a3, row, column, panels, c1, c2, N, count,
                                     add);
            }
        }
    });
}

// A panel of a row-major matrix (K, N): rows are copied, and squared for the second operand.
static inline void pack_rows(real *to, real *squared, const real *from, long N, int count,
                             int depth) {
    vec *x = (vec *)to, *square = (vec *)squared;
    for (int k = 0; k < depth; ++k) {
        for (int v = 0; v < VECTORS; ++v) {
            int n = count - v * LANES;
            vec part = n > 0 ? load_part(from + k * N + v * LANES, n) : vec{};
            x[k * VECTORS + v] = part;
            square[k * VECTORS + v] = part * part;
        }
    }
}

// One stage of a transpose by exchange: lanes whose bit S is set change places with the other row's.
template <int S, int... J>
static inline void exchange(vec &a, vec &b, Indices<J...>) {
    vec low = __builtin_shuffle(a, b, index_vec{(index)(J & S ? LANES + J - S : J)...});
    b = __builtin_shuffle(a, b, index_vec{(index)(J & S ? LANES + J : J + S)...});
    a = low;
}

template <int S>
static inline void exchange_all(vec (&x)[LANES]) {
#pragma GCC unroll 16
    for (int r = 0; r < LANES; ++r)
        if (!(r & S)) exchange<S>(x[r], x[r + S], typename Count<LANES>::type());
    if constexpr (2 * S < LANES) exchange_all<2 * S>(x);
}

// A panel of the transpose of a row-major matrix (N, K), in square blocks that stay in registers.
static inline void pack_transposed(real *to, const real *from, long K, int count, int depth) {
    vec *out = (vec *)to;
    for (int v = 0; v < VECTORS; ++v) {
        int rows = count - v * LANES;
        for (int k = 0; k < depth; k += LANES) {
            int ks = depth - k;
            vec x[LANES];
#pragma GCC unroll 16
            for (int r = 0; r < LANES; ++r)
                x[r] = r < rows ? load_part(from + (v * LANES + r) * K + k, ks) : vec{};
            exchange_all<1>(x);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; ++r)
                if (r < ks) out[(k + r) * VECTORS + v] = x[r];
        }
    }
}
