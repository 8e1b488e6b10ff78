// LSTM on the host: a whole window in a call, over blocks of rows that are independent of each other.

#include "product.hpp"
#include "../lstm.cu"

// Rows of a register tile, and the multiple of them that a thread works through.
enum { TILE_ROWS = 4, TILE_VECTORS = sizeof(vec) == 64 ? 2 : 1 };

static inline real *aligned(real *p) { return (real *)(((unsigned long long)p + 63) & ~63ull); }

// body(first row, rows) for blocks of whole tiles, so that no result depends on the number of threads.
template <typename Body>
static inline void row_blocks(int B, double work, const Body &body) {
    int threads = thread_count();
    int tiles = (B + TILE_ROWS - 1) / TILE_ROWS;
    int rows = (tiles + threads - 1) / threads * TILE_ROWS;
    rows = rows > 0 && work >= PARALLEL_WORK ? rows : B;
    parallel(rows > 0 ? (B + rows - 1) / rows : 0, work, [&](int block) {
        int first = block * rows;
        body(first, B - first < rows ? B - first : rows);
    });
}

// Panel of a strip of units, [k][4 means, 4 variances][LANES]: the weights of all gates side by side.
static void pack_gates(real *panel, const real *mu_w, const real *var_w, int K, int H, int first) {
    int units = H - first < LANES ? H - first : (int)LANES;
    for (int part = 0; part < 8; ++part) {
        const real *w = (part < 4 ? mu_w : var_w) + ((long)(part % 4) * H + first) * K;
        for (int k = 0; k < K; k += LANES) {
            int ks = K - k;
            vec x[LANES];
#pragma GCC unroll 16
            for (int r = 0; r < LANES; ++r) x[r] = r < units ? load_part(w + (long)r * K + k, ks) : vec{};
            exchange_all<1>(x);
#pragma GCC unroll 16
            for (int r = 0; r < LANES; ++r)
                if (r < ks) ((vec *)panel)[(long)(k + r) * 8 + part] = x[r];
        }
    }
}

// Adds terms first <= k < last of the sums of one row: means, variances and covariances of the gates.
// A CERTAIN input has no variance; the output gate's covariances are left out unless OUTPUT.
template <bool CERTAIN, bool OUTPUT>
static inline void add_terms(vec (&s)[14], const vec *panel, const real *m, const real *v,
                             const real *second, int first, int last) {
    for (int k = first; k < last; ++k) {
        const vec *w = panel + (long)k * 8;
        vec f = w[0], i = w[1], c = w[2], o = w[3];
        real mean = m[k], square = second[k];
        s[0] += mean * f;
        s[1] += mean * i;
        s[2] += mean * c;
        s[3] += mean * o;
        s[4] += square * w[4];
        s[5] += square * w[5];
        s[6] += square * w[6];
        s[7] += square * w[7];
        if (CERTAIN) continue;
        real variance = v[k];
        vec vf = variance * f, vi = variance * i, vc = variance * c, vo = variance * o;
        s[4] += vf * f;
        s[5] += vi * i;
        s[6] += vc * c;
        s[7] += vo * o;
        s[8] += vf * i;
        s[9] += vf * c;
        s[11] += vi * c;
        if (!OUTPUT) continue;
        s[10] += vf * o;
        s[12] += vi * o;
        s[13] += vc * o;
    }
}

KERNEL lstm_forward(real *mu_h, real *var_h, real *states, real *jac, real *mu_u, real *var_u,
                    const real *mu_x, const real *var_x, const real *initial, const real *mu_w,
                    const real *var_w, const real *mu_b, const real *var_b, real *scratch, int B,
                    int T, int I, int H, int width, int column, int last, int reverse, int full) {
    const int K = I + H, strips = (H + LANES - 1) / LANES;
    const long strip_size = (long)K * 8 * LANES;
    real *panels = aligned(scratch), *all_sums = panels + strips * strip_size,
         *all_seconds = all_sums + (long)B * 14 * H;
    for (int strip = 0; strip < strips; ++strip)
        pack_gates(panels + strip * strip_size, mu_w, var_w, K, H, strip * LANES);
    row_blocks(B, 4.0 * B * T * H * K, [&](int b, int rows) {
        real *sums = all_sums + (long)b * 14 * H, *seconds = all_seconds + (long)b * K;
        real *u = mu_u + (long)b * T * K, *vu = var_u + (long)b * T * K;
        real *state = states + (long)b * T * 4 * H, *j_ = jac + (long)b * T * 6 * H;
        const real *start = initial ? initial + (long)b * 4 * H : nullptr;
        const long out = (long)b * (last ? 1 : T) * width;
        lstm_input(u, vu, mu_x + (long)b * T * I, var_x ? var_x + (long)b * T * I : nullptr, start,
                   rows, T, I, H, reverse);
        for (int step = 0; step < T; ++step) {
            const int t = place(step, T, reverse), end = step || initial ? K : I;
            for (int r = 0; r < rows; ++r) {
                const real *m = u + ((long)r * T + t) * K, *v = vu + ((long)r * T + t) * K;
                real *__restrict__ second = seconds + (long)r * K;
                SIMD for (int k = 0; k < end; ++k) second[k] = m[k] * m[k] + v[k];
            }
            for (int strip = 0; strip < strips; ++strip) {
                const vec *panel = (const vec *)(panels + strip * strip_size);
                const int first = strip * LANES, units = H - first;
                for (int r = 0; r < rows; ++r) {
                    const real *m = u + ((long)r * T + t) * K, *v = vu + ((long)r * T + t) * K;
                    const real *second = seconds + (long)r * K;
                    vec s[14] = {};
                    if (var_x)
                        add_terms<false, true>(s, panel, m, v, second, 0, I);
                    else
                        add_terms<true, true>(s, panel, m, v, second, 0, I);
                    if (full)
                        add_terms<false, true>(s, panel, m, v, second, I, end);
                    else
                        add_terms<false, false>(s, panel, m, v, second, I, end);
                    real *to = sums + (long)r * 14 * H + first;
                    for (int g = 0; g < 14; ++g) store_part(to + (long)g * H, s[g], units);
                }
            }
            lstm_cell_forward(mu_h + out, var_h + out, state, j_, u, vu, sums, start, mu_b, var_b,
                              rows, T, I, H, step, width, column, last, reverse, full);
        }
    });
}

// What the innovations of one step's gates, ROWS rows, mean for COLUMNS vectors of the joint input.
// For row r and unit j, a = kf wf + ki wi + kc wc is dc/du: the mean's part is c a + zo wo, the variance's
// cc a^2 + both a wo + zzo wo^2, which is the square of dh/du for h and that of dc/du for the later c.
template <int ROWS, int COLUMNS>
static inline void joint_tile(const real *jac, const real *d_state, const real *z, const real *zz,
                              const real *both, int T, int H, const real *w, int K, real *to_mu,
                              real *to_var, long to_row, int tail, bool accumulate) {
    vec s1[ROWS][COLUMNS] = {}, s2[ROWS][COLUMNS] = {};
    const long gate = (long)H * K, jac_row = (long)T * 6 * H, row = (long)T * 4 * H;
    for (int j = 0; j < H; ++j) {
        vec wf[COLUMNS], wi[COLUMNS], wc[COLUMNS], wo[COLUMNS], squared[COLUMNS];
        for (int v = 0; v < COLUMNS; ++v) {
            const real *from = w + (long)j * K + v * LANES;
            int n = v == COLUMNS - 1 ? tail : (int)LANES;
            wf[v] = load_part(from, n);
            wi[v] = load_part(from + gate, n);
            wc[v] = load_part(from + 2 * gate, n);
            wo[v] = load_part(from + 3 * gate, n);
            squared[v] = wo[v] * wo[v];
        }
        for (int r = 0; r < ROWS; ++r) {
            const real *k = jac + r * jac_row + j, *d = d_state + r * row + j;
            real kf = k[0], ki = k[H], kc = k[2 * H], c = d[2 * H], cc = d[3 * H];
            real zo = z[r * row + 3 * H + j], zzo = zz[r * row + 3 * H + j], b = both[r * H + j];
            for (int v = 0; v < COLUMNS; ++v) {
                vec a = kf * wf[v] + ki * wi[v] + kc * wc[v];
                s1[r][v] += c * a;
                s1[r][v] += zo * wo[v];
                s2[r][v] += (cc * a + b * wo[v]) * a;
                s2[r][v] += zzo * squared[v];
            }
        }
    }
    for (int r = 0; r < ROWS; ++r) {
        for (int v = 0; v < COLUMNS; ++v) {
            real *m = to_mu + r * to_row + v * LANES, *s = to_var + r * to_row + v * LANES;
            int n = v == COLUMNS - 1 ? tail : (int)LANES;
            if (accumulate) {
                s1[r][v] += load_part(m, n);
                s2[r][v] += load_part(s, n);
            }
            store_part(m, s1[r][v], n);
            store_part(s, s2[r][v], n);
        }
    }
}

template <int N>
struct Number {
    static constexpr int value = N;
};

template <int COLUMNS, typename... A>
static inline void joint_rows(int rows, A... arguments) {
    switch (rows) {
        case 1: joint_tile<1, COLUMNS>(arguments...); break;
        case 2: joint_tile<2, COLUMNS>(arguments...); break;
        case 3: joint_tile<3, COLUMNS>(arguments...); break;
        default: joint_tile<TILE_ROWS, COLUMNS>(arguments...);
    }
}

// The same for `rows` rows and `count` columns of the weights from `w` on.
static void joint_backward(int rows, int count, const real *jac, const real *d_state, const real *z,
                           const real *zz, const real *both, int T, int H, const real *w, int K,
                           real *to_mu, real *to_var, long to_row, bool accumulate) {
    for (int k = 0; k < count; k += TILE_VECTORS * LANES) {
        int left = count - k;
        for (int r = 0; r < rows; r += TILE_ROWS) {
            const long at = (long)r * T * 4 * H;
            auto tile = [&](auto columns, int tail) {
                joint_rows<decltype(columns)::value>(
                    rows - r, jac + (long)r * T * 6 * H, d_state + at, z + at, zz + at,
                    both + (long)r * H, T, H, w + k, K, to_mu + r * to_row + k,
                    to_var + r * to_row + k, to_row, tail, accumulate);
            };
            if (TILE_VECTORS > 1 && left > LANES)
                tile(Number<TILE_VECTORS>(), left - (TILE_VECTORS - 1) * LANES);
            else
                tile(Number<1>(), left);
        }
    }
}

KERNEL lstm_backward(real *d_mu_z, real *d_var_z, real *d_states, real *d_mu_x, real *d_var_x,
                     const real *d_mu_h, const real *d_var_h, const real *jac, const real *mu_w,
                     real *scratch, int B, int T, int I, int H, int width, int column, int last,
                     int reverse, int accumulate) {
    const int K = I + H;
    real *all_cross = scratch, *all_before = scratch + (long)B * H;
    row_blocks(B, 4.0 * B * T * H * K, [&](int b, int rows) {
        const long at = (long)b * T * 4 * H, out = (long)b * (last ? 1 : T) * width;
        real *cross = all_cross + (long)b * H, *before = all_before + (long)b * 2 * H;
        const real *j_ = jac + (long)b * T * 6 * H;
        for (int step = T - 1; step >= 0; --step) {
            const int t = place(step, T, reverse);
            const long now = at + (long)t * 4 * H;
            lstm_cell_backward(d_mu_z + at, d_var_z + at, d_states + at, cross, d_mu_h + out,
                               d_var_h + out, before, j_, rows, T, H, step, width, column, last,
                               reverse);
            if (d_mu_x) {
                const long x = ((long)b * T + t) * I;
                joint_backward(rows, I, j_ + (long)t * 6 * H, d_states + now, d_mu_z + now,
                               d_var_z + now, cross, T, H, mu_w, K, d_mu_x + x, d_var_x + x,
                               (long)T * I, accumulate);
            }
            if (step)
                joint_backward(rows, H, j_ + (long)t * 6 * H, d_states + now, d_mu_z + now,
                               d_var_z + now, cross, T, H, mu_w + I, K, before, before + H,
                               2l * H, false);
        }
    });
}
