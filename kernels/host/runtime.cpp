// Runs a plan's calls: each is a packed kernel and its argument pointers (cuLaunchKernel's layout).

#include "workers.hpp"

struct Op {
    void (*kernel)(void **);
    void **arguments;
};

struct Segment {
    const Op *ops;
    long long count;
};

extern "C" void run(const Segment *segment, int times) {
    FlushDenormals guard;
    for (int t = 0; t < times; ++t)
        for (long long i = 0; i < segment->count; ++i)
            segment->ops[i].kernel(segment->ops[i].arguments);
}

// The same once, with as few arguments for the foreign call to convert as can be.
extern "C" void run_once(const Segment *segment) { run(segment, 1); }

// Threads of the kernels called from this thread.
extern "C" void set_threads(int n) {
#if defined(_OPENMP)
    omp_set_num_threads(n);
#endif
}

extern "C" void tagi_share(int n, int chunk, int workers, void (*task)(const void *, int),
                           const void *context) {
    workers_of_process()->share(n, chunk, workers, task, context);
}
