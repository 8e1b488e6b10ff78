// Sums over the elements of a group; the biases of other layers are summed by it, too.

#include "../blocks.cuh"
#include "../scale.cuh"

#define LANES 32
#define LAYERS 8

// Units on their own: the warps of a block read rows of LANES units side by side, at most LAYERS at once.
DEVICE void unit_sums(real *__restrict__ G, real *__restrict__ L, const real *__restrict__ mu_a,
                      const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int B,
                      int n, int accumulate) {
    __shared__ real means[LAYERS][LANES], variances[LAYERS][LANES];
    int lane = threadIdx.x % LANES, layer = threadIdx.x / LANES;
    int layers = blockDim.x / LANES;
    for (int first = blockIdx.x * LANES; first < n; first += gridDim.x * LANES) {
        int g = first + lane;
        real mean = 0, variance = 0;
        if (g < n) {
            for (int b = layer; b < B; b += layers) {
                long long i = (long long)b * n + g;
                ADD(i)
            }
        }
        means[layer][lane] = mean;
        variances[layer][lane] = variance;
        BARRIER
        if (layer == 0 && g < n) {
            for (int other = 1; other < layers; ++other) {
                mean += means[other][lane];
                variance += variances[other][lane];
            }
            G[g] = (accumulate ? G[g] : REAL(0.0)) + mean;
            L[g] = (accumulate ? L[g] : REAL(0.0)) + variance;
        }
        BARRIER
    }
}

KERNEL scale_innovation(real *__restrict__ G, real *__restrict__ L, const real *__restrict__ mu_a,
                        const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z, int B,
                        int groups, int inner, int accumulate) {
    if (inner == 1) {
        unit_sums(G, L, mu_a, d_mu_z, d_var_z, B, groups, accumulate);
        return;
    }
    EACH_ROW(g, groups) {
        real mean = 0, variance = 0;
        EACH_COLUMN(j, B * inner) {
            long long i = ((long long)(j / inner) * groups + g) * inner + j % inner;
            ADD(i)
        }
        mean = TOTAL(mean);
        variance = TOTAL(variance);
        if (!LEADER) continue;
        G[g] = (accumulate ? G[g] : REAL(0.0)) + mean;
        L[g] = (accumulate ? L[g] : REAL(0.0)) + variance;
    }
}
