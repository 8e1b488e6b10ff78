// Images and maps as the matrices that convolutions multiply. A kernel slides over an image (C, H, W); a
// map (O, P, Q) has one entry per placement. Entry (p, q) and tap (i, j) meet at pixel
// (p sh + i dh - top, q sw + j dw - left), which counts as zero outside.
//
// Only `count` images from `first` on are taken, so that matrices stay small: unfolded (C kh kw, count P Q)
// and maps (O, count P Q).

#define WINDOW                                                                                 \
    int C, int H, int W, int O, int P, int Q, int kh, int kw, int sh, int sw, int dh, int dw,  \
        int top, int left, int groups

#define EACH(k, n) for (long long k = THREAD; k < (n); k += THREADS)

// The moments that a product wants of an element: mean, mean^2 + variance, variance; null where not.
DEVICE void write_moments(real *mean, real *second, real *variance, long long at, real m, real v) {
    if (mean) mean[at] = m;
    if (second) second[at] = m * m + v;
    if (variance) variance[at] = v;
}

// A row for each tap, a column for each placement; var null for certain images.
KERNEL unfold(real *__restrict__ mean, real *__restrict__ second, real *__restrict__ variance,
              const real *__restrict__ mu, const real *__restrict__ var, int first, int count,
              WINDOW) {
    long long places = (long long)P * Q, columns = count * places;
    EACH(k, columns * C * kh * kw) {
        long long column = k % columns;
        int row = (int)(k / columns), j = row % kw, i = row / kw % kh, c = row / (kw * kh);
        int q = (int)(column % Q), p = (int)(column / Q % P), b = first + (int)(column / places);
        int y = p * sh + i * dh - top, x = q * sw + j * dw - left;
        bool inside = y >= 0 && y < H && x >= 0 && x < W;
        long long at = (((long long)b * C + c) * H + y) * W + x;
        real m = inside ? mu[at] : REAL(0.0), v = inside && var ? var[at] : REAL(0.0);
        write_moments(mean, second, variance, k, m, v);
    }
}

// The adjoint: each pixel collects what placements that meet it hold for it, on top of a bias per channel
// (null for none) or of what is there.
KERNEL fold(real *__restrict__ image, const real *__restrict__ unfolded,
            const real *__restrict__ bias, int first, int count, WINDOW, int accumulate) {
    long long places = (long long)P * Q, columns = count * places, pixels = (long long)H * W;
    real *start = image + (long long)first * C * pixels;
    EACH(k, (long long)count * C * pixels) {
        int x = (int)(k % W), y = (int)(k / W % H), c = (int)(k / pixels % C);
        int b = (int)(k / pixels / C);
        real sum = 0;
        for (int i = 0; i < kh; ++i) {
            int down = y + top - i * dh, p = down / sh;
            if (down < 0 || down % sh || p >= P) continue;
            for (int j = 0; j < kw; ++j) {
                int right = x + left - j * dw, q = right / sw;
                if (right < 0 || right % sw || q >= Q) continue;
                sum += unfolded[(((long long)c * kh + i) * kw + j) * columns + b * places +
                                (long long)p * Q + q];
            }
        }
        start[k] = sum + (accumulate ? start[k] : bias ? bias[c] : REAL(0.0));
    }
}

// Maps (B, O, places) as a matrix with a row for each map.
KERNEL load_maps(real *__restrict__ mean, real *__restrict__ second, real *__restrict__ variance,
                 const real *__restrict__ mu, const real *__restrict__ var, int first, int count,
                 int O, int places) {
    long long columns = (long long)count * places;
    EACH(k, columns * O) {
        long long column = k % columns, o = k / columns;
        long long at = ((first + column / places) * O + o) * places + column % places;
        write_moments(mean, second, variance, k, mu[at], var ? var[at] : REAL(0.0));
    }
}

// The way back, plus a bias per map (null for none), or plus what is there.
KERNEL store_maps(real *__restrict__ maps, const real *__restrict__ matrix,
                  const real *__restrict__ bias, int first, int count, int O, int places,
                  int accumulate) {
    long long columns = (long long)count * places;
    real *start = maps + (long long)first * O * places;
    EACH(k, columns * O) {
        int o = (int)(k / places % O);
        real value = matrix[o * columns + k / places / O * places + k % places];
        start[k] = value + (accumulate ? start[k] : bias ? bias[o] : REAL(0.0));
    }
}
