// Exact moments of piecewise linear activations of a Gaussian; mixture_relu_forward is among the
// activations. var_z and var_a are null together for a certain input. jac = cov(a, z) / var_z.

// Standard deviation from which moments of the clip come from a series about its middle, where the
// closed form would subtract numbers of the size of the variance.
#ifdef TAGI_DOUBLE
#define WIDE 100.0
#else
#define WIDE 4.0f
#endif

// Moments of W = clip(Z, -1, 1), Z ~ N(a, v), a >= 0: mean, its distance to 1, variance, J.
DEVICE void clipped(real a, real v, real *mean, real *short_of_one, real *variance, real *jac) {
    const real one = REAL(1.0);
    bool inside = a < one;
    // Factors, not branches: compilers would skip the tails by a jump and not vectorise.
    real spread = v > REAL(0.0) ? one : REAL(0.0);
    real s = SQRT(v);
    real h = one / (s + (one - spread));
    bool wide = s > WIDE;
    real near = inside ? one - a : a - one;
    // Beyond 1e4 standard deviations all tails are zero.
    real t = (wide ? a : near) * h, u = (one + a) * h;
    t = t > REAL(1e4) ? REAL(1e4) : t;
    u = u > REAL(1e4) ? REAL(1e4) : u;
    real q, g, q_far, g_far;
    normal_tail(t, &q, &g);
    normal_tail(u, &q_far, &g_far);
    q *= spread;
    g *= spread;
    q_far *= spread;
    g_far *= spread;

    real part = (inside ? one - q : q) - t * g - g * g;
    real upper = inside ? g : t + g;
    part -= q_far + g_far * (u + g_far - REAL(2.0) * upper);
    real lost = s * (g - g_far);

    // Integrals of P(Z < -y) and y P(Z < -y) over the interval, as Taylor series in h = 1 / s.
    real phi = g + t * q, square = t * t, h2 = h * h;
    real second = square - one, fourth = square * square - REAL(6.0) * square + REAL(3.0);
    real below = REAL(2.0) * q +
                 phi * t * h2 * (REAL(1.0) / REAL(3.0) + h2 * (square - REAL(3.0)) / REAL(60.0));
    real moment = REAL(-2.0) * phi * h *
                  (REAL(1.0) / REAL(3.0) + h2 * (second / REAL(30.0) + h2 * fourth / REAL(840.0)));
    real slope = REAL(2.0) * h * phi *
                 (one + h2 * (second / REAL(6.0) + h2 * fourth / REAL(120.0)));

    real narrow_short = inside ? near + lost : lost;
    real narrow_mean = inside ? a - lost : one - lost;
    real narrow_jac = (inside ? one - q : q) - q_far;
    *short_of_one = wide ? below : narrow_short;
    *mean = wide ? one - below : narrow_mean;
    real result = wide ? REAL(2.0) * (below + moment) - below * below : v * part;
    *variance = not_negative(result);
    *jac = wide ? slope : narrow_jac;
}

KERNEL mixture_tanh_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                            real *__restrict__ jac, const real *__restrict__ mu_z,
                            const real *__restrict__ var_z, int n) {
    if (!var_z) {
        SIMD GRID_STRIDE(i, n) {
            real m = mu_z[i], a = m > REAL(1.0) ? REAL(1.0) : m;
            mu_a[i] = a < REAL(-1.0) ? REAL(-1.0) : a;
            jac[i] = m < REAL(1.0) && m > REAL(-1.0) ? REAL(1.0) : REAL(0.0);
        }
        return;
    }
    SIMD GRID_STRIDE(i, n) {
        real m = mu_z[i], mean, rest, variance, j;
        clipped(m < REAL(0.0) ? -m : m, var_z[i], &mean, &rest, &variance, &j);
        mu_a[i] = m < REAL(0.0) ? -mean : mean;
        var_a[i] = variance;
        jac[i] = j;
    }
}

KERNEL mixture_sigmoid_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                               real *__restrict__ jac, const real *__restrict__ mu_z,
                               const real *__restrict__ var_z, int n) {
    const real half = REAL(0.5);
    if (!var_z) {
        SIMD GRID_STRIDE(i, n) {
            real m = mu_z[i], a = m > REAL(1.0) ? REAL(1.0) : half + half * m;
            mu_a[i] = a < REAL(0.0) ? REAL(0.0) : a;
            jac[i] = m < REAL(1.0) && m > REAL(-1.0) ? half : REAL(0.0);
        }
        return;
    }
    SIMD GRID_STRIDE(i, n) {
        real m = mu_z[i], mean, rest, variance, j;
        clipped(m < REAL(0.0) ? -m : m, var_z[i], &mean, &rest, &variance, &j);
        mu_a[i] = m < REAL(0.0) ? half * rest : REAL(1.0) - half * rest;
        var_a[i] = half * half * variance;
        jac[i] = half * j;
    }
}

KERNEL mixture_leaky_relu_forward(real *__restrict__ mu_a, real *__restrict__ var_a,
                                  real *__restrict__ jac, const real *__restrict__ mu_z,
                                  const real *__restrict__ var_z, real negative_slope, int n) {
    real c = negative_slope, d = REAL(1.0) - c;
    if (!var_z) {
        SIMD GRID_STRIDE(i, n) {
            real j = mu_z[i] > REAL(0.0) ? REAL(1.0) : c;
            mu_a[i] = mu_z[i] * j;
            jac[i] = j;
        }
        return;
    }
    SIMD GRID_STRIDE(i, n) {
        real m = mu_z[i], v = var_z[i], mean, part, positive;
        rectified(m, v, &mean, &part, &positive);
        mu_a[i] = c * m + d * mean;
        real share = c * c + d * (d * part + REAL(2.0) * c * positive);
        var_a[i] = v * not_negative(share);
        jac[i] = c + d * positive;
    }
}
