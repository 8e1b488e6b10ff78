// Shared by every kernel, on the GPU and on the host; put in front of each file by its loader.
//
// TAGI_HOST   defined when a C++ compiler builds the file for the CPU.
// TAGI_DOUBLE defined when moments are in double precision.
//
// On the host one thread runs a kernel over the whole range: thread and block indices are constants,
// so a grid-stride loop becomes a plain loop, which the compiler vectorises.

#ifdef TAGI_DOUBLE
typedef double real;
#define REAL(x) x
#else
typedef float real;
#define REAL(x) x##f
#endif

#ifdef TAGI_HOST
#define KERNEL static void
#define DEVICE static inline __attribute__((always_inline))
#define SIMD _Pragma("omp simd")
#define PRAGMA(text) _Pragma(#text)
#define SIMD_SUM(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define THREAD 0
#define THREADS 1
#define COUNT(target, amount) ((target) += (amount))
#else
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define SIMD
#define SIMD_SUM(...)
#define THREAD (int)(blockIdx.x * blockDim.x + threadIdx.x)
#define THREADS (int)(gridDim.x * blockDim.x)
#define COUNT(target, amount) atomicAdd(&(target), amount)
#endif

#define GRID_STRIDE(i, n) for (int i = THREAD; i < (n); i += THREADS)

// Finite means neither NaN nor infinite: x - x is zero only then.
DEVICE bool is_finite(real x) { return x - x == REAL(0.0); }

DEVICE real larger(real a, real b) { return a > b ? a : b; }
DEVICE real smaller(real a, real b) { return a < b ? a : b; }

// What rounding may have pushed below zero; NaN stays NaN.
DEVICE real not_negative(real x) { return x < REAL(0.0) ? REAL(0.0) : x; }

#ifdef TAGI_HOST
#define SQRT(x) (sizeof(real) == 4 ? (real)__builtin_sqrtf((float)(x)) : (real)__builtin_sqrt((double)(x)))
#else
DEVICE float SQRT(float x) { return sqrtf(x); }
DEVICE double SQRT(double x) { return sqrt(x); }
#endif

#ifdef TAGI_DOUBLE

#ifdef TAGI_HOST
#define exp __builtin_exp
#define expm1 __builtin_expm1
#define erfc __builtin_erfc
#define tanh __builtin_tanh
#define log __builtin_log
#define log1p __builtin_log1p
#endif

DEVICE real real_exp(real x) { return exp(x); }
DEVICE real real_log1p(real x) { return log1p(x); }
DEVICE real real_expm1(real x) { return expm1(x); }
DEVICE real real_tanh(real x) { return tanh(x); }

// For t >= 0: q = P(N(0,1) > t), and g = E[max(0, N(0,1) - t)] = phi(t) - t q.
DEVICE void normal_tail(real t, real *q, real *g) {
    real phi = 0.3989422804014327 * exp(-0.5 * t * t);
    *q = 0.5 * erfc(0.7071067811865476 * t);
    *g = not_negative(phi - t * *q);
}

#else

// The selects below are between cheap values only, or are sums of masked terms: where a select could
// skip expensive work, compilers make it a jump, and the loop around it does not vectorise.

DEVICE float float_bits(int bits) {
    union { int i; float f; } u;
    u.i = bits;
    return u.f;
}

DEVICE float power_of_two(int n) { return float_bits((int)((unsigned int)(n + 127) << 23)); }

// exp by 2^n and a polynomial on [-ln2/2, ln2/2]; relative error below 2e-7. Clamped where the result
// is 0 or infinity anyway; NaN stays NaN.
DEVICE real real_exp(real x) {
    float y = x < -104.0f ? -104.0f : x;
    y = y > 89.0f ? 89.0f : y;
    int n = (int)(y * 1.44269504f + (y < 0.0f ? -0.5f : 0.5f));
    float r = (y - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    // Two factors: n reaches 128 and -150, beyond what one exponent holds.
    int half = n / 2;
    return p * power_of_two(half) * power_of_two(n - half);
}

DEVICE real real_expm1(real x) {
    // Taylor series where exp(x) - 1 would lose digits.
    float z = larger(smaller(x, 0.35f), -0.35f);
    float s = 1.0f + z * (1.0f / 8.0f);
    s = 1.0f + z * (1.0f / 7.0f) * s;
    s = 1.0f + z * (1.0f / 6.0f) * s;
    s = 1.0f + z * (1.0f / 5.0f) * s;
    s = 1.0f + z * (1.0f / 4.0f) * s;
    s = 1.0f + z * (1.0f / 3.0f) * s;
    s = z * (1.0f + z * 0.5f * s);
    float near = z == x ? 1.0f : 0.0f;
    return near * s + (1.0f - near) * (real_exp(x) - 1.0f);
}

DEVICE real real_tanh(real x) {
    float size = x < 0.0f ? -x : x;
    float z = smaller(size, 0.625f), square = z * z;
    float p = -5.70498872745e-3f;
    p = p * square + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    float near = z == size ? 1.0f : 0.0f;
    float far = 1.0f - 2.0f / (real_exp(2.0f * size) + 1.0f);
    float result = near * (z + z * square * p) + (1.0f - near) * far;
    return x < 0.0f ? -result : result;
}

DEVICE int int_bits(float x) {
    union { int i; float f; } u;
    u.f = x;
    return u.i;
}

// log(1 + x) for x > -1. With u = 1 + x rounded, log(u) x / (u - 1) mends the rounding (Kahan); log by
// 2^n and a polynomial on [sqrt(1/2), sqrt(2)]; relative error below 3e-7.
DEVICE real real_log1p(real x) {
    float u = 1.0f + x;
    int bits = int_bits(u), n = (bits >> 23) - 126;
    float f = float_bits((bits & 0x007fffff) | 0x3f000000);
    float low = f < 0.70710678f ? 1.0f : 0.0f;
    f = f + low * f - 1.0f;
    float e = (float)n - low;
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    float square = f * f;
    float y = p * f * square - 2.12194440e-4f * e - 0.5f * square;
    float result = (f + y) + 0.693359375f * e;
    float rounded = u - 1.0f;
    float mended = result * (x / (rounded == 0.0f ? 1.0f : rounded));
    // Beyond 2^24 the sum is x itself, and u - 1 may overflow the quotient.
    result = x > 1.6e7f ? result : rounded == 0.0f ? x : mended;
    return x < 3e38f ? result : x;
}

// For t >= 0: q = P(N(0,1) > t), and g = E[max(0, N(0,1) - t)] = phi(t) - t q. Both as exp(-t^2/2) times a
// smooth factor: (1 + 2 x) erfcx(x) with x = t / sqrt(2) is a polynomial in (x - 2) / (x + 2), fitted at
// Chebyshev points; relative error of q below 4e-7 near zero, growing with t^2 from the rounding of t^2.
DEVICE void normal_tail(real t, real *q, real *g) {
    float x = 0.70710678f * t;
    float s = (x - 2.0f) / (x + 2.0f);
    float p = -2.025598943e-05f;
    p = p * s + 6.336945840e-05f;
    p = p * s + 2.215715500e-04f;
    p = p * s - 3.579204479e-04f;
    p = p * s - 1.464070910e-03f;
    p = p * s + 1.217410592e-03f;
    p = p * s + 8.724607640e-03f;
    p = p * s - 8.018963079e-03f;
    p = p * s - 5.422026662e-02f;
    p = p * s + 1.640494541e-01f;
    p = p * s - 1.660303835e-01f;
    p = p * s - 9.276376277e-02f;
    p = p * s + 1.276978381e+00f;
    float ratio = 0.5f * p / (1.0f + 2.0f * x);
    float e = real_exp(-x * x);
    *q = e * ratio;
    *g = e * not_negative(0.39894228f - t * ratio);
}

#ifdef TAGI_HOST
#define log __builtin_log
#endif

#endif

// log(1 + exp(x)).
DEVICE real softplus(real x) {
    real size = x < REAL(0.0) ? -x : x;
    return larger(x, REAL(0.0)) + real_log1p(real_exp(-size));
}

// Moments of max(0, Z), Z ~ N(m, v): mean, variance over v, and P(Z > 0) = cov(max(0, Z), Z) / v.
DEVICE void rectified(real m, real v, real *mean, real *part, real *positive_part) {
    real q, g;
    bool positive = m > REAL(0.0);
    // A factor, not a branch: compilers would skip the tail by a jump and not vectorise.
    real spread = v > REAL(0.0) ? REAL(1.0) : REAL(0.0);
    real s = SQRT(v);
    real t = (positive ? m : -m) / (s + (REAL(1.0) - spread));
    normal_tail(t, &q, &g);
    q *= spread;
    g *= spread;
    real j = positive ? REAL(1.0) - q : q;
    *mean = (positive ? m : REAL(0.0)) + s * g;
    *part = not_negative(j - t * g - g * g);
    *positive_part = j;
}
