// The widest vectors of this CPU, whole and in part.

#include "packed.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { LANES = BYTES / sizeof(real) };

typedef real vec __attribute__((vector_size(BYTES)));
typedef real vec_anywhere __attribute__((vector_size(BYTES), aligned(sizeof(real))));

#ifdef TAGI_DOUBLE
typedef long long index;
#else
typedef int index;
#endif
typedef index index_vec __attribute__((vector_size(BYTES)));

template <int... J>
static inline index_vec numbers(Indices<J...>) {
    return index_vec{J...};
}

// All bits set in the first n lanes, none beyond.
static inline index_vec first_lanes(int n) {
    return numbers(typename Count<LANES>::type()) < (index)n;
}

// The first n elements of a vector, zero beyond; nothing beyond is touched.
static inline vec load_part(const real *from, int n) {
    if (n >= LANES) return *(const vec_anywhere *)from;
#if defined(__AVX512F__) && defined(TAGI_DOUBLE)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), from);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
#elif defined(__AVX__) && defined(TAGI_DOUBLE)
    return (vec)_mm256_maskload_pd(from, (__m256i)first_lanes(n));
#elif defined(__AVX__)
    return (vec)_mm256_maskload_ps(from, (__m256i)first_lanes(n));
#else
    vec x = {};
    for (int i = 0; i < n; ++i) x[i] = from[i];
    return x;
#endif
}

// The elements of a vector whose bit is set, zero elsewhere; nothing else is touched.
static inline vec load_lanes(const real *from, unsigned long long bits) {
#if defined(__AVX512F__) && defined(TAGI_DOUBLE)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)bits, from);
#elif defined(__AVX512F__)
    return (vec)_mm512_maskz_loadu_ps((__mmask16)bits, from);
#elif defined(__AVX__)
    const index_vec lanes = ((index)bits >> numbers(typename Count<LANES>::type()) & 1) != 0;
#if defined(TAGI_DOUBLE)
    return (vec)_mm256_maskload_pd(from, (__m256i)lanes);
#else
    return (vec)_mm256_maskload_ps(from, (__m256i)lanes);
#endif
#else
    vec x = {};
    for (int i = 0; i < LANES; ++i)
        if (bits >> i & 1) x[i] = from[i];
    return x;
#endif
}

static inline void store_part(real *to, vec x, int n) {
    if (n >= LANES) {
        *(vec_anywhere *)to = x;
        return;
    }
#if defined(__AVX512F__) && defined(TAGI_DOUBLE)
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << n) - 1), (__m512d)x);
#elif defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)x);
#elif defined(__AVX__) && defined(TAGI_DOUBLE)
    _mm256_maskstore_pd(to, (__m256i)first_lanes(n), (__m256d)x);
#elif defined(__AVX__)
    _mm256_maskstore_ps(to, (__m256i)first_lanes(n), (__m256)x);
#else
    for (int i = 0; i < n; ++i) to[i] = x[i];
#endif
}

// The elements of a vector to where their bit is set; nothing else is touched.
static inline void store_lanes(real *to, vec x, unsigned long long bits) {
#if defined(__AVX512F__) && defined(TAGI_DOUBLE)
    _mm512_mask_storeu_pd(to, (__mmask8)bits, (__m512d)x);
#elif defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)bits, (__m512)x);
#elif defined(__AVX__)
    const index_vec lanes = ((index)bits >> numbers(typename Count<LANES>::type()) & 1) != 0;
#if defined(TAGI_DOUBLE)
    _mm256_maskstore_pd(to, (__m256i)lanes, (__m256d)x);
#else
    _mm256_maskstore_ps(to, (__m256i)lanes, (__m256)x);
#endif
#else
    for (int i = 0; i < LANES; ++i)
        if (bits >> i & 1) to[i] = x[i];
#endif
}

// The bits of lanes from `low` on and before `high`, which may lie outside a vector.
static inline unsigned long long lanes_between(int low, int high) {
    low = low < 0 ? 0 : low;
    high = high > LANES ? (int)LANES : high;
    return high > low ? (1ull << high) - (1ull << low) : 0;
}

// The sum of all elements.
static inline real total(vec x) {
    real sum = 0;
    for (int i = 0; i < LANES; ++i) sum += x[i];
    return sum;
}
