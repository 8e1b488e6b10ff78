// Random numbers as a function of (seed, number of the batch) and an element: the same on every backend
// and in any order.

// A bijection of 32-bit words whose output bits each depend on all input bits (multiply, xor, shift).
DEVICE unsigned int scramble(unsigned int x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

// What is common to the elements of a batch; generator holds seed and number of the batch.
DEVICE unsigned int random_stream(const int *generator) {
    return scramble((unsigned int)generator[1] + scramble((unsigned int)generator[0]));
}

// Uniform in 0 ... 2^24 - 1, for element first + i of the whole batch, of which this may be a part.
DEVICE int random_bits(unsigned int stream, int first, int i) {
    return (int)(scramble(((unsigned int)first + (unsigned int)i) ^ stream) >> 8);
}
