// Observation noise learnt in closed form, one variance per output (batch AGVI).

#include "blocks.cuh"

KERNEL noise_statistics(double *__restrict__ sums, const real *__restrict__ mu,
                        const real *__restrict__ var, const real *__restrict__ y,
                        const real *__restrict__ mean, int B, int K) {
    EACH_ROW(k, K) {
        double count = 0, first = 0, second = 0;
        double m = mean[k];
        EACH_COLUMN(b, B) {
            int i = b * K + k;
            double residual = y[i] - mu[i], v = var[i];
            double total = v + m;
            if (!(residual - residual == 0.0 && total > 0.0)) continue;
            double gain = m / total;
            double error = gain * residual, spread = gain * v;
            count += 1;
            first += error * error + spread;
            second += 2 * spread * spread + 4 * spread * error * error;
        }
        count = TOTAL(count);
        first = TOTAL(first);
        second = TOTAL(second);
        if (!LEADER) continue;
        sums[3 * k] = count;
        sums[3 * k + 1] = first;
        sums[3 * k + 2] = second;
    }
}

KERNEL noise_step(real *__restrict__ mean, real *__restrict__ variance,
                  const double *__restrict__ sums, real minimum, int K) {
    GRID_STRIDE(k, K) {
        double count = sums[3 * k];
        double m = mean[k], q = variance[k];
        if (!(count > 0)) continue;
        double spread = q + 2 * (m * m + q) / count;
        double gain = spread > 0 ? q / spread : 0;
        double moved = m + gain * (sums[3 * k + 1] / count - m);
        mean[k] = (real)(moved < (double)minimum ? (double)minimum : moved);
        variance[k] = (real)(q + gain * gain * (sums[3 * k + 2] / (count * count) - spread));
    }
}
