// Threads and the floating-point mode of the host kernels.

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// Denormals slow arithmetic down by two orders of magnitude and mean nothing here: flush them to zero
// in this thread, and give the caller's setting back on leaving.
struct FlushDenormals {
#if defined(__SSE2__)
    unsigned int saved = _mm_getcsr();
    FlushDenormals() { _mm_setcsr(saved | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(saved); }
#elif defined(__aarch64__)
    unsigned long saved;
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved));
        asm volatile("msr fpcr, %0" ::"r"(saved | (1ul << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved)); }
#endif
};

// Below so many multiply-adds one thread works. Threads that are awake would pay from 2e6 on, but one that
// sleeps on an idle core of a virtual machine costs as much as 1e7 to wake (measured: 784-128-128-11 with
// 64 rows took 270 us a step on two wakeful threads, 330 on one, 490 on two after a pause).
static const double PARALLEL_WORK = 1.6e7;

// body(0) ... body(n - 1), on several threads where the work in all is worth it.
template <typename Body>
static inline void parallel(int n, double work, const Body &body) {
#if defined(_OPENMP)
    if (n > 1 && work >= PARALLEL_WORK && omp_get_max_threads() > 1) {
#pragma omp parallel
        {
            FlushDenormals guard;
#pragma omp for schedule(dynamic)
            for (int i = 0; i < n; ++i) body(i);
        }
        return;
    }
#endif
    for (int i = 0; i < n; ++i) body(i);
}
