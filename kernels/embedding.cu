// Rows of a table of Gaussian vectors, picked by ids. An id outside the table gives NaN, the padding
// id zeros; neither is learnt from.

#include "blocks.cuh"

KERNEL embedding_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                         const real *__restrict__ ids, const real *__restrict__ mu_w,
                         const real *__restrict__ var_w, int padding, int n, int V, int D) {
    EACH_ROW(r, n) {
        bool valid = ids[r] >= REAL(0.0) && ids[r] < (real)V;
        int id = valid ? (int)ids[r] : 0;
        const real *m = mu_w + (long long)id * D, *v = var_w + (long long)id * D;
        real *a = mu_z + (long long)r * D, *s = var_z + (long long)r * D;
        if (valid && id != padding) {
            SIMD EACH_COLUMN(d, D) {
                a[d] = m[d];
                s[d] = v[d];
            }
        } else {
            real fill = valid ? REAL(0.0) : (ids[r] - ids[r]) / REAL(0.0);
            SIMD EACH_COLUMN(d, D) a[d] = s[d] = fill;
        }
    }
}

// One thread per column of the table, on the host one for all: a thread walks through the ids.
KERNEL embedding_innovation(real *__restrict__ G, real *__restrict__ L,
                            const real *__restrict__ ids, const real *__restrict__ d_mu_z,
                            const real *__restrict__ d_var_z, int padding, int n, int V, int D,
                            int accumulate) {
    if (!accumulate) {
        for (int id = 0; id < V; ++id) {
            SIMD GRID_STRIDE(d, D) {
                G[(long long)id * D + d] = 0;
                L[(long long)id * D + d] = 0;
            }
        }
    }
    for (int r = 0; r < n; ++r) {
        bool valid = ids[r] >= REAL(0.0) && ids[r] < (real)V;
        int id = valid ? (int)ids[r] : padding;
        if (id == padding || !valid) continue;
        real *g = G + (long long)id * D, *l = L + (long long)id * D;
        const real *m = d_mu_z + (long long)r * D, *v = d_var_z + (long long)r * D;
        SIMD GRID_STRIDE(d, D) {
            g[d] += m[d];
            l[d] += v[d];
        }
    }
}
