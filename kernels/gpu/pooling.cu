// Pooling: a thread per entry forward, a thread per pixel backward, so that nothing is added twice.
// N planes of (H, W) pixels to (P, Q) entries; entry (p, q) sees the pixels (p sh + i - top,
// q sw + j - left) for i < kh, j < kw; those outside the image do not exist.

#define WINDOW int H, int W, int P, int Q, int kh, int kw, int sh, int sw, int top, int left

#define EACH(k, n) for (long long k = THREAD; k < (n); k += THREADS)

// Along one axis: from `first` on, before `last`.
struct Span {
    int first, last;
};

// The pixels that entry p sees.
DEVICE Span pixels(int p, int k, int stride, int padding, int size) {
    int at = p * stride - padding;
    return {at < 0 ? 0 : at, at + k < size ? at + k : size};
}

// The entries that see pixel y.
DEVICE Span entries(int y, int k, int stride, int padding, int count) {
    int from = y + padding, at = from - k, last = from < 0 ? 0 : from / stride + 1;
    return {at < 0 ? 0 : at / stride + 1, last < count ? last : count};
}

KERNEL avg_pool2d_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                          const real *__restrict__ mu_a, const real *__restrict__ var_a, int N,
                          WINDOW) {
    const real share = REAL(1.0) / (real)(kh * kw);
    EACH(k, (long long)N * P * Q) {
        int q = (int)(k % Q), p = (int)(k / Q % P);
        long long plane = k / ((long long)P * Q) * H * W;
        Span y = pixels(p, kh, sh, top, H), x = pixels(q, kw, sw, left, W);
        real mean = 0, variance = 0;
        for (int i = y.first; i < y.last; ++i) {
            for (int j = x.first; j < x.last; ++j) {
                mean += mu_a[plane + i * W + j];
                if (var_z) variance += var_a[plane + i * W + j];
            }
        }
        mu_z[k] = share * mean;
        if (var_z) var_z[k] = share * share * variance;
    }
}

KERNEL avg_pool2d_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                           const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z,
                           int N, WINDOW, int accumulate) {
    const real share = REAL(1.0) / (real)(kh * kw);
    EACH(k, (long long)N * H * W) {
        int x = (int)(k % W), y = (int)(k / W % H);
        long long plane = k / ((long long)H * W) * P * Q;
        Span p = entries(y, kh, sh, top, P), q = entries(x, kw, sw, left, Q);
        real mean = 0, variance = 0;
        for (int i = p.first; i < p.last; ++i) {
            for (int j = q.first; j < q.last; ++j) {
                mean += d_mu_z[plane + i * Q + j];
                variance += d_var_z[plane + i * Q + j];
            }
        }
        d_mu_a[k] = share * mean + (accumulate ? d_mu_a[k] : REAL(0.0));
        d_var_a[k] = share * share * variance + (accumulate ? d_var_a[k] : REAL(0.0));
    }
}

KERNEL max_pool2d_forward(real *__restrict__ mu_z, real *__restrict__ var_z,
                          int *__restrict__ winner, const real *__restrict__ mu_a,
                          const real *__restrict__ var_a, int N, WINDOW) {
    EACH(k, (long long)N * P * Q) {
        int q = (int)(k % Q), p = (int)(k / Q % P);
        long long plane = k / ((long long)P * Q) * H * W;
        Span y = pixels(p, kh, sh, top, H), x = pixels(q, kw, sw, left, W);
        int place = y.first * W + x.first;
        real best = mu_a[plane + place];
        for (int i = y.first; i < y.last; ++i) {
            for (int j = x.first; j < x.last; ++j) {
                real m = mu_a[plane + i * W + j];
                place = m > best ? i * W + j : place;
                best = m > best ? m : best;
            }
        }
        mu_z[k] = best;
        winner[k] = place;
        if (var_z) var_z[k] = var_a[plane + place];
    }
}

KERNEL max_pool2d_backward(real *__restrict__ d_mu_a, real *__restrict__ d_var_a,
                           const real *__restrict__ d_mu_z, const real *__restrict__ d_var_z,
                           const int *__restrict__ winner, int N, WINDOW, int accumulate) {
    EACH(k, (long long)N * H * W) {
        int x = (int)(k % W), y = (int)(k / W % H);
        long long plane = k / ((long long)H * W) * P * Q;
        Span p = entries(y, kh, sh, top, P), q = entries(x, kw, sw, left, Q);
        real mean = 0, variance = 0;
        for (int i = p.first; i < p.last; ++i) {
            for (int j = q.first; j < q.last; ++j) {
                long long entry = plane + i * Q + j;
                if (winner[entry] != y * W + x) continue;
                mean += d_mu_z[entry];
                variance += d_var_z[entry];
            }
        }
        d_mu_a[k] = mean + (accumulate ? d_mu_a[k] : REAL(0.0));
        d_var_a[k] = variance + (accumulate ? d_var_a[k] : REAL(0.0));
    }
}
