// Runs a plan's calls: each is a packed kernel and its argument pointers (cuLaunchKernel's layout).

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

struct Op {
    void (*kernel)(void **);
    void **arguments;
};

namespace {

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

}  // namespace

extern "C" void run(const Op *ops, int n, int times) {
    FlushDenormals guard;
    for (int t = 0; t < times; ++t)
        for (int i = 0; i < n; ++i) ops[i].kernel(ops[i].arguments);
}
