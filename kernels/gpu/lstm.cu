// LSTM: what its matrix products are made of. Sizes and orders as in kernels/lstm.cu; pairs of gates go
// first each with itself, then as the covariances in `sums`.

DEVICE void gates_of(int pair, int *first, int *second) {
    const int firsts[10] = {0, 1, 2, 3, 0, 0, 0, 1, 1, 2}, seconds[10] = {0, 1, 2, 3, 1, 2, 3, 2, 3, 3};
    *first = firsts[pair];
    *second = seconds[pair];
}

// products (10, H, K): of the mean weights of two gates; without `output`, those of the output gate with
// another leave out the columns of h, I ... K.
KERNEL lstm_gate_products(real *__restrict__ products, const real *__restrict__ mu_w, int I, int H,
                          int K, int output) {
    GRID_STRIDE(i, 10 * H * K) {
        int k = i % K, j = i / K % H, first, second;
        gates_of(i / K / H, &first, &second);
        real product = mu_w[(first * H + j) * K + k] * mu_w[(second * H + j) * K + k];
        bool left_out = !output && second == 3 && first != 3 && k >= I;
        products[i] = left_out ? REAL(0.0) : product;
    }
}

// factors (B, 10, H) of those products in the innovation of an input's variance at place t.
KERNEL lstm_gate_factors(real *__restrict__ factors, const real *__restrict__ jac,
                         const real *__restrict__ cross, const real *__restrict__ d_states,
                         const real *__restrict__ d_var_z, int B, int T, int H, int t) {
    GRID_STRIDE(i, B * 10 * H) {
        int j = i % H, pair = i / H % 10, b = i / H / 10, first, second;
        gates_of(pair, &first, &second);
        long long row = (long long)b * T + t;
        const real *slopes = jac + row * 6 * H + j;
        real own = d_var_z[(row * 4 + first) * H + j];
        real output = slopes[first * H] * cross[b * H + j];
        real both = REAL(2.0) * slopes[first * H] * slopes[second * H] * d_states[(row * 4 + 3) * H + j];
        factors[i] = first == second ? own : second == 3 ? output : both;
    }
}
