"""What normalisation layers share: a Gaussian gain and bias behind standardised units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.nn.layer import Cost, Layer
from tagi_cli.nn.parameters import Parameter, Parameters, drawn, flat_size
from tagi_cli.nn.plan import Plan, Value

STATISTICS = ("peer", "mixture")
"""How the variance over `n` units `N(mu_i, var_i)` is formed. `mixture` is that of their equal
mixture, `(sum (mu_i - m)^2 + sum var_i) / n`; `peer` divides by `n - 1`, as pytagi does."""


class Normalisation(Layer):
    """`z = w (a - m) / sqrt(s + eps) + b` with statistics `m, s` treated as constants."""

    def __init__(
        self, eps: float, bias: bool, gain_weight: float, gain_bias: float, statistics: str
    ) -> None:
        super().__init__()
        if not eps > 0:
            raise ValueError(f"{self.name}: eps is {eps}, it must be above 0")
        if statistics not in STATISTICS:
            raise ValueError(
                f"{self.name}: statistics '{statistics}': allowed are {', '.join(STATISTICS)}"
            )
        self.eps = float(eps)
        self.has_bias = bias
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.statistics = statistics
        self.features = 0
        self.positions = 1
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None

    @property
    def unbiased(self) -> int:
        """How much less than the count the variance divides by."""
        return int(self.statistics == "peer")

    def draw(self, rng: np.random.Generator) -> None:
        """Set the prior: gains 1, biases 0, variances `gain^2 / features`; sizes must be known."""
        shape = (self.features,)
        weight = np.ones(shape), np.full(shape, self.gain_weight**2 / self.features)
        self.weight = drawn(self.weight, "weight", *weight)
        if self.has_bias:
            bias = np.zeros(shape), np.full(shape, self.gain_bias**2 / self.features)
            self.bias = drawn(self.bias, "bias", *bias)

    def _adopt(self, parameters: Parameters, rng: np.random.Generator) -> None:
        """Register gain and bias, drawn now unless they were before."""
        if self.weight is None:
            self.draw(rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        if self.bias is not None:
            parameters.adopt("bias", self.bias)

    def _normalise(
        self,
        plan: Plan,
        x: Value,
        mean: Array,
        scale: Array,
        rows: int,
        per_row: bool,
        statistics: Callable[[Array], None] | None = None,
    ) -> Value:
        """Emit the passes for `x`, seen as `(rows, features, positions)`.

        Args:
            plan: where the calls go.
            x: the units.
            mean: of each row, or of each feature.
            scale: `1 / sqrt(variance + eps)`, likewise.
            rows: rows of `x` seen this way.
            per_row: whether statistics are those of rows.
            statistics: for innovations that pass through the statistics of features, too: adds the
                sums of other ranks to those of this one.
        """
        weight, bias = self.weight, self.bias
        assert weight is not None
        mu_b, var_b = (None, None) if bias is None else (bias.mu, bias.var)
        sizes = (rows, self.features, self.positions, int(per_row))
        z = plan.value(x.shape)
        plan.call(
            "norm_forward", z.mu, z.var, x.mu, x.var, mean, scale, weight.mu, weight.var,
            mu_b, var_b, *sizes,
        )  # fmt: skip

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                plan.call(
                    "norm_backward", d_mu_x, d_var_x, d_mu, d_var, scale, weight.mu, *sizes, add
                )
                if statistics is not None:
                    sums = plan.empty((1 + 2 * self.features,), np.float64)
                    plan.call("channel_sums", sums, x.mu, mean, scale, d_mu, *sizes[:3])
                    statistics(sums)
                    plan.call(
                        "project_innovation", d_mu_x, sums, x.mu, mean, scale, weight.mu, *sizes[:3]
                    )
            G, L, add = plan.accumulators(weight)
            G_b, L_b, _ = (None, None, 0) if bias is None else plan.accumulators(bias)
            plan.call(
                "norm_innovation", G, L, G_b, L_b, x.mu, mean, scale, d_mu, d_var, *sizes, add
            )

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """About 30 operations per unit: statistics, moments, and two sums of innovations."""
        assert self.output_shape is not None
        count = self.features * (2 if self.has_bias else 1)
        return [Cost(self.describe(), self.output_shape, count, 30 * flat_size(self.output_shape))]
