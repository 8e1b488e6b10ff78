// Innovations of a normalisation on their way through the batch's own mean and deviation.

#include "blocks.cuh"

// Of each channel, over batch and positions: the sum of d, and of t d with t the standardised mean. The
// first element is the count.
KERNEL channel_sums(double *__restrict__ sums, const real *__restrict__ mu_a,
                    const real *__restrict__ mean, const real *__restrict__ scale,
                    const real *__restrict__ d_mu_z, int B, int C, int P) {
    if (THREAD == 0) sums[0] = (double)B * P;
    EACH_ROW(c, C) {
        real centre = mean[c], factor = scale[c];
        double total = 0, moment = 0;
        for (int b = 0; b < B; ++b) {
            const real *m = mu_a + ((long long)b * C + c) * P, *d = d_mu_z + ((long long)b * C + c) * P;
            real t = 0, s = 0;
            SIMD_SUM(s, t) EACH_COLUMN(p, P) {
                s += d[p];
                t += factor * (m[p] - centre) * d[p];
            }
            total += s;
            moment += t;
        }
        total = TOTAL(total);
        moment = TOTAL(moment);
        if (LEADER) {
            sums[1 + c] = total;
            sums[1 + C + c] = moment;
        }
    }
}

// What reaches the inputs by way of the statistics, taken off what reaches them directly.
KERNEL project_innovation(real *__restrict__ d_mu_a, const double *__restrict__ sums,
                          const real *__restrict__ mu_a, const real *__restrict__ mean,
                          const real *__restrict__ scale, const real *__restrict__ mu_w, int B, int C,
                          int P) {
    double share = sums[0] > 0 ? 1 / sums[0] : 0;
    EACH_ROW(row, B * C) {
        int c = row % C;
        real centre = mean[c], factor = scale[c], gain = factor * mu_w[c];
        real shift = gain * (real)(sums[1 + c] * share), slope = gain * (real)(sums[1 + C + c] * share);
        const real *m = mu_a + (long long)row * P;
        real *d = d_mu_a + (long long)row * P;
        SIMD EACH_COLUMN(p, P) d[p] -= shift + slope * factor * (m[p] - centre);
    }
}
