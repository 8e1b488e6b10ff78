// Small matrix products in pairs: a mean and a variance in one pass over the operands.
//
//     C1(m, n) = sum_k f1,   C2(m, n) = sum_k f2,   f1 and f2 of two left operands at (m, k) and two
//     right ones at (n, k)
//
// A block of HALF x HALF x slices threads computes SIDE x SIDE results. Its slices, at most SLICES, take
// turns at tiles of k, so that few results with long sums keep many threads busy; partial sums are put
// together in a fixed order. A thread has the results of two rows and two columns, so that what it reads
// from shared memory is used twice.

#define SIDE 16
#define HALF 8
#ifdef TAGI_DOUBLE
#define SLICES 4
#else
#define SLICES 8
#endif
#define PARTS (SIDE * SIDE / (HALF * HALF))

// Keeps registers few enough for a block to start.
#define BLOCK_OF(threads) __launch_bounds__(threads)

// What belongs together is read together.
struct alignas(2 * sizeof(real)) Pair {
    real first, second;
};

DEVICE void add(Pair &sum, const Pair &other) {
    sum.first += other.first;
    sum.second += other.second;
}

// Of a left innovation and a right mean: the mean times the first, its square times the second.
struct Innovate {
    __device__ __forceinline__ void operator()(const Pair &d, const Pair &m, Pair &sums) const {
        sums.first += d.first * m.first;
        sums.second += d.second * (m.first * m.first);
    }
};

// left(m, k), right(n, k) -> Pair; LEFT_ALONG, RIGHT_ALONG: whether it lies in memory along k.
// term(left, right, sums): adds to sums.first and sums.second. store(m, n, sums, lefts) for each result;
// lefts are, with LEFT_SUMS, the sums over k of the left operands.
template <bool LEFT_ALONG, bool RIGHT_ALONG, bool LEFT_SUMS, typename Left, typename Right,
          typename Term, typename Store>
DEVICE void product(int M, int N, int K, const Left &left, const Right &right, const Term &term,
                    const Store &store) {
    __shared__ Pair left_tile[SLICES][SIDE][SIDE + 1], right_tile[SLICES][SIDE][SIDE + 1];
    const int x = threadIdx.x, y = threadIdx.y, z = threadIdx.z, thread = y * HALF + x;
    const int slices = blockDim.z;
    const int m0 = blockIdx.y * SIDE, n0 = blockIdx.x * SIDE;
    Pair sums[2][2] = {}, lefts[2] = {}, next_left[PARTS], next_right[PARTS];
    // Neighbouring threads read what lies side by side in memory.
    auto read = [&](int k0) {
#pragma unroll
        for (int part = 0; part < PARTS; ++part) {
            int i = thread + part * HALF * HALF, along = i % SIDE, across = i / SIDE;
            int k = k0 + z * SIDE + (LEFT_ALONG ? along : across);
            int m = m0 + (LEFT_ALONG ? across : along);
            next_left[part] = m < M && k < K ? left(m, k) : Pair{0, 0};
            k = k0 + z * SIDE + (RIGHT_ALONG ? along : across);
            int n = n0 + (RIGHT_ALONG ? across : along);
            next_right[part] = n < N && k < K ? right(n, k) : Pair{0, 0};
        }
    };
    read(0);
    for (int k0 = 0; k0 < K; k0 += SIDE * slices) {
#pragma unroll
        for (int part = 0; part < PARTS; ++part) {
            int i = thread + part * HALF * HALF, along = i % SIDE, across = i / SIDE;
            left_tile[z][LEFT_ALONG ? along : across][LEFT_ALONG ? across : along] = next_left[part];
            right_tile[z][RIGHT_ALONG ? along : across][RIGHT_ALONG ? across : along] = next_right[part];
        }
        __syncthreads();
        // The next tile is on its way while this one is used.
        read(k0 + SIDE * slices);
#pragma unroll 4
        for (int k = 0; k < SIDE; ++k) {
            const Pair a[2] = {left_tile[z][k][y], left_tile[z][k][y + HALF]};
            const Pair b[2] = {right_tile[z][k][x], right_tile[z][k][x + HALF]};
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                term(a[i], b[0], sums[i][0]);
                term(a[i], b[1], sums[i][1]);
                if (LEFT_SUMS) add(lefts[i], a[i]);
            }
        }
        __syncthreads();
    }
    // The tiles' memory holds the partial results now: those of a slice, and their rows' left sums.
    Pair *partial = &left_tile[0][0][0], *rows = &right_tile[0][0][0];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        int row = y + i * HALF;
        partial[(z * SIDE + row) * SIDE + x] = sums[i][0];
        partial[(z * SIDE + row) * SIDE + x + HALF] = sums[i][1];
        if (LEFT_SUMS && x == 0) rows[z * SIDE + row] = lefts[i];
    }
    __syncthreads();
    for (int i = z * HALF * HALF + thread; i < SIDE * SIDE; i += slices * HALF * HALF) {
        int row = i / SIDE, m = m0 + row, n = n0 + i % SIDE;
        if (m >= M || n >= N) continue;
        Pair result = {}, total = {};
        for (int slice = 0; slice < slices; ++slice) {
            add(result, partial[slice * SIDE * SIDE + i]);
            if (LEFT_SUMS) add(total, rows[slice * SIDE + row]);
        }
        store(m, n, result, total);
    }
}
