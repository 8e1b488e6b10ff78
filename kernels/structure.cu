// Moving moments and innovations between values without mixing them: sums of branches, blocks of columns.

#include "blocks.cuh"

// z may be a itself, so that a sum of several branches grows in place.
KERNEL add_forward(real *mu_z, real *var_z, const real *mu_a, const real *var_a,
                   const real *__restrict__ mu_b, const real *__restrict__ var_b, int n) {
    SIMD GRID_STRIDE(i, n) mu_z[i] = mu_a[i] + mu_b[i];
    if (var_a && var_b) {
        SIMD GRID_STRIDE(i, n) var_z[i] = var_a[i] + var_b[i];
    } else if (var_z) {
        const real *only = var_a ? var_a : var_b;
        SIMD GRID_STRIDE(i, n) var_z[i] = only[i];
    }
}

KERNEL pass_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                     const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int n,
                     int accumulate) {
    if (accumulate) {
        SIMD GRID_STRIDE(i, n) {
            d_mu_a[i] += d_mu_z[i];
            d_var_a[i] += d_var_z[i];
        }
    } else {
        SIMD GRID_STRIDE(i, n) {
            d_mu_a[i] = d_mu_z[i];
            d_var_a[i] = d_var_z[i];
        }
    }
}

KERNEL copy_columns(real *__restrict__ first, real *__restrict__ second,
                    const real *__restrict__ first_in, const real *__restrict__ second_in, int rows,
                    int width, int width_in, int start, int start_in, int n, int accumulate) {
    EACH_ROW(b, rows) {
        real *p = first + (long long)b * width + start;
        const real *p_in = first_in ? first_in + (long long)b * width_in + start_in : first_in;
        real *q = second ? second + (long long)b * width + start : second;
        const real *q_in = second_in ? second_in + (long long)b * width_in + start_in : second_in;
        if (accumulate) {
            if (p_in) SIMD EACH_COLUMN(i, n) p[i] += p_in[i];
            if (q && q_in) SIMD EACH_COLUMN(i, n) q[i] += q_in[i];
        } else {
            SIMD EACH_COLUMN(i, n) p[i] = p_in ? p_in[i] : REAL(0.0);
            if (q) SIMD EACH_COLUMN(i, n) q[i] = q_in ? q_in[i] : REAL(0.0);
        }
    }
}

// A pair of arrays with their axes in another order: the output's sizes, and the distance in the input
// of neighbours along each of its axes.
KERNEL transpose(real *__restrict__ first, real *__restrict__ second,
                 const real *__restrict__ first_in, const real *__restrict__ second_in, int n0,
                 int n1, int n2, int n3, int n4, int step0, int step1, int step2, int step3,
                 int step4, int accumulate) {
    EACH_ROW(row, n0 * n1 * n2 * n3) {
        int rest = row / n3;
        long long from = (long long)(row % n3) * step3 + (long long)(rest % n2) * step2;
        rest /= n2;
        from += (long long)(rest % n1) * step1 + (long long)(rest / n1) * step0;
        long long to = (long long)row * n4;
        EACH_COLUMN(i, n4) {
            long long place = from + (long long)i * step4;
            first[to + i] = first_in[place] + (accumulate ? first[to + i] : REAL(0.0));
            if (second) {
                second[to + i] = second_in[place] + (accumulate ? second[to + i] : REAL(0.0));
            }
        }
    }
}
