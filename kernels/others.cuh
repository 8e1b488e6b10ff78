// Sums over the rest of a row.

#include "blocks.cuh"

// The sum of a row without its largest element. OTHERS is then the sum without element k, which loses
// no digits where one element outweighs all others, as sum - x[k] would.
DEVICE void without_largest(const real *x, int K, int *largest, real *top, real *rest) {
    int at = FIRST_COLUMN < K ? FIRST_COLUMN : -1;
    real best = at < 0 ? REAL(0.0) : x[at], others = 0;
    EACH_COLUMN(k, K) {
        at = x[k] > best ? k : at;
        best = x[k] > best ? x[k] : best;
    }
    WINNER(best, at);
    SIMD_SUM(others) EACH_COLUMN(k, K) others += k == at ? REAL(0.0) : x[k];
    *largest = at;
    *top = best;
    *rest = TOTAL(others);
}
#define OTHERS(x, k, largest, top, rest) ((k) == (largest) ? (rest) : (rest) - (x)[k] + (top))
