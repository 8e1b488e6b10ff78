// Units dropped at random: as moments of the random mask, or with a drawn mask.

#include "random.cuh"

KERNEL dropout_moments_forward(real *__restrict__ var_z, const real *__restrict__ mu_a,
                               const real *__restrict__ var_a, real keep, int n) {
    real share = REAL(1.0) / keep, spread = (REAL(1.0) - keep) / keep;
    if (var_a) {
        SIMD GRID_STRIDE(i, n) var_z[i] = share * var_a[i] + spread * mu_a[i] * mu_a[i];
    } else {
        SIMD GRID_STRIDE(i, n) var_z[i] = spread * mu_a[i] * mu_a[i];
    }
}

// The mask is a function of (seed, batch, element): the same on every backend and in any order.
KERNEL dropout_sample_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                              real *__restrict__ jac, const real *__restrict__ mu_a,
                              const real *__restrict__ var_a, const int *__restrict__ generator,
                              real keep, int first, int n) {
    unsigned int stream = random_stream(generator);
    int limit = (int)(keep * REAL(16777216.0));
    real share = REAL(1.0) / keep;
    if (var_a) {
        SIMD GRID_STRIDE(i, n) {
            real j = random_bits(stream, first, i) < limit ? share : REAL(0.0);
            jac[i] = j;
            mu_z[i] = j * mu_a[i];
            var_z[i] = j * j * var_a[i];
        }
    } else {
        SIMD GRID_STRIDE(i, n) {
            real j = random_bits(stream, first, i) < limit ? share : REAL(0.0);
            jac[i] = j;
            mu_z[i] = j * mu_a[i];
        }
    }
}
