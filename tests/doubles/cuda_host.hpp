// Runs CUDA kernels on the CPU, so that tests see them without a GPU: threads one after the other, or, where
// a kernel has barriers, warp by warp from barrier to barrier.

#include <cmath>
#include <csetjmp>
#include <cstring>
#include <link.h>
#include <type_traits>
#include <ucontext.h>
#include <vector>

// Hidden: the C library has an `advance` of its own.
#define __global__ __attribute__((visibility("hidden")))
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
// One thread runs all; as the only memory of its own that it has here, it can be found, and is filled with
// NaN before each block.
#define __shared__ static thread_local

using std::erfc;
using std::exp;
using std::expm1;
using std::log;
using std::log1p;
using std::sqrt;
using std::tanh;

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

static inline int atomicAdd(int *target, int amount) {
    int before = *target;
    *target += amount;
    return before;
}

namespace fibers {

enum Waits { NOT, FOR_WARP, FOR_BLOCK };

// A thread of a block; it runs until it meets a barrier or returns.
struct Fiber {
    ucontext_t start;
    jmp_buf place;
    bool begun, done;
    Waits waits;
    std::vector<char> stack = std::vector<char>(1 << 15);
};
static std::vector<Fiber> all;
static unsigned current;
static jmp_buf scheduler;
static void (*body)();
static double lanes[1024];

static void enter() {
    body();
    all[current].done = true;
    _longjmp(scheduler, 1);
}

static void wait(Waits waits) {
    all[current].waits = waits;
    if (!_setjmp(all[current].place)) _longjmp(scheduler, 1);
}

static Index index_of(unsigned thread) {
    return {thread % blockDim.x, thread / blockDim.x % blockDim.y,
            thread / blockDim.x / blockDim.y};
}

static void resume(unsigned thread) {
    Fiber &fiber = all[thread];
    current = thread;
    threadIdx = index_of(thread);
    fiber.waits = NOT;
    if (_setjmp(scheduler)) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack.data();
    fiber.start.uc_stack.ss_size = fiber.stack.size();
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, enter, 0);
    setcontext(&fiber.start);
}

// A warp as far as it gets without the others; false where threads of it wait for different things.
static bool warp(unsigned first, bool backwards) {
    for (;;) {
        unsigned waiting = 0;
        for (unsigned i = 0; i < 32; ++i) {
            Fiber &fiber = all[first + (backwards ? 31 - i : i)];
            if (!fiber.done && fiber.waits != FOR_BLOCK) resume(first + (backwards ? 31 - i : i));
            waiting += !fiber.done && fiber.waits == FOR_WARP;
        }
        if (waiting == 0) return true;
        if (waiting != 32) return false;
    }
}

// All threads of a block; false where some wait at a barrier that others never reach.
static bool block(unsigned threads, bool backwards) {
    if (all.size() < threads) all.resize(threads);
    for (unsigned t = 0; t < threads; ++t) {
        all[t].begun = all[t].done = false;
        all[t].waits = NOT;
    }
    for (;;) {
        unsigned waiting = 0;
        for (unsigned w = 0; w < threads; w += 32)
            if (!warp(backwards ? threads - 32 - w : w, backwards)) return false;
        for (unsigned t = 0; t < threads; ++t) waiting += !all[t].done;
        if (waiting == 0) return true;
        if (waiting != threads) return false;
        for (unsigned t = 0; t < threads; ++t) all[t].waits = NOT;
    }
}

}  // namespace fibers

static inline void __syncthreads() { fibers::wait(fibers::FOR_BLOCK); }

// All threads of the warp take part, in the kernels that use it.
template <typename T>
static inline T __shfl_xor_sync(unsigned, T value, int lanes) {
    fibers::lanes[fibers::current] = (double)value;
    fibers::wait(fibers::FOR_WARP);
    T other = (T)fibers::lanes[fibers::current ^ (unsigned)lanes];
    fibers::wait(fibers::FOR_WARP);
    return other;
}

// What a kernel takes, one letter an argument: f d i b are numbers, F D I B arrays of them.
template <typename T>
constexpr char letter() {
    typedef std::remove_cv_t<std::remove_pointer_t<T>> Value;
    constexpr bool array = std::is_pointer_v<T>;
    if (std::is_same_v<Value, float>) return array ? 'F' : 'f';
    if (std::is_same_v<Value, double>) return array ? 'D' : 'd';
    if (std::is_same_v<Value, int>) return array ? 'I' : 'i';
    if (std::is_same_v<Value, unsigned char>) return array ? 'B' : 'b';
    return '?';
}

template <typename... A>
static const char *letters(void (*)(A...)) {
    static const char text[] = {letter<A>()..., 0};
    return text;
}

// Which of them it may write to.
template <typename T>
constexpr char written() {
    return std::is_pointer_v<T> && !std::is_const_v<std::remove_pointer_t<T>> ? 'w' : '-';
}

template <typename... A>
static const char *writes(void (*)(A...)) {
    static const char text[] = {written<A>()..., 0};
    return text;
}

template <typename... A, std::size_t... I>
static inline void apply(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*(A *)arguments[I]...);
}

template <typename... A>
static inline void apply(void (*kernel)(A...), void **arguments) {
    apply(kernel, arguments, std::index_sequence_for<A...>());
}

static void **the_arguments;

namespace shared {

static thread_local volatile char anchor;

static int fill(dl_phdr_info *library, size_t, void *) {
    char *memory = (char *)library->dlpi_tls_data, *here = (char *)&anchor;
    for (int i = 0; i < library->dlpi_phnum; ++i) {
        size_t size = library->dlpi_phdr[i].p_memsz;
        if (library->dlpi_phdr[i].p_type != PT_TLS || memory > here || here >= memory + size) continue;
        std::memset(memory, 0xff, size);
        return 1;
    }
    return 0;
}

static void forget() {
    anchor = 0;  // the memory is there from its first use on
    dl_iterate_phdr(fill, nullptr);
}

}  // namespace shared

// `launch` gives 0 where a barrier was not met by all threads.
#define LAUNCHER(kernel, barriers)                                                              \
    static void kernel##_once() { apply(kernel, the_arguments); }                               \
    extern "C" const char *kernel##_letters() { return letters(kernel); }                       \
    extern "C" const char *kernel##_writes() { return writes(kernel); }                         \
    extern "C" int kernel##_launch(const unsigned *grid, const unsigned *threads, int backwards, \
                                   void **arguments) {                                          \
        gridDim = {grid[0], grid[1], grid[2]};                                                  \
        blockDim = {threads[0], threads[1], threads[2]};                                        \
        the_arguments = arguments;                                                              \
        fibers::body = kernel##_once;                                                           \
        const unsigned count = threads[0] * threads[1] * threads[2];                            \
        const unsigned blocks = grid[0] * grid[1] * grid[2];                                    \
        for (unsigned i = 0; i < blocks; ++i) {                                                 \
            const unsigned b = backwards ? blocks - 1 - i : i;                                  \
            blockIdx = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};             \
            if (barriers) {                                                                     \
                shared::forget();                                                               \
                if (!fibers::block(count, backwards)) return 0;                                 \
                continue;                                                                       \
            }                                                                                   \
            for (unsigned t = 0; t < count; ++t) {                                              \
                threadIdx = fibers::index_of(backwards ? count - 1 - t : t);                    \
                kernel##_once();                                                                \
            }                                                                                   \
        }                                                                                       \
        return 1;                                                                               \
    }
