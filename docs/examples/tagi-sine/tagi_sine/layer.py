"""A layer with formulas of its own: the sine of a Gaussian, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn


def sine_forward(
    xp: Any, mu_a: Any, var_a: Any, jac: Any, mu_z: Any, var_z: Any, frequency: float
) -> None:
    """Moments of `a = sin(w z)` for Gaussian `z`, and `cov(a, z) / var_z`.

    They follow from `E exp(i w z) = exp(i w mu - w^2 var / 2)`. Arrays of one shape, written in
    place; `var_z` and `var_a` are None where the input is certain.
    """
    angle = frequency * mu_z
    var = 0.0 if var_z is None else frequency**2 * var_z
    damping = xp.exp(-var / 2)
    mu_a[...] = damping * xp.sin(angle)
    jac[...] = frequency * damping * xp.cos(angle)
    if var_a is not None:
        # E sin^2 = (1 - E cos(2 w z)) / 2, less the square of the mean; expm1 is exact near 0.
        spread = -xp.expm1(-var)
        var_a[...] = spread / 2 * (1 + xp.exp(-var) * xp.cos(2 * angle))


class Sine(nn.Activation):
    """Sine of each unit, `sin(frequency z)`, with the exact moments of a Gaussian.

    Args:
        frequency: how fast it swings, in radians per unit of the input.
    """

    kind = "sine"

    def __init__(self, frequency: float = 1.0) -> None:
        super().__init__()
        if not (np.isfinite(frequency) and frequency > 0):
            raise ValueError(f"frequency is {frequency}; allowed: above 0")
        self.frequency = frequency

    def trace(self, plan: nn.Plan, x: nn.Value) -> nn.Value:
        """Emit the forward formula, and leave the backward to the Jacobian."""
        a = plan.value(x.shape, certain=x.var is None, wanted=x.wanted)
        jac = plan.empty(x.mu.shape)
        a.jac, a.source = jac, x
        plan.function(sine_forward, a.mu, a.var, jac, x.mu, x.var, self.frequency)
        plan.on_backward_through(a, x, jac)
        return a
