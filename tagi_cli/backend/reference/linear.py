"""Moments and innovations of an affine map with Gaussian weights (Goulet et al. 2021, JMLR 22)."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def linear_forward(
    mu_z: Array,
    var_z: Array,
    mu_a: Array,
    var_a: Array | None,
    mu_w: Array,
    var_w: Array,
    mu_b: Array | None,
    var_b: Array | None,
    scratch: Array,
    B: int,
    I: int,
    O: int,
) -> None:
    """Moments of `z = W a + b`, all factors independent.

    `mu_z = mu_a Mw' + mu_b` and `var_z = var_a (Mw^2)' + (var_a + mu_a^2) Vw' + var_b`.

    Shapes: `mu_z, var_z (B, O)`; `mu_a, var_a (B, I)`, `var_a` None for a certain input;
    `mu_w, var_w (O, I)`; `mu_b, var_b (O,)` or None; `scratch` holds `B I + O I + B O`.
    """
    second = scratch[: B * I].reshape(B, I)
    np.matmul(mu_a, mu_w.T, out=mu_z)
    np.multiply(mu_a, mu_a, out=second)
    if var_a is not None:
        np.add(second, var_a, out=second)
    np.matmul(second, var_w.T, out=var_z)
    if var_a is not None:
        squared = scratch[B * I : B * I + O * I].reshape(O, I)
        product = scratch[B * I + O * I : B * I + O * I + B * O].reshape(B, O)
        np.multiply(mu_w, mu_w, out=squared)
        np.matmul(var_a, squared.T, out=product)
        np.add(var_z, product, out=var_z)
    if mu_b is not None:
        np.add(mu_z, mu_b, out=mu_z)
        assert var_b is not None
        np.add(var_z, var_b, out=var_z)


def linear_backward(
    d_mu_a: Array,
    d_var_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    mu_w: Array,
    scratch: Array,
    B: int,
    I: int,
    O: int,
    accumulate: int,
) -> None:
    """Innovations of the input: `d_mu_a = d_mu_z Mw`, `d_var_a = d_var_z Mw^2`.

    Shapes as in `linear_forward`; `scratch` holds `O I + B I`. With `accumulate` the result is
    added to what another use of `a` left there.
    """
    squared = scratch[: O * I].reshape(O, I)
    np.multiply(mu_w, mu_w, out=squared)
    if accumulate:
        product = scratch[O * I : O * I + B * I].reshape(B, I)
        np.add(d_mu_a, np.matmul(d_mu_z, mu_w, out=product), out=d_mu_a)
        np.add(d_var_a, np.matmul(d_var_z, squared, out=product), out=d_var_a)
    else:
        np.matmul(d_mu_z, mu_w, out=d_mu_a)
        np.matmul(d_var_z, squared, out=d_var_a)


def linear_innovation(
    G_w: Array,
    L_w: Array,
    G_b: Array | None,
    L_b: Array | None,
    mu_a: Array,
    d_mu_z: Array,
    d_var_z: Array,
    scratch: Array,
    B: int,
    I: int,
    O: int,
    accumulate: int,
) -> None:
    """Sums over the batch for the parameters: `G_w = d_mu_z' mu_a`, `L_w = d_var_z' mu_a^2`.

    `cov(w, z) = var_w mu_a`, hence the factor `mu_a`; the prior variance comes in with the rule.
    `G_b, L_b (O,)` are plain sums. `scratch` holds `B I + O I`.
    """
    second = scratch[: B * I].reshape(B, I)
    np.multiply(mu_a, mu_a, out=second)
    if accumulate:
        product = scratch[B * I : B * I + O * I].reshape(O, I)
        np.add(G_w, np.matmul(d_mu_z.T, mu_a, out=product), out=G_w)
        np.add(L_w, np.matmul(d_var_z.T, second, out=product), out=L_w)
        if G_b is not None and L_b is not None:
            np.add(G_b, d_mu_z.sum(axis=0), out=G_b)
            np.add(L_b, d_var_z.sum(axis=0), out=L_b)
    else:
        np.matmul(d_mu_z.T, mu_a, out=G_w)
        np.matmul(d_var_z.T, second, out=L_w)
        if G_b is not None and L_b is not None:
            np.sum(d_mu_z, axis=0, out=G_b)
            np.sum(d_var_z, axis=0, out=L_b)
