// What stands between matrix products.

// out = mu^2 + var; without var the plain square.
KERNEL second_moment(real *__restrict__ out, const real *__restrict__ mu,
                     const real *__restrict__ var, int n) {
    GRID_STRIDE(i, n) {
        out[i] = mu[i] * mu[i] + (var ? var[i] : REAL(0.0));
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
