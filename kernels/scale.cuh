// What element i adds to the innovations of its group's scale, or of its offset, without the means mu_a.
#define ADD(i)                                 \
    {                                          \
        real a_ = mu_a ? mu_a[i] : REAL(1.0);  \
        mean += a_ * d_mu_z[i];                \
        variance += a_ * a_ * d_var_z[i];      \
    }
