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

// Window i are the T rows of C columns from row starts[i] on, less center[i] and divided by scale[i] (both
// `(n, C)`, or null for rows as they are).
KERNEL gather_windows(real *__restrict__ out, const real *__restrict__ rows,
                      const int *__restrict__ starts, const int *__restrict__ order,
                      const int *__restrict__ cursor, const real *__restrict__ center,
                      const real *__restrict__ scale, int B, int T, int C) {
    int first = cursor[0], n = T * C;
    EACH_ROW(b, B) {
        int i = order[first + b];
        const real *from = rows + (long long)starts[i] * C;
        real *to = out + (long long)b * n;
        if (center) {
            const real *m = center + (long long)i * C, *s = scale + (long long)i * C;
            EACH_COLUMN(k, n) {
                int c = C == 1 ? 0 : k % C;
                to[k] = (from[k] - m[c]) / s[c];
            }
        } else {
            SIMD EACH_COLUMN(k, n) to[k] = from[k];
        }
    }
}

// Row b of a batch goes on from carried row b where `follows` says so, else from row `fresh`.
KERNEL follow_rows(int *__restrict__ continues, const int *__restrict__ follows,
                   const int *__restrict__ cursor, int fresh, int B) {
    int first = cursor[0];
    GRID_STRIDE(b, B) continues[b] = follows[first + b] ? b : fresh;
}

// What the rows of a batch that have a slot leave behind: `n` elements of `carried` to `kept`.
KERNEL keep_rows(real *__restrict__ kept, real *__restrict__ held, const real *__restrict__ carried,
                 const int *__restrict__ slots, const int *__restrict__ order,
                 const int *__restrict__ cursor, int B, int n) {
    int first = cursor[0];
    EACH_ROW(b, B) {
        int slot = slots[order[first + b]];
        if (slot < 0) continue;
        EACH_COLUMN(k, n) kept[(long long)slot * n + k] = carried[(long long)b * n + k];
        if (LEADER) held[slot] = REAL(1.0);
    }
}

KERNEL advance(int *__restrict__ cursor, int B) {
    GRID_STRIDE(i, 1) cursor[0] += B;
}

KERNEL fill(real *__restrict__ out, real value, int n) {
    SIMD GRID_STRIDE(i, n) out[i] = value;
}
