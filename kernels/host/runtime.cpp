// Runs a plan's calls: each is a packed kernel and its argument pointers (cuLaunchKernel's layout).

#include "threads.hpp"

struct Op {
    void (*kernel)(void **);
    void **arguments;
};

extern "C" void run(const Op *ops, int n, int times) {
    FlushDenormals guard;
    for (int t = 0; t < times; ++t)
        for (int i = 0; i < n; ++i) ops[i].kernel(ops[i].arguments);
}

// Threads of the kernels called from this thread.
extern "C" void set_threads(int n) {
#if defined(_OPENMP)
    omp_set_num_threads(n);
#endif
}
