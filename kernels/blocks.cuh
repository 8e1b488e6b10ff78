// Rows that are summed or searched: a thread block each on the GPU, a loop on the host.
//
// On the GPU all threads of a block, a multiple of 32, take part in what ends in (...) below. A thread
// sees its own columns: what another thread wrote to a row, only behind a BARRIER.

#ifdef TAGI_HOST

#define EACH_ROW(b, B) for (int b = 0; b < (B); ++b)
#define EACH_COLUMN(i, n) for (int i = 0; i < (n); ++i)
#define FIRST_COLUMN 0
#define LEADER true
#define BARRIER
#define TOTAL(x) (x)
#define HIGHEST(x) (x)
#define WINNER(value, place)

#else

#define EACH_ROW(b, B) for (int b = blockIdx.x; b < (B); b += gridDim.x)
#define EACH_COLUMN(i, n) for (int i = threadIdx.x; i < (n); i += blockDim.x)
#define FIRST_COLUMN (int)threadIdx.x
#define LEADER (threadIdx.x == 0)
#define BARRIER __syncthreads();
#define TOTAL(x) block_total(x)
#define HIGHEST(x) block_highest(x)
#define WINNER(value, place) block_winner(&(value), &(place))

#define ALL 0xffffffffu

struct Plus {
    template <typename T>
    __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};
struct Larger {
    template <typename T>
    __device__ __forceinline__ T operator()(T a, T b) const { return a > b ? a : b; }
};

// The threads' values put together in an order that depends on their number alone.
template <typename T, typename Operation>
DEVICE T block_all(T x, Operation operation) {
    for (int lanes = 16; lanes > 0; lanes /= 2) x = operation(x, __shfl_xor_sync(ALL, x, lanes));
    if (blockDim.x <= 32) return x;
    __shared__ T parts[32];
    __syncthreads();  // the values of the call before have been read
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = parts[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; ++warp) x = operation(x, parts[warp]);
    return x;
}

template <typename T>
DEVICE T block_total(T x) { return block_all(x, Plus()); }

template <typename T>
DEVICE T block_highest(T x) { return block_all(x, Larger()); }

// The larger value with its place; NaN is largest, the lower place wins a tie, a negative one never.
DEVICE void keep_winner(real *value, int *place, real other, int there) {
    bool mine = *place >= 0, nan = *value != *value, better = other > *value || (other != other && !nan);
    bool even = other == *value || (other != other && nan);
    if (there >= 0 && (!mine || better || (even && there < *place))) {
        *value = other;
        *place = there;
    }
}

DEVICE void block_winner(real *value, int *place) {
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        real other = __shfl_xor_sync(ALL, *value, lanes);
        int there = __shfl_xor_sync(ALL, *place, lanes);
        keep_winner(value, place, other, there);
    }
    if (blockDim.x <= 32) return;
    __shared__ real values[32];
    __shared__ int places[32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        values[threadIdx.x / 32] = *value;
        places[threadIdx.x / 32] = *place;
    }
    __syncthreads();
    for (int warp = 0; warp < (int)blockDim.x / 32; ++warp) {
        keep_winner(value, place, values[warp], places[warp]);
    }
}

#endif
