// What one element adds to the sums over its channel.

// To the squares about the channel's middle, v the element's own variance.
#define ADD_SQUARES(sum, middle, m, v) \
    {                                  \
        auto d_ = (m) - (middle);      \
        sum += d_ * d_ + (v);          \
    }

// To the innovations of gain and bias; t is the standardised mean, d and e the element's innovations.
#define ADD_INNOVATIONS(gain, gain_var, bias, bias_var, t, d, e) \
    {                                                            \
        gain += (t) * (d);                                       \
        gain_var += (t) * (t) * (e);                             \
        bias += (d);                                             \
        bias_var += (e);                                         \
    }
