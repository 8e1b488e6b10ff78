// Fully connected layer of small size: one kernel a pass. Large ones are left to cuBLAS.
// Started with product.cuh's blocks, one for each SIDE x SIDE results.

#include "product.cuh"

KERNEL BLOCK_OF(HALF * HALF * SLICES) linear_forward(
    real *__restrict__ mu_z, real *__restrict__ var_z, const real *__restrict__ mu_a,
    const real *__restrict__ var_a, const real *__restrict__ mu_w, const real *__restrict__ var_w,
    const real *__restrict__ mu_b, const real *__restrict__ var_b, real *scratch, int B, int I,
    int O) {
    auto left = [&](int b, int i) {
        long long at = (long long)b * I + i;
        return Pair{mu_a[at], var_a ? var_a[at] : REAL(0.0)};
    };
    auto right = [&](int o, int i) {
        long long at = (long long)o * I + i;
        return Pair{mu_w[at], var_w[at]};
    };
    auto term = [](const Pair &a, const Pair &w, Pair &z) {
        z.first += a.first * w.first;
        z.second += a.second * (w.first * w.first) + (a.first * a.first + a.second) * w.second;
    };
    auto store = [&](int b, int o, const Pair &z, const Pair &) {
        long long at = (long long)b * O + o;
        mu_z[at] = z.first + (mu_b ? mu_b[o] : REAL(0.0));
        var_z[at] = z.second + (mu_b ? var_b[o] : REAL(0.0));
    };
    product<true, true, false>(B, O, I, left, right, term, store);
}

KERNEL BLOCK_OF(HALF * HALF * SLICES) linear_backward(
    real *__restrict__ d_mu_a, real *__restrict__ d_var_a, const real *__restrict__ d_mu_z,
    const real *__restrict__ d_var_z, const real *__restrict__ mu_w, real *scratch, int B, int I,
    int O, int accumulate) {
    auto left = [&](int b, int o) {
        long long at = (long long)b * O + o;
        return Pair{d_mu_z[at], d_var_z[at]};
    };
    auto right = [&](int i, int o) { return Pair{mu_w[(long long)o * I + i], REAL(0.0)}; };
    auto store = [&](int b, int i, const Pair &d, const Pair &) {
        long long at = (long long)b * I + i;
        d_mu_a[at] = d.first + (accumulate ? d_mu_a[at] : REAL(0.0));
        d_var_a[at] = d.second + (accumulate ? d_var_a[at] : REAL(0.0));
    };
    product<true, false, false>(B, I, O, left, right, Innovate(), store);
}

KERNEL BLOCK_OF(HALF * HALF * SLICES) linear_innovation(
    real *__restrict__ G_w, real *__restrict__ L_w, real *__restrict__ G_b, real *__restrict__ L_b,
    const real *__restrict__ mu_a, const real *__restrict__ d_mu_z,
    const real *__restrict__ d_var_z, real *scratch, int B, int I, int O, int accumulate) {
    auto left = [&](int o, int b) {
        long long at = (long long)b * O + o;
        return Pair{d_mu_z[at], d_var_z[at]};
    };
    auto right = [&](int i, int b) { return Pair{mu_a[(long long)b * I + i], REAL(0.0)}; };
    auto store = [&](int o, int i, const Pair &sums, const Pair &lefts) {
        long long at = (long long)o * I + i;
        G_w[at] = sums.first + (accumulate ? G_w[at] : REAL(0.0));
        L_w[at] = sums.second + (accumulate ? L_w[at] : REAL(0.0));
        if (i > 0 || !G_b) return;
        G_b[o] = lefts.first + (accumulate ? G_b[o] : REAL(0.0));
        L_b[o] = lefts.second + (accumulate ? L_b[o] : REAL(0.0));
    };
    product<false, false, true>(O, I, B, left, right, Innovate(), store);
}
