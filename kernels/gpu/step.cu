// What the parameters of a fully connected layer learn from a batch, and the update rule at once: sums over
// the batch stay in registers, weights are read and written once. Equal to `linear_innovation`, then
// `step_<rule>`, where nothing else is added to the sums or asks for them.
//
// mu_w, var_w (O, I), mu_b, var_b (O) or null; mu_a (B, I); d_mu_z, d_var_z (B, O); rows[0] is the number
// of rows that the rule `site` counts. `rule` is a place in the order below.

#include "../rules.cuh"
#include "product.cuh"

enum Rule { SUM, CAPPED, INFORMATION, INFORMATION_CAPPED, SITE };

// The rule with what it needs besides the parameter.
struct Learning {
    int rule;
    real scale, rows;

    __device__ __forceinline__ Posterior operator()(real v, real g, real l) const {
        return rule == SUM           ? rule_sum(v, g, l)
               : rule == CAPPED      ? rule_capped(v, g, l, scale)
               : rule == INFORMATION ? rule_information(v, g, l)
               : rule == INFORMATION_CAPPED
                   ? rule_information_capped(v, g, l, scale)
                   : rule_site(v, g, l, rows);
    }

    __device__ __forceinline__ int operator()(real *mu, real *var, long long at,
                                              const Pair &sums) const {
        real m = mu[at], v = var[at];
        return take_posterior(mu + at, var + at, m, v, (*this)(v, sums.first, sums.second));
    }
};

#define LEARNING \
    const Learning learn{rule, REAL(1.0) / cap, rows[0]};

#define PARAMETERS                                                                              \
    real *__restrict__ mu_w, real *__restrict__ var_w, int *__restrict__ floored_w,             \
        real *__restrict__ mu_b, real *__restrict__ var_b, int *__restrict__ floored_b,         \
        const real *__restrict__ mu_a, const real *__restrict__ d_mu_z,                         \
        const real *__restrict__ d_var_z, const real *__restrict__ rows, real cap, int rule,    \
        int B, int I, int O

// Of few results: product.cuh's blocks, one for each SIDE x SIDE of them.
KERNEL BLOCK_OF(HALF * HALF * SLICES) linear_step(PARAMETERS) {
    LEARNING
    auto left = [&](int o, int b) {
        long long at = (long long)b * O + o;
        return Pair{d_mu_z[at], d_var_z[at]};
    };
    auto right = [&](int i, int b) { return Pair{mu_a[(long long)b * I + i], REAL(0.0)}; };
    auto store = [&](int o, int i, const Pair &sums, const Pair &lefts) {
        if (learn(mu_w, var_w, (long long)o * I + i, sums)) COUNT(*floored_w, 1);
        if (i == 0 && mu_b && learn(mu_b, var_b, o, lefts)) COUNT(*floored_b, 1);
    };
    product<false, false, true>(O, I, B, left, right, Innovate(), store);
}

// Of many results: a block of GROUP x GROUP threads has TILE x TILE of them, a thread EACH x EACH: those of
// EACH neighbouring rows and of columns GROUP apart, so that a warp reads and writes neighbouring weights.
#define TILE 64
#define GROUP 16
#define EACH (TILE / GROUP)
#define DEPTH 16
#define APART (GROUP * GROUP / TILE)
#define LOADS (DEPTH / APART)

KERNEL BLOCK_OF(GROUP * GROUP) linear_step_large(PARAMETERS) {
    alignas(16) __shared__ real d[DEPTH][TILE], e[DEPTH][TILE], a[DEPTH][TILE];
    LEARNING
    const int x = threadIdx.x, y = threadIdx.y, thread = y * GROUP + x;
    const int o0 = blockIdx.y * TILE, i0 = blockIdx.x * TILE;
    // A thread brings one column of the tiles, APART rows between; what lies outside counts as zero.
    const int column = thread % TILE, first = thread / TILE;
    const bool has_o = o0 + column < O, has_i = i0 + column < I;
    real next_d[LOADS], next_e[LOADS], next_a[LOADS];
    auto read = [&](int b0) {
#pragma unroll
        for (int part = 0; part < LOADS; ++part) {
            int b = b0 + first + part * APART;
            long long at = (long long)b * O + o0 + column;
            next_d[part] = has_o && b < B ? d_mu_z[at] : REAL(0.0);
            next_e[part] = has_o && b < B ? d_var_z[at] : REAL(0.0);
            next_a[part] = has_i && b < B ? mu_a[(long long)b * I + i0 + column] : REAL(0.0);
        }
    };
    Pair sums[EACH][EACH] = {}, biases[EACH] = {};
    const bool has_bias = mu_b && i0 == 0 && x == 0;
    read(0);
    for (int b0 = 0; b0 < B; b0 += DEPTH) {
#pragma unroll
        for (int part = 0; part < LOADS; ++part) {
            int row = first + part * APART;
            d[row][column] = next_d[part];
            e[row][column] = next_e[part];
            a[row][column] = next_a[part];
        }
        __syncthreads();
        // The next tiles are on their way while these are used.
        read(b0 + DEPTH);
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            Pair left[EACH];
            real right[EACH], square[EACH];
#pragma unroll
            for (int j = 0; j < EACH; ++j) {
                left[j] = {d[k][y * EACH + j], e[k][y * EACH + j]};
                right[j] = a[k][x + j * GROUP];
                square[j] = right[j] * right[j];
            }
#pragma unroll
            for (int i = 0; i < EACH; ++i) {
                if (has_bias) add(biases[i], left[i]);
#pragma unroll
                for (int j = 0; j < EACH; ++j) {
                    sums[i][j].first += left[i].first * right[j];
                    sums[i][j].second += left[i].second * square[j];
                }
            }
        }
        __syncthreads();
    }
    int floored = 0;
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
        int o = o0 + y * EACH + i;
        if (o >= O) continue;
        if (has_bias && learn(mu_b, var_b, o, biases[i])) COUNT(*floored_b, 1);
        // All of a row are asked for before the first is needed.
        const long long at = (long long)o * I + i0 + x;
        real m[EACH], v[EACH];
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            bool inside = i0 + x + j * GROUP < I;
            m[j] = inside ? mu_w[at + j * GROUP] : REAL(0.0);
            v[j] = inside ? var_w[at + j * GROUP] : REAL(0.0);
        }
#pragma unroll
        for (int j = 0; j < EACH; ++j) {
            if (i0 + x + j * GROUP >= I) continue;
            Posterior posterior = learn(v[j], sums[i][j].first, sums[i][j].second);
            long long to = at + j * GROUP;
            floored += take_posterior(mu_w + to, var_w + to, m[j], v[j], posterior);
        }
    }
    if (floored) COUNT(*floored_w, floored);
}
