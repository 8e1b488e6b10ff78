"""Learnt Gaussian scales and offsets."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Parameter, Parameters, flat_size
from tagi_cli.nn.plan import Plan, Value

SHARING = ("unit", "channel", "row")
"""What shares one parameter: nothing, a channel (the first axis of a row), or the whole row."""


class _PerUnit(Layer):
    """One parameter for each unit, channel or row."""

    def __init__(self, per: str, mean: float, spread: float, sd: float) -> None:
        super().__init__()
        if per not in SHARING:
            raise ValueError(f"{self.name}: per='{per}'. Allowed: {', '.join(SHARING)}")
        self.per = per
        self.mean = mean
        self.spread = spread
        self.sd = sd
        self.weight: Parameter | None = None

    def describe(self) -> str:
        """Name and what has a parameter of its own."""
        return f"{self.name}({self.per})"

    def draw(self, rng: np.random.Generator, count: int) -> None:
        """Draw new prior means of `count` parameters and set the prior variances."""
        mu = self.mean + self.spread * rng.standard_normal(count)
        var = np.full(count, self.sd**2)
        if self.weight is None:
            self.weight = Parameter("weight", mu, var)
        else:
            self.weight.assign(mu, var)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        groups, _ = self._groups(shape)
        if self.weight is None:
            self.draw(rng, groups)
        assert self.weight is not None
        if self.weight.size != groups:
            raise ShapeError(
                f"{self.describe()} has {self.weight.size} parameters but needs {groups} for a row "
                f"{shape}"
            )
        parameters.adopt("weight", self.weight)
        return shape

    def _groups(self, shape: Shape) -> tuple[int, int]:
        """Number of parameters, and of units that share each."""
        size = flat_size(shape)
        groups = {"unit": size, "channel": shape[0], "row": 1}[self.per]
        return groups, size // groups

    def costs(self) -> list[Cost]:
        """Forward, backward and the sums for the parameters."""
        assert self.output_shape is not None
        groups, _ = self._groups(self.output_shape)
        return [Cost(self.describe(), self.output_shape, groups, 14 * flat_size(self.output_shape))]


class Scale(_PerUnit):
    """Product with a learnt Gaussian scale, `z = s a`, independent factors.

    Args:
        per: what has a scale of its own: `unit`, `channel` (the first axis of a row) or `row`.
        mean: mean of the prior means.
        spread: standard deviation with which the prior means are drawn round it.
        sd: prior standard deviation.
        nonnegative: whether the factor is the absolute value of the parameter.
    """

    kind = "scale"

    def __init__(
        self,
        per: str = "unit",
        mean: float = 1.0,
        spread: float = 0.0,
        sd: float = 0.5,
        nonnegative: bool = False,
    ) -> None:
        super().__init__(per, mean, spread, sd)
        self.nonnegative = nonnegative

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        scale = self.weight
        assert scale is not None
        sizes = (plan.batch, *self._groups(x.shape))
        z = plan.value(x.shape)
        mu_s, var_s, jac = scale.mu, scale.var, None
        if self.nonnegative:
            mu_s, var_s, jac = (plan.empty(scale.shape) for _ in range(3))
            # |s| is a leaky rectifier of slope -1, whose moments are exact.
            plan.call(
                "mixture_leaky_relu_forward", mu_s, var_s, jac, scale.mu, scale.var, -1.0,
                scale.size,
            )  # fmt: skip
        plan.call("scale_forward", z.mu, z.var, x.mu, x.var, mu_s, var_s, *sizes)

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                plan.call(
                    "scale_backward", d_mu_x, d_var_x, d_mu, d_var, mu_s, *sizes, add
                )  # fmt: skip
            G, L, add = plan.accumulators(scale)
            if jac is None:
                plan.call("scale_innovation", G, L, x.mu, d_mu, d_var, *sizes, add)
                return
            G_s, L_s = plan.empty(scale.shape), plan.empty(scale.shape)
            plan.call("scale_innovation", G_s, L_s, x.mu, d_mu, d_var, *sizes, 0)
            plan.call("jacobian_backward", G, L, G_s, L_s, jac, scale.size, add)

        plan.on_backward(backward)
        return z


class Offset(_PerUnit):
    """Sum with a learnt Gaussian offset, `z = a + b`.

    Args:
        per: what has an offset of its own: `unit`, `channel` (the first axis of a row) or `row`.
        mean: mean of the prior means.
        spread: standard deviation with which the prior means are drawn round it.
        sd: prior standard deviation.
    """

    kind = "offset"

    def __init__(
        self, per: str = "unit", mean: float = 0.0, spread: float = 0.0, sd: float = 1.0
    ) -> None:
        super().__init__(per, mean, spread, sd)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        offset = self.weight
        assert offset is not None
        n = plan.batch * flat_size(x.shape)
        sizes = (plan.batch, *self._groups(x.shape))
        z = plan.value(x.shape)
        plan.call("offset_forward", z.mu, z.var, x.mu, x.var, offset.mu, offset.var, *sizes)

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                plan.call("pass_backward", d_mu_x, d_var_x, d_mu, d_var, n, add)
            G, L, add = plan.accumulators(offset)
            plan.call("scale_innovation", G, L, None, d_mu, d_var, *sizes, add)

        plan.on_backward(backward)
        return z
