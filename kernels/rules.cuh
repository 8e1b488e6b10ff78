// Update rules: what a parameter of variance v makes of its accumulated innovations g and l.

#define FLOOR REAL(1e-5)

// What is added to the mean, and the new variance.
struct Posterior {
    real step, variance;
};

DEVICE Posterior rule_sum(real v, real g, real l) { return {v * g, v + v * v * l}; }

// `scale` is one over the cap: both moments move by at most `scale` standard deviations.
DEVICE Posterior rule_capped(real v, real g, real l, real scale) {
    real bar = SQRT(v) * scale, dv = v * v * l;
    return {larger(smaller(v * g, bar), -bar), v + larger(smaller(dv, bar), -bar)};
}

DEVICE Posterior rule_information(real v, real g, real l) {
    real v1 = v / (REAL(1.0) - v * l);
    return {v1 * g, v1};
}

DEVICE Posterior rule_information_capped(real v, real g, real l, real scale) {
    real bar = SQRT(v) * scale, v1 = v / (REAL(1.0) - v * l);
    return {larger(smaller(v1 * g, bar), -bar), v1};
}

// B rows told it.
DEVICE Posterior rule_site(real v, real g, real l, real B) {
    real share = -v * l / B;
    share = larger(share, REAL(0.0));
    share = smaller(share, REAL(0.999999));
    real left = REAL(1.0) - share, v1 = v * left / (left + B * share);
    return {v1 * g / left, v1};
}

// Stores the moments of what was (m, v); whether the variance would not have stayed positive.
DEVICE int take_posterior(real *mu, real *var, real m, real v, Posterior posterior) {
    int bad = (posterior.variance <= REAL(0.0)) & (v > REAL(0.0));
    *mu = m + posterior.step;
    *var = bad ? FLOOR : posterior.variance;
    return bad;
}
