// What stands between matrix products.

// out = mu^2 + var; without var the plain square. out (rows, n); rows of mu and var lie `stride` apart.
KERNEL second_moment(real *__restrict__ out, const real *__restrict__ mu,
                     const real *__restrict__ var, int rows, int n, int stride) {
    GRID_STRIDE(i, rows * n) {
        long long at = stride == n ? i : (long long)(i / n) * stride + i % n;
        out[i] = mu[at] * mu[at] + (var ? var[at] : REAL(0.0));
    }
}

// One Gaussian a column, added to all rows.
KERNEL add_bias(real *__restrict__ mu_z, real *__restrict__ var_z, const real *__restrict__ mu_b,
                const real *__restrict__ var_b, int O, int n) {
    GRID_STRIDE(i, n) {
        int o = i % O;
        mu_z[i] += mu_b[o];
        var_z[i] += var_b[o];
    }
}
