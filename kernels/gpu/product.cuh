// Small matrix products in pairs: a mean and a variance in one pass over the operands.
//
//     C1(m, n) = sum_k f1,   C2(m, n) = sum_k f2,   f1 and f2 of two left operands at (m, k) and two
//     right ones at (n, k)
//
// A block of SIDE x SIDE x SLICES threads computes SIDE x SIDE results, one a thread; slice z takes every
// SLICES-th tile of k, so that long sums keep more threads busy. Partial sums are put together in a fixed
// order.

#define SIDE 16
#define SLICES 4

// Keeps registers few enough for a block to start.
#define BLOCK_OF(threads) __launch_bounds__(threads)

struct Pair {
    real first, second;
};

// left(m, k), right(n, k) -> Pair; LEFT_ALONG, RIGHT_ALONG: whether it lies in memory along k.
// term(left, right, sums): adds to sums.first and sums.second. store(m, n, sums, lefts) for each result;
// lefts are the sums over k of the left operands.
template <bool LEFT_ALONG, bool RIGHT_ALONG, typename Left, typename Right, typename Term,
          typename Store>
DEVICE void product(int M, int N, int K, const Left &left, const Right &right, const Term &term,
                    const Store &store) {
    __shared__ real memory[4][SLICES][SIDE][SIDE + 1];
    const int x = threadIdx.x, y = threadIdx.y, z = threadIdx.z;
    const int m0 = blockIdx.y * SIDE, n0 = blockIdx.x * SIDE;
    // Neighbouring threads read what lies side by side in memory.
    const int left_k = LEFT_ALONG ? x : y, left_m = m0 + (LEFT_ALONG ? y : x);
    const int right_k = RIGHT_ALONG ? x : y, right_n = n0 + (RIGHT_ALONG ? y : x);
    const Pair zero = {0, 0};
    Pair sums = zero, lefts = zero;
    auto read_left = [&](int k0) {
        int k = k0 + z * SIDE + left_k;
        return left_m < M && k < K ? left(left_m, k) : zero;
    };
    auto read_right = [&](int k0) {
        int k = k0 + z * SIDE + right_k;
        return right_n < N && k < K ? right(right_n, k) : zero;
    };
    Pair l = read_left(0), r = read_right(0);
    for (int k0 = 0; k0 < K; k0 += SIDE * SLICES) {
        memory[0][z][left_k][left_m - m0] = l.first;
        memory[1][z][left_k][left_m - m0] = l.second;
        memory[2][z][right_k][right_n - n0] = r.first;
        memory[3][z][right_k][right_n - n0] = r.second;
        __syncthreads();
        // The next tile is on its way while this one is used.
        l = read_left(k0 + SIDE * SLICES);
        r = read_right(k0 + SIDE * SLICES);
        for (int k = 0; k < SIDE; ++k) {
            Pair a = {memory[0][z][k][y], memory[1][z][k][y]};
            Pair b = {memory[2][z][k][x], memory[3][z][k][x]};
            term(a, b, sums);
            lefts.first += a.first;
            lefts.second += a.second;
        }
        __syncthreads();
    }
    memory[0][z][y][x] = sums.first;
    memory[1][z][y][x] = sums.second;
    memory[2][z][y][x] = lefts.first;
    memory[3][z][y][x] = lefts.second;
    __syncthreads();
    if (z > 0 || m0 + y >= M || n0 + x >= N) return;
    for (int slice = 1; slice < SLICES; ++slice) {
        sums.first += memory[0][slice][y][x];
        sums.second += memory[1][slice][y][x];
        lefts.first += memory[2][slice][y][x];
        lefts.second += memory[3][slice][y][x];
    }
    store(m0 + y, n0 + x, sums, lefts);
}
