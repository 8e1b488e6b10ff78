// Images picked from bytes in the order of an epoch: varied, cropped and scaled on their way.

#include "blocks.cuh"
#include "random.cuh"

// One of n numbers, from 24 random bits.
DEVICE int one_of(int bits, int n) { return (int)(((long long)bits * n) >> 24); }

// Row b are the h x w pixels of image starts[i], i = order[cursor + b] (or of image cursor + b, where starts
// is null: the bytes lie in the order of the epoch). An image is moved by up to `shift` pixels each way and
// mirrored, and the place of the crop is drawn, where that is asked for: as a function of (draws, i). Bytes
// are less `center` and divided by `scale`, one of each channel, or of each pixel of the crop.
KERNEL gather_images(real *__restrict__ out, const unsigned char *__restrict__ pixels,
                     const int *__restrict__ starts, const int *__restrict__ order,
                     const int *__restrict__ cursor, const int *__restrict__ draws,
                     const real *__restrict__ center, const real *__restrict__ scale, int by_pixel,
                     int interleaved, int shift, int flip, int crop, int H, int W, int h, int w, int B,
                     int C) {
    int first = cursor[0];
    int beside = interleaved ? C : 1, below = W * beside;
    unsigned int stream = random_stream(draws);
    EACH_ROW(b, B) {
        int i = order[first + b];
        const unsigned char *image = pixels + (long long)(starts ? starts[i] : first + b) * C * H * W;
        int drawn = i * 8;
        int top = crop ? one_of(random_bits(stream, drawn, 0), H - h + 1) : (H - h) / 2;
        int left = crop ? one_of(random_bits(stream, drawn, 1), W - w + 1) : (W - w) / 2;
        if (shift) {
            top += one_of(random_bits(stream, drawn, 2), 2 * shift + 1) - shift;
            left += one_of(random_bits(stream, drawn, 3), 2 * shift + 1) - shift;
        }
        bool mirrored = flip && one_of(random_bits(stream, drawn, 4), 2);
        // Columns of the crop that show the image, the others lie outside.
        int begin = left < 0 ? (-left < w ? -left : w) : 0;
        int end = W - left < w ? (W - left > begin ? W - left : begin) : w;
        int turn = mirrored ? -1 : 1;
        EACH_COLUMN(line, C * h) {
            int c = line / h, y = line % h + top;
            bool inside = y >= 0 && y < H;
            int low = inside ? begin : w, high = inside ? end : w;
            const unsigned char *from = image + (interleaved ? c : c * H * W) + y * below + left * beside;
            real *to = out + ((long long)b * C * h + line) * w + (mirrored ? w - 1 : 0);
            int place = by_pixel ? line * w + (mirrored ? w - 1 : 0) : c;
            const real *m = center + place, *s = scale + place;
            if (beside == 1 && !by_pixel && !mirrored) {
                real less = m[0], over = s[0];
                SIMD for (int x = 0; x < low; ++x) to[x] = (REAL(0.0) - less) / over;
                SIMD for (int x = low; x < high; ++x) to[x] = ((real)from[x] - less) / over;
                SIMD for (int x = high; x < w; ++x) to[x] = (REAL(0.0) - less) / over;
            } else {
                for (int x = 0; x < w; ++x) {
                    real value = x >= low && x < high ? (real)from[x * beside] : REAL(0.0);
                    int k = by_pixel ? turn * x : 0;
                    to[turn * x] = (value - m[k]) / s[k];
                }
            }
        }
    }
}
