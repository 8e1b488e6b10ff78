// LSTM: what is done unit by unit, and row by row for the states that one call leaves to the next.
//
// B rows, T steps, I inputs, H units, K = I + H. Gates come in the order f, i, c, o.
//   mu_u, var_u (B, T, K)  the input of a step, and h of the step before
//   sums (B, 14, H)        of the gates of one step, without biases: 4 means, 4 variances, and the
//                          covariances fi, fc, fo, ic, io, co
//   states (B, T, 4, H)    mu_h, var_h, mu_c, var_c after each step; initial (B, 4, H) or null before
//   jac (B, T, 6, H)       dc/dz_f, dc/dz_i, dc/dz_c, dh/dz_o, dh/dc, and dc/dc of the step before
//   d_states (B, T, 4, H)  innovations of states
// `step` counts in the order of computation; with `reverse` it runs from the last step to the first.
// Output rows are `width` wide, H columns from `column` on are ours; with `last` there is one row in
// all, for the step computed last.

#include "blocks.cuh"
#include "random.cuh"

DEVICE real logistic(real x) { return REAL(1.0) / (REAL(1.0) + real_exp(-x)); }

// E logistic(Z), Z ~ N(m, v), is close to logistic(w m) with w = 1 / sqrt(1 + pi v / 8) (MacKay 1992).
DEVICE real narrowed(real v, real share) { return REAL(1.0) / SQRT(REAL(1.0) + share * v); }

DEVICE int place(int step, int T, int reverse) { return reverse ? T - 1 - step : step; }

KERNEL lstm_input(real *__restrict__ mu_u, real *__restrict__ var_u, const real *__restrict__ mu_x,
                  const real *__restrict__ var_x, const real *__restrict__ initial, int B, int T,
                  int I, int H, int reverse) {
    int K = I + H;
    EACH_ROW(row, B * T) {
        real *m = mu_u + (long long)row * K, *v = var_u + (long long)row * K;
        const real *from = mu_x + (long long)row * I;
        EACH_COLUMN(k, I) m[k] = from[k];
        from = var_x + (var_x ? (long long)row * I : 0);
        EACH_COLUMN(k, I) v[k] = var_x ? from[k] : REAL(0.0);
        if (row % T != place(0, T, reverse)) continue;
        from = initial + (initial ? (long long)(row / T) * 4 * H : 0);
        EACH_COLUMN(j, H) m[I + j] = initial ? from[j] : REAL(0.0);
        EACH_COLUMN(j, H) v[I + j] = initial ? from[H + j] : REAL(0.0);
    }
}

KERNEL lstm_cell_forward(real *__restrict__ mu_h, real *__restrict__ var_h,
                         real *__restrict__ states, real *__restrict__ jac,
                         real *__restrict__ mu_u, real *__restrict__ var_u,
                         const real *__restrict__ sums, const real *__restrict__ initial,
                         const real *__restrict__ mu_b, const real *__restrict__ var_b, int B, int T,
                         int I, int H, int step, int width, int column, int last, int reverse,
                         int full) {
    int t = place(step, T, reverse), out = last ? step == T - 1 : 1;
    // pi / 8; tanh x = 2 logistic(2 x) - 1 has four times as much.
    real share = full ? REAL(0.39269908169872414) : REAL(0.0), all = full ? REAL(2.0) : REAL(0.0);
    EACH_ROW(b, B) {
        long long row = (long long)b * T + t;
        real *state = states + row * 4 * H, *j_ = jac + row * 6 * H;
        const real *s = sums + (long long)b * 14 * H;
        const real *before = step      ? states + ((long long)b * T + place(step - 1, T, reverse)) * 4 * H
                             : initial ? initial + (long long)b * 4 * H
                                       : 0;
        SIMD EACH_COLUMN(j, H) {
            real zf = s[4 * H + j] + (mu_b ? var_b[j] : REAL(0.0));
            real zi = s[5 * H + j] + (mu_b ? var_b[H + j] : REAL(0.0));
            real zg = s[6 * H + j] + (mu_b ? var_b[2 * H + j] : REAL(0.0));
            real zo = s[7 * H + j] + (mu_b ? var_b[3 * H + j] : REAL(0.0));
            real wf = narrowed(zf, share), wi = narrowed(zi, share);
            real wg = narrowed(zg, REAL(4.0) * share), wo = narrowed(zo, share);
            real f = logistic(wf * (s[j] + (mu_b ? mu_b[j] : REAL(0.0))));
            real i = logistic(wi * (s[H + j] + (mu_b ? mu_b[H + j] : REAL(0.0))));
            real g = real_tanh(wg * (s[2 * H + j] + (mu_b ? mu_b[2 * H + j] : REAL(0.0))));
            real o = logistic(wo * (s[3 * H + j] + (mu_b ? mu_b[3 * H + j] : REAL(0.0))));
            real jf = wf * f * (REAL(1.0) - f), ji = wi * i * (REAL(1.0) - i);
            real jg = wg * (REAL(1.0) - g * g), jo = wo * o * (REAL(1.0) - o);
            real vf = jf * jf * zf, vi = ji * ji * zi, vg = jg * jg * zg, vo = jo * jo * zo;
            real fi = jf * ji * s[8 * H + j], fg = jf * jg * s[9 * H + j];
            real fo = jf * jo * s[10 * H + j], ig = ji * jg * s[11 * H + j];
            real io = ji * jo * s[12 * H + j], go = jg * jo * s[13 * H + j];
            real cp = before ? before[2 * H + j] : REAL(0.0);
            real vp = before ? before[3 * H + j] : REAL(0.0);

            real c = f * cp + (i * g + ig);
            real vc = vp * (f * f + vf) + vf * cp * cp + vg * (i * i + vi) + vi * g * g +
                      ig * (ig + REAL(2.0) * i * g) +
                      all * cp * (i * fg + g * fi);
            vc = not_negative(vc);
            real wc = narrowed(vc, REAL(4.0) * share);
            real a = real_tanh(wc * c), ja = wc * (REAL(1.0) - a * a), va = ja * ja * vc;
            real oa = ja * (fo * cp + io * g + go * i);
            real h = o * a + oa;
            real vh = not_negative(va * (o * o + vo) + vo * a * a + oa * (oa + REAL(2.0) * o * a));

            state[j] = h;
            state[H + j] = vh;
            state[2 * H + j] = c;
            state[3 * H + j] = vc;
            j_[j] = jf * cp;
            j_[H + j] = ji * g;
            j_[2 * H + j] = jg * i;
            j_[3 * H + j] = jo * a;
            j_[4 * H + j] = ja * o;
            j_[5 * H + j] = f;
        }
        if (out) {
            long long at = (last ? b : row) * width + column;
            EACH_COLUMN(j, H) mu_h[at + j] = state[j];
            EACH_COLUMN(j, H) var_h[at + j] = state[H + j];
        }
        if (step < T - 1) {
            long long at = ((long long)b * T + place(step + 1, T, reverse)) * (I + H) + I;
            EACH_COLUMN(j, H) mu_u[at + j] = state[j];
            EACH_COLUMN(j, H) var_u[at + j] = state[H + j];
        }
    }
}

// d_mu_z, d_var_z (B, T, 4 H) of the gates; cross (B, H) is the part of the variance's innovation that
// the output gate and the cell have in common; d_before (B, 2, H) came back to h from the step after.
KERNEL lstm_cell_backward(real *__restrict__ d_mu_z, real *__restrict__ d_var_z,
                          real *__restrict__ d_states, real *__restrict__ cross,
                          const real *__restrict__ d_mu_h, const real *__restrict__ d_var_h,
                          const real *__restrict__ d_before, const real *__restrict__ jac, int B,
                          int T, int H, int step, int width, int column, int last, int reverse) {
    int t = place(step, T, reverse), out = last ? step == T - 1 : 1, inner = step < T - 1;
    EACH_ROW(b, B) {
        long long row = (long long)b * T + t;
        long long next = (long long)b * T + place(inner ? step + 1 : step, T, reverse);
        long long at = (last ? b : row) * width + column;
        const real *j_ = jac + row * 6 * H, *forget = jac + (next * 6 + 5) * H;
        const real *d_next = d_states + next * 4 * H, *d_h = d_before + (long long)b * 2 * H;
        real *d = d_states + row * 4 * H, *z = d_mu_z + row * 4 * H, *zz = d_var_z + row * 4 * H;
        real *both = cross + (long long)b * H;
        SIMD EACH_COLUMN(j, H) {
            real h = out ? d_mu_h[at + j] : REAL(0.0), hh = out ? d_var_h[at + j] : REAL(0.0);
            h += inner ? d_h[j] : REAL(0.0);
            hh += inner ? d_h[H + j] : REAL(0.0);
            real r = j_[4 * H + j], keep = inner ? forget[j] : REAL(0.0);
            real c = r * h + (inner ? keep * d_next[2 * H + j] : REAL(0.0));
            real cc = r * r * hh + (inner ? keep * keep * d_next[3 * H + j] : REAL(0.0));
            real kf = j_[j], ki = j_[H + j], kc = j_[2 * H + j], ko = j_[3 * H + j];
            d[j] = h;
            d[H + j] = hh;
            d[2 * H + j] = c;
            d[3 * H + j] = cc;
            z[j] = kf * c;
            z[H + j] = ki * c;
            z[2 * H + j] = kc * c;
            z[3 * H + j] = ko * h;
            zz[j] = kf * kf * cc;
            zz[H + j] = ki * ki * cc;
            zz[2 * H + j] = kc * kc * cc;
            zz[3 * H + j] = ko * ko * hh;
            both[j] = REAL(2.0) * r * ko * hh;
        }
    }
}

// initial (B, 4, H): row continues[b] of carried (R, 4, H) where that is held, else a fresh state: means
// uniform with standard deviation `spread`, a function of (seed, batch, element), or zero without a
// generator; variances `var`. Without carried all states are fresh.
KERNEL lstm_state_load(real *__restrict__ initial, const real *__restrict__ carried,
                       const real *__restrict__ held, const int *__restrict__ continues,
                       const int *__restrict__ generator, real spread, real var, int first_row,
                       int B, int H) {
    unsigned int stream = generator ? random_stream(generator) : 0;
    real scale = generator ? spread * REAL(1.7320508075688772) / REAL(8388608.0) : REAL(0.0);
    EACH_ROW(b, B) {
        real *to = initial + (long long)b * 4 * H;
        int r = carried ? continues[b] : -1;
        if (r >= 0 && held[r] > REAL(0.0)) {
            const real *from = carried + (long long)r * 4 * H;
            EACH_COLUMN(k, 4 * H) to[k] = from[k];
            continue;
        }
        SIMD EACH_COLUMN(k, 2 * H) {
            int first = k < H ? k : k + H;
            int draw = random_bits(stream, first_row * 2 * H, b * 2 * H + k) - 8388608;
            to[first] = scale * (real)draw;
            to[first + H] = var;
        }
    }
}

KERNEL lstm_state_store(real *__restrict__ carried, real *__restrict__ held,
                        const real *__restrict__ states, int B, int T, int H) {
    EACH_ROW(b, B) {
        const real *from = states + ((long long)b * T + T - 1) * 4 * H;
        EACH_COLUMN(k, 4 * H) carried[(long long)b * 4 * H + k] = from[k];
        if (LEADER) held[b] = REAL(1.0);
    }
}

// The last step's state given the observations, in place of the state before them.
KERNEL lstm_state_posterior(real *__restrict__ carried, const real *__restrict__ states,
                            const real *__restrict__ d_states, int B, int T, int H) {
    EACH_ROW(b, B) {
        long long row = ((long long)b * T + T - 1) * 4 * H;
        const real *s = states + row, *d = d_states + row;
        real *to = carried + (long long)b * 4 * H;
        SIMD EACH_COLUMN(k, 2 * H) {
            int i = k < H ? k : k + H;
            real v = s[i + H];
            to[i] = s[i] + v * d[i];
            to[i + H] = not_negative(v + v * v * d[i + H]);
        }
    }
}
