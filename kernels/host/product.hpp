// Matrix products in pairs: a mean and a variance that run over the same indices share one pass.
//
//     C1 = A1 P1,   C2 = A2 P2 (+ A3 P3)          (added to C1 and C2 with `accumulate`)
//
// A* are (M, K) with any row and column stride; P* are (K, N) and never exist as a whole: `pack` writes
// a panel of WIDTH columns and up to DEPTH rows into a small buffer, from whatever the caller has.
// C* are (M, N), row-major. A register tile is HEIGHT x WIDTH of both results.

#include "threads.hpp"

#if defined(__AVX512F__)
enum { BYTES = 64, HEIGHT = 6 };
#elif defined(__AVX__)
enum { BYTES = 32, HEIGHT = 3 };
#else
enum { BYTES = 16, HEIGHT = 3 };
#endif
enum { LANES = BYTES / sizeof(real), VECTORS = 2, WIDTH = VECTORS * LANES, DEPTH = 512 };

typedef real vec __attribute__((vector_size(BYTES)));
typedef real vec_anywhere __attribute__((vector_size(BYTES), aligned(sizeof(real))));

// A panel of each operand, aligned for vector loads.
struct Panels {
    alignas(64) real p[3][DEPTH * WIDTH];
};

template <int ROWS, bool THIRD>
static inline void product_tile(int K, const real *a1, const real *a2, const real *a3, long row,
                                long column, const Panels &panels, real *c1, real *c2, int N,
                                int count, bool accumulate) {
    vec s1[ROWS][VECTORS] = {}, s2[ROWS][VECTORS] = {};
    const vec *p1 = (const vec *)panels.p[0], *p2 = (const vec *)panels.p[1],
              *p3 = (const vec *)panels.p[2];
    for (int k = 0; k < K; ++k) {
        for (int r = 0; r < ROWS; ++r) {
            real x1 = a1[r * row + k * column], x2 = a2[r * row + k * column];
            for (int v = 0; v < VECTORS; ++v) {
                s1[r][v] += x1 * p1[k * VECTORS + v];
                s2[r][v] += x2 * p2[k * VECTORS + v];
            }
            if (THIRD) {
                real x3 = a3[r * row + k * column];
                for (int v = 0; v < VECTORS; ++v) s2[r][v] += x3 * p3[k * VECTORS + v];
            }
        }
    }
    for (int r = 0; r < ROWS; ++r) {
        real *to1 = c1 + (long)r * N, *to2 = c2 + (long)r * N;
        if (count == WIDTH) {
            for (int v = 0; v < VECTORS; ++v) {
                vec_anywhere *t1 = (vec_anywhere *)(to1 + v * LANES);
                vec_anywhere *t2 = (vec_anywhere *)(to2 + v * LANES);
                *t1 = accumulate ? *t1 + s1[r][v] : s1[r][v];
                *t2 = accumulate ? *t2 + s2[r][v] : s2[r][v];
            }
        } else {
            const real *from1 = (const real *)s1[r], *from2 = (const real *)s2[r];
            for (int j = 0; j < count; ++j) {
                to1[j] = accumulate ? to1[j] + from1[j] : from1[j];
                to2[j] = accumulate ? to2[j] + from2[j] : from2[j];
            }
        }
    }
}

template <bool THIRD>
static inline void product_rows(int rows, int K, const real *a1, const real *a2, const real *a3,
                                long row, long column, const Panels &panels, real *c1, real *c2,
                                int N, int count, bool accumulate) {
#define TILE(n)                                                                               \
    case n:                                                                                   \
        product_tile<(n <= HEIGHT ? n : 1), THIRD>(K, a1, a2, a3, row, column, panels, c1, c2, N, \
                                                   count, accumulate);                        \
        break;
    switch (rows) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
    }
#undef TILE
}

// `pack(panels, first column, columns, first k, ks)` fills panels.p[*][k * WIDTH + j], zero beyond `columns`.
template <bool THIRD, typename Pack>
static void products(int M, int N, int K, const real *A1, const real *A2, const real *A3, long row,
                     long column, const Pack &pack, real *C1, real *C2, bool accumulate) {
    int strips = (N + WIDTH - 1) / WIDTH;
    if (K == 0 && !accumulate)
        for (long i = 0; i < (long)M * N; ++i) C1[i] = C2[i] = 0;
    parallel(strips, (double)M * N * K, [&](int strip) {
        static thread_local Panels panels;
        int first = strip * WIDTH, count = N - first < WIDTH ? N - first : WIDTH;
        for (int k = 0; k < K; k += DEPTH) {
            int depth = K - k < DEPTH ? K - k : DEPTH;
            pack(panels, first, count, k, depth);
            for (int m = 0; m < M; m += HEIGHT) {
                int rows = M - m < HEIGHT ? M - m : HEIGHT;
                long at = m * row + k * column;
                product_rows<THIRD>(rows, depth, A1 + at, A2 + at, THIRD ? A3 + at : nullptr, row,
                                    column, panels, C1 + (long)m * N + first,
                                    C2 + (long)m * N + first, N, count, accumulate || k > 0);
            }
        }
    });
}

// A panel of a row-major matrix (K, N): rows are copied, and squared for the second operand.
static inline void pack_rows(real *__restrict__ to, real *__restrict__ squared,
                             const real *__restrict__ from, long N, int count, int depth) {
    for (int k = 0; k < depth; ++k) {
        const real *x = from + k * N;
        if (count == WIDTH) {
            SIMD for (int j = 0; j < WIDTH; ++j) {
                to[k * WIDTH + j] = x[j];
                squared[k * WIDTH + j] = x[j] * x[j];
            }
        } else {
            for (int j = 0; j < WIDTH; ++j) {
                real value = j < count ? x[j] : REAL(0.0);
                to[k * WIDTH + j] = value;
                squared[k * WIDTH + j] = value * value;
            }
        }
    }
}

// A panel of the transpose of a row-major matrix (N, K), by blocks that stay in registers and cache.
static inline void pack_transposed(real *__restrict__ to, const real *__restrict__ from, long K,
                                   int count, int depth) {
    enum { BLOCK = 16 };
    for (int k0 = 0; k0 < depth; k0 += BLOCK) {
        int ks = depth - k0 < BLOCK ? depth - k0 : BLOCK;
        for (int j = 0; j < count; ++j) {
            const real *x = from + j * K + k0;
            for (int k = 0; k < ks; ++k) to[(k0 + k) * WIDTH + j] = x[k];
        }
        for (int k = 0; k < ks; ++k)
            for (int j = count; j < WIDTH; ++j) to[(k0 + k) * WIDTH + j] = 0;
    }
}
