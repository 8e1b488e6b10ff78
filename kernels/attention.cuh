// The terms that attention sums up, of a number on the left and numbers, or vectors of them, on the right.

#ifndef TAGI_ATTENTION
#define TAGI_ATTENTION

// Query times key.
template <typename Right>
DEVICE void score_term(real mu_q, real var_q, Right mu_k, Right var_k, Right &mean, Right &variance) {
    mean += mu_q * mu_k;
    variance += var_q * (mu_k * mu_k + var_k) + (mu_q * mu_q) * var_k;
}

// Weight times value: E[A] mu_v, and E[A^2] var_v.
template <typename Right>
DEVICE void value_term(real mu_a, real second, Right mu_v, Right var_v, Right &mean, Right &variance) {
    mean += mu_a * mu_v;
    variance += second * var_v;
}

// What the spread of a weight adds to the variance of an output: only values off the mean count.
template <typename Right>
DEVICE void spread_term(real strength, Right mu_v, Right mu_y, Right &variance) {
    Right gap = mu_v - mu_y;
    variance += strength * (gap * gap);
}

// Innovation of an output, sent to a weight's score.
template <typename Right>
DEVICE void gap_term(real d_mu, real d_var, real mu_y, Right mu_v, Right &mean, Right &variance) {
    Right gap = mu_v - mu_y;
    mean += d_mu * gap;
    variance += d_var * (gap * gap);
}

// A mean times an innovation, and its square times the other; whichever is on the left.
template <typename Right>
DEVICE void send_term(real mu, Right d_mu, Right d_var, Right &mean, Right &variance) {
    mean += mu * d_mu;
    variance += (mu * mu) * d_var;
}

template <typename Right>
DEVICE void take_term(real d_mu, real d_var, Right mu, Right &mean, Right &variance) {
    mean += d_mu * mu;
    variance += d_var * (mu * mu);
}

#endif
