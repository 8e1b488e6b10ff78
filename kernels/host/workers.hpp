// The threads that kernels share their tasks with.

#include "threads.hpp"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

static inline void pause_briefly() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Workers take tasks of the one region that is open at a time. Unlike the threads of OpenMP they need not all
// come: whoever opens a region works through its tasks, and waits in the end for those tasks only that a worker
// has taken. One that sleeps, as it does on the idle core of a virtual machine, or that has no core to run on,
// then delays nobody.
class Workers {
    // Places left in the open region, times PLACE, plus the workers at work in it. None left: closed.
    static const unsigned PLACE = 1u << 16;
    alignas(64) std::atomic<unsigned> region{0};
    alignas(64) std::atomic<int> next{0};
    alignas(64) std::atomic<int> asleep{0};
    int n = 0, chunk = 1;
    void (*task)(const void *, int) = nullptr;
    const void *context = nullptr;
    std::mutex owner, door;
    std::condition_variable bell;
    int made = 0;

    // How long a thread looks out for what comes before it sleeps: longer than the kernels between two regions
    // of a step mostly take. It gives its core to whoever else wants it.
    static constexpr std::chrono::microseconds LOOK_OUT{100};

    void work() {
        for (;;) {
            const int first = next.fetch_add(chunk, std::memory_order_relaxed);
            if (first >= n) return;
            const int last = n - first < chunk ? n : first + chunk;
            for (int i = first; i < last; ++i) task(context, i);
        }
    }

    // Close the region to others, and leave it; the last of the results are visible to who sees that.
    void leave(unsigned self) {
        unsigned seen = region.load(std::memory_order_relaxed);
        while (!region.compare_exchange_weak(seen, seen % PLACE - self, std::memory_order_acq_rel)) {
        }
    }

    bool join() {
        unsigned seen = region.load(std::memory_order_relaxed);
        while (seen >= PLACE)
            if (region.compare_exchange_weak(seen, seen - PLACE + 1, std::memory_order_acquire))
                return true;
        return false;
    }

    // Spin until the region is as wanted; false if that takes too long.
    template <typename Wanted>
    bool look_out(const Wanted &wanted) {
        const auto end = std::chrono::steady_clock::now() + LOOK_OUT;
        do {
            for (int i = 0; i < 32; ++i) {
                if (wanted(region.load(std::memory_order_acquire))) return true;
                pause_briefly();
            }
            std::this_thread::yield();
        } while (std::chrono::steady_clock::now() < end);
        return false;
    }

    void wait_for_region() {
        const auto open = [](unsigned seen) { return seen >= PLACE; };
        if (look_out(open)) return;
        std::unique_lock<std::mutex> lock(door);
        ++asleep;
        bell.wait(lock, [&] { return open(region); });
        --asleep;
    }

    void serve() {
        FlushDenormals guard;
        for (;;) {
            wait_for_region();
            if (!join()) continue;
            work();
            leave(1);
        }
    }

    // Signals are for the threads of the program that these kernels are called from.
    void hire(int count) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            for (; made < count; ++made) std::thread([this] { serve(); }).detach();
        } catch (const std::system_error &) {  // the system has no more; those that there are will do
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

public:
    void share(int tasks, int at_a_time, int workers, void (*what)(const void *, int),
               const void *with) {
        std::unique_lock<std::mutex> mine(owner, std::try_to_lock);
        if (!mine.owns_lock()) {  // another thread of the program has them
            for (int i = 0; i < tasks; ++i) what(with, i);
            return;
        }
        if (made < workers) hire(workers);
        n = tasks, chunk = at_a_time, task = what, context = with;
        next.store(0, std::memory_order_relaxed);
        region.store(workers * PLACE);
        // Without the lock: one that is about to sleep may miss the bell, and comes to the next region.
        for (int sleeping = asleep; sleeping > 0 && workers > 0; --sleeping, --workers)
            bell.notify_one();
        work();
        leave(0);
        // A worker that has lost its core takes milliseconds: leave it ours.
        while (!look_out([](unsigned seen) { return seen == 0; }))
            std::this_thread::sleep_for(LOOK_OUT / 2);
    }
};

// Never destroyed: workers sleep in it until the process ends. A process that forks leaves them behind, so
// that its child begins anew.
static Workers *workers_of_process() {
    static Workers *all = [] {
        pthread_atfork(nullptr, nullptr, [] { all = new Workers; });
        return new Workers;
    }();
    return all;
}
