"""Moments and innovations of an LSTM, recurrent through a window.

Sizes: `B` rows, `T` steps, `I` inputs, `H` units, `K = I + H`; weights `(4 H, K)` with the gates in
the order f, i, c, o, input columns first. Buffers:

- `mu_u, var_u (B, T, K)`: the input of a step, and h of the step before;
- `sums (B, 14, H)` of the gates of one step, without biases: four means, four variances, and the
  covariances fi, fc, fo, ic, io, co;
- `states (B, T, 4, H)`: mu_h, var_h, mu_c, var_c after each step; `initial (B, 4, H)` those before
  the first, None for zeros;
- `jac (B, T, 6, H)`: dc/dz_f, dc/dz_i, dc/dz_c, dh/dz_o, dh/dc, and dc/dc of the step before;
- `d_states (B, T, 4, H)`: the innovations of `states`.

`step` counts in the order of computation; with `reverse` it runs from the last step to the first.
Rows of the output `mu_h` are `width` wide, and `H` columns from `column` on are this layer's; with
`last` there is one row in all, for the step computed last, else one for each step.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from scipy.special import expit

from tagi_cli.backend.base import Array
from tagi_cli.backend.reference.random_bits import random_bits

# Pairs of gates: first each with itself, then in the order of the covariances in `sums`.
_PAIRS = sorted(combinations_with_replacement(range(4), 2), key=lambda pair: pair[0] != pair[1])


def _place(step: int, T: int, reverse: int) -> int:
    return T - 1 - step if reverse else step


def _output(
    array: Array, B: int, T: int, t: int, last: int, width: int, column: int, H: int
) -> Array:
    """The part of an output that belongs to a step."""
    steps = array.reshape(B, 1 if last else T, width)
    return steps[:, 0 if last else t, column : column + H]


def lstm_input(
    mu_u: Array,
    var_u: Array,
    mu_x: Array,
    var_x: Array | None,
    initial: Array | None,
    B: int,
    T: int,
    I: int,
    H: int,
    reverse: int,
) -> None:
    """Fill in what is known before the first step: the inputs `(B, T, I)`, and the initial h."""
    first = _place(0, T, reverse)
    mu_u[..., :I] = mu_x.reshape(B, T, I)
    var_u[..., :I] = 0 if var_x is None else var_x.reshape(B, T, I)
    mu_u[:, first, I:] = 0 if initial is None else initial[:, 0]
    var_u[:, first, I:] = 0 if initial is None else initial[:, 1]


def lstm_cell_forward(
    mu_h: Array,
    var_h: Array,
    states: Array,
    jac: Array,
    mu_u: Array,
    var_u: Array,
    sums: Array,
    initial: Array | None,
    mu_b: Array | None,
    var_b: Array | None,
    B: int,
    T: int,
    I: int,
    H: int,
    step: int,
    width: int,
    column: int,
    last: int,
    reverse: int,
    full: int,
) -> None:
    """One step of all units: gates, `c = f c' + i g`, `h = o tanh c`.

    For `Z ~ N(m, v)` a gate has the mean `s = logistic(w m)`, `w = 1 / sqrt(1 + pi v / 8)`, the
    Jacobian `J = ds/dm = w s (1 - s)` (Stein's lemma) and the variance `J^2 v`; the candidate and
    the hyperbolic tangent of c likewise, with `pi v / 2`. Gates then count as Gaussian, so their
    products have the moments `E[xy] = x y + cov`, `var[xy] = x^2 vy + y^2 vx + vx vy + cov^2 +
    2 cov x y`, and `cov(f c', i g) = c' (i cov(f,g) + g cov(f,i))`, `cov(o, c)` likewise; the state
    before counts as independent of the gates. With `full` zero, `w = 1` (gates are linearised at
    their means), and `cov(f c', i g)` is left out. See the theory page on recurrent layers.
    """
    t = _place(step, T, reverse)
    z = sums.reshape(B, 14, H)
    mean, var = z[:, :4], z[:, 4:8]
    if mu_b is not None and var_b is not None:
        mean, var = mean + mu_b.reshape(4, H), var + var_b.reshape(4, H)
    # pi / 8; tanh x = 2 logistic(2 x) - 1 has four times as much.
    share = z.dtype.type(np.pi / 8 if full else 0)
    narrowed = 1 / np.sqrt(1 + share * var * np.array([1, 1, 4, 1], z.dtype)[:, None])
    mean = narrowed * mean
    f, i, o = (expit(mean[:, k]) for k in (0, 1, 3))
    g = np.tanh(mean[:, 2])
    slope = narrowed * np.stack((f * (1 - f), i * (1 - i), 1 - g * g, o * (1 - o)), axis=1)
    vf, vi, vg, vo = np.moveaxis(slope * slope * var, 1, 0)
    fi, fg, fo, ig, io, go = (
        slope[:, a] * slope[:, b] * z[:, 8 + k] for k, (a, b) in enumerate(_PAIRS[4:])
    )
    cp = vp = z.dtype.type(0)
    if step:
        cp, vp = np.moveaxis(states[:, _place(step - 1, T, reverse), 2:], 1, 0)
    elif initial is not None:
        cp, vp = initial[:, 2], initial[:, 3]
    jf, ji, jg, jo = np.moveaxis(slope, 1, 0)

    c = f * cp + (i * g + ig)
    vc = vp * (f * f + vf) + vf * cp * cp + vg * (i * i + vi) + vi * g * g
    vc = vc + ig * (ig + 2 * i * g)
    if full:
        vc = vc + 2 * cp * (i * fg + g * fi)
    vc = np.maximum(vc, 0)
    narrowed = 1 / np.sqrt(1 + 4 * share * vc)
    a = np.tanh(narrowed * c)
    ja = narrowed * (1 - a * a)
    va = ja * ja * vc
    oa = ja * (fo * cp + io * g + go * i)
    h = o * a + oa
    vh = np.maximum(va * (o * o + vo) + vo * a * a + oa * (oa + 2 * o * a), 0)

    for k, value in enumerate((h, vh, c, vc)):
        states[:, t, k] = value
    for k, value in enumerate((jf * cp, ji * g, jg * i, jo * a, ja * o, f)):
        jac[:, t, k] = value
    if not last or step == T - 1:
        _output(mu_h, B, T, t, last, width, column, H)[...] = h
        _output(var_h, B, T, t, last, width, column, H)[...] = vh
    if step < T - 1:
        following = _place(step + 1, T, reverse)
        mu_u[:, following, I:], var_u[:, following, I:] = h, vh


def lstm_forward(
    mu_h: Array,
    var_h: Array,
    states: Array,
    jac: Array,
    mu_u: Array,
    var_u: Array,
    mu_x: Array,
    var_x: Array | None,
    initial: Array | None,
    mu_w: Array,
    var_w: Array,
    mu_b: Array | None,
    var_b: Array | None,
    scratch: Array,
    B: int,
    T: int,
    I: int,
    H: int,
    width: int,
    column: int,
    last: int,
    reverse: int,
    full: int,
) -> None:
    """All steps of a window.

    Of the gates' pre-activations `z = W u + b` the covariances are `sum_k mu_w mu_w' var_u`, and
    the variances as in `linear_forward`. With `full` zero, those of the output gate leave out the
    columns of h, and `cov(f c', i g)` is left out. `scratch` holds `K (10 H + 120) + B (18 H + K) +
    32`.
    """
    K = I + H
    parts = np.split(scratch, np.cumsum([10 * H * K, B * 14 * H, B * 4 * H, B * K]))
    products, sums = parts[0].reshape(10, H, K), parts[1].reshape(B, 14 * H)
    product, second = parts[2].reshape(B, 4 * H), parts[3].reshape(B, K)
    weights = mu_w.reshape(4, H, K)
    for pair, (a, b) in enumerate(_PAIRS):
        np.multiply(weights[a], weights[b], out=products[pair])
        if not full and a != b and b == 3:
            products[pair, :, I:] = 0
    lstm_input(mu_u, var_u, mu_x, var_x, initial, B, T, I, H, reverse)
    for step in range(T):
        t = _place(step, T, reverse)
        m, v = mu_u[:, t], var_u[:, t]
        np.matmul(m, mu_w.T, out=sums[:, : 4 * H])
        np.matmul(v, products.reshape(10 * H, K).T, out=sums[:, 4 * H :])
        np.add(np.multiply(m, m, out=second), v, out=second)
        sums[:, 4 * H : 8 * H] += np.matmul(second, var_w.T, out=product)
        lstm_cell_forward(
            mu_h, var_h, states, jac, mu_u, var_u, sums, initial, mu_b, var_b, B, T, I, H, step,
            width, column, last, reverse, full,
        )  # fmt: skip


def lstm_cell_backward(
    d_mu_z: Array,
    d_var_z: Array,
    d_states: Array,
    cross: Array,
    d_mu_h: Array,
    d_var_h: Array,
    d_before: Array,
    jac: Array,
    B: int,
    T: int,
    H: int,
    step: int,
    width: int,
    column: int,
    last: int,
    reverse: int,
) -> None:
    """Innovations of one step's gates `d_mu_z, d_var_z (B, T, 4 H)` and states.

    Those of h come from the output, and as `d_before (B, 2, H)` from the gates of the step after;
    those of c from h, and through the forget gate's product from c of the step after. `cross`
    `(B, H)` is twice the product of dh/dc, dh/dz_o and the variance's innovation of h: what the
    square of the total Jacobian has beside the squares of its parts.
    """
    t = _place(step, T, reverse)
    kf, ki, kc, ko, r, _ = np.moveaxis(jac[:, t], 1, 0)
    h, hh, c, cc = np.moveaxis(d_states[:, t], 1, 0)
    out = not last or step == T - 1
    h[...] = _output(d_mu_h, B, T, t, last, width, column, H) if out else 0
    hh[...] = _output(d_var_h, B, T, t, last, width, column, H) if out else 0
    c[...] = cc[...] = 0
    if step < T - 1:
        following = _place(step + 1, T, reverse)
        keep = jac[:, following, 5]
        h += d_before.reshape(B, 2, H)[:, 0]
        hh += d_before.reshape(B, 2, H)[:, 1]
        c[...] = keep * d_states[:, following, 2]
        cc[...] = keep * keep * d_states[:, following, 3]
    c += r * h
    cc += r * r * hh
    z, zz = (d.reshape(B, T, 4, H)[:, t] for d in (d_mu_z, d_var_z))
    for gate, k in enumerate((kf, ki, kc)):
        z[:, gate] = k * c
        zz[:, gate] = k * k * cc
    z[:, 3] = ko * h
    zz[:, 3] = ko * ko * hh
    np.multiply(2 * r * ko, hh, out=cross)


def lstm_backward(
    d_mu_z: Array,
    d_var_z: Array,
    d_states: Array,
    d_mu_x: Array | None,
    d_var_x: Array | None,
    d_mu_h: Array,
    d_var_h: Array,
    jac: Array,
    mu_w: Array,
    scratch: Array,
    B: int,
    T: int,
    I: int,
    H: int,
    width: int,
    column: int,
    last: int,
    reverse: int,
    accumulate: int,
) -> None:
    """All steps of a window backwards: innovations of gates, states and input.

    With `a = kf w_f + ki w_i + kc w_c = dc/du` and `r a + ko w_o = dh/du`, an input gets
    `sum_j c a + z_o w_o` and `sum_j cc a^2 + cross a w_o + zz_o w_o^2`: the square of the total
    Jacobian of h times the innovation of h, and that of c times what came to c from later steps.
    Here the squares are expanded into products of two gates' weights, which makes them matrix
    products. `scratch` holds `10 H K + B (13 H + 2 K)`.
    """
    K = I + H
    sizes = [10 * H * K, B * 10 * H, B * H, B * 2 * H, B * K, B * K]
    parts = np.split(scratch, np.cumsum(sizes))
    products, factors = parts[0].reshape(10, H, K), parts[1].reshape(B, 10, H)
    cross, before = parts[2].reshape(B, H), parts[3].reshape(B, 2, H)
    d_mu_u, d_var_u = parts[4].reshape(B, K), parts[5].reshape(B, K)
    weights = mu_w.reshape(4, H, K)
    for pair, (a, b) in enumerate(_PAIRS):
        np.multiply(weights[a], weights[b], out=products[pair])
    for step in reversed(range(T)):
        t = _place(step, T, reverse)
        lstm_cell_backward(
            d_mu_z, d_var_z, d_states, cross, d_mu_h, d_var_h, before, jac, B, T, H, step, width,
            column, last, reverse,
        )  # fmt: skip
        z, zz = d_mu_z.reshape(B, T, 4 * H)[:, t], d_var_z.reshape(B, T, 4, H)[:, t]
        for pair, (a, b) in enumerate(_PAIRS):
            if a == b:
                factors[:, pair] = zz[:, a]
            elif b == 3:
                np.multiply(jac[:, t, a], cross, out=factors[:, pair])
            else:
                np.multiply(
                    2 * jac[:, t, a] * jac[:, t, b], d_states[:, t, 3], out=factors[:, pair]
                )
        np.matmul(z, mu_w, out=d_mu_u)
        np.matmul(factors.reshape(B, 10 * H), products.reshape(10 * H, K), out=d_var_u)
        before[:, 0], before[:, 1] = d_mu_u[:, I:], d_var_u[:, I:]
        if d_mu_x is None or d_var_x is None:
            continue
        for d_x, d_u in ((d_mu_x, d_mu_u), (d_var_x, d_var_u)):
            part = d_x.reshape(B, T, I)[:, t]
            np.add(part if accumulate else 0, d_u[:, :I], out=part)


def lstm_state_load(
    initial: Array,
    carried: Array | None,
    held: Array | None,
    continues: Array | None,
    generator: Array | None,
    spread: float,
    var: float,
    first_row: int,
    B: int,
    H: int,
) -> None:
    """States before the first step: those that an earlier call left, or fresh ones.

    Row `b` gets row `continues[b]` of `carried (R, 4, H)` where `held (R,)` says that there is one;
    a negative number, or `carried` None, asks for a fresh state. Its means are uniform with mean
    zero and standard deviation `spread`, drawn as `random_bits` of `generator`, or zero without
    one; its variances are `var`. `first_row` is the number of the first row in the whole batch.
    """
    fresh = initial.dtype.type(0)
    if generator is not None:
        scale = initial.dtype.type(spread * np.sqrt(3) / 2**23)
        draw = random_bits(generator, 2 * H * first_row, 2 * B * H).astype(np.int32) - 2**23
        fresh = (scale * draw).reshape(B, 2, H)
    initial[:, 0::2], initial[:, 1::2] = fresh, var
    if carried is not None and held is not None and continues is not None:
        source = continues[:B]
        known = (source >= 0) & (held[source] > 0)
        initial[known] = carried[source[known]]


def lstm_state_store(carried: Array, held: Array, states: Array, B: int, T: int, H: int) -> None:
    """Keep the states after the last step for the call that follows."""
    carried[:B], held[:B] = states[:, T - 1], 1


def lstm_state_posterior(
    carried: Array, states: Array, d_states: Array, B: int, T: int, H: int
) -> None:
    """Keep the last step's states given the observations, `mu + var d_mu`, `var + var^2 d_var`.

    A variance that the innovations of several outputs would make negative becomes zero.
    """
    s, d = states[:, T - 1], d_states[:, T - 1]
    mean, var = s[:, 0::2], s[:, 1::2]
    carried[:B, 0::2] = mean + var * d[:, 0::2]
    carried[:B, 1::2] = np.maximum(var + var * var * d[:, 1::2], 0)
