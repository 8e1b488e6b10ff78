// Rows picked from the data in the order of an epoch.

#include "blocks.cuh"

KERNEL gather_rows(real *__restrict__ out, const real *__restrict__ table,
                   const int *__restrict__ order, const int *__restrict__ cursor, int B, int n) {
    int first = cursor[0];
    EACH_ROW(b, B) {
        const real *row = table + (long long)order[first + b] * n;
        SIMD EACH_COLUMN(i, n) out[b * n + i] = row[i];
    }
}

KERNEL advance(int *__restrict__ cursor, int B) {
    GRID_STRIDE(i, 1) cursor[0] += B;
}

KERNEL fill(real *__restrict__ out, real value, int n) {
    SIMD GRID_STRIDE(i, n) out[i] = value;
}
