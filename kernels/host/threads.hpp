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

// Threads that kernels called from this thread may use.
static inline int thread_count() {
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

// Defined in runtime.cpp, for all kernels: task(context, 0) ... task(context, n - 1), `chunk` at a time, by this
// thread and up to `workers` others.
extern "C" void tagi_share(int n, int chunk, int workers, void (*task)(const void *, int),
                           const void *context);

// Multiply-adds that are worth a worker, and those that are worth a visit to the counter of tasks.
static const double PARALLEL_WORK = 8e6, CHUNK_WORK = 2e5;

// Out of line and with a copy of `body`, whose original then stays in registers where tasks are not shared.
template <typename Body>
static __attribute__((noinline)) bool shared(int n, double work, Body body) {
    int workers = thread_count() - 1;
    if (work < PARALLEL_WORK * workers) workers = (int)(work / PARALLEL_WORK);
    if (workers <= 0) return false;
    const double chunk = n * (CHUNK_WORK / work);
    const auto task = [](const void *context, int i) { (*(const Body *)context)(i); };
    tagi_share(n, chunk > 1 ? (int)chunk : 1, workers, task, &body);
    return true;
}

// body(0) ... body(n - 1), on several threads where the work in all is worth it.
template <typename Body>
static inline void parallel(int n, double work, const Body &body) {
    if (n > 1 && work >= PARALLEL_WORK && shared(n, work, body)) return;
    for (int i = 0; i < n; ++i) body(i);
}
