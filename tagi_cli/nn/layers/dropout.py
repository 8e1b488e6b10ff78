"""Units dropped at random in training."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.layer import Cost, Layer, Shape
from tagi_cli.nn.parameters import Parameters, State, flat_size
from tagi_cli.nn.plan import Plan, Value

MODES = ("moments", "sample")


class Dropout(Layer):
    """Units times `b / keep`, `b` 1 with probability `keep` and else 0; the mean is kept.

    As `moments` the mask is integrated out: the variance becomes
    `var / keep + mu^2 (1 - keep) / keep`, nothing is random, and innovations pass unchanged
    (`J = 1`). As `sample` a mask is drawn for each batch, from a counter that is saved with the
    network; dropped units learn nothing. On average both agree.

    Args:
        keep: probability that a unit is kept; with 0 all units become 0.
        mode: `moments` or `sample`.
        at_eval: whether units are dropped in prediction, too.
    """

    kind = "dropout"

    def __init__(self, keep: float, mode: str = "moments", at_eval: bool = False) -> None:
        super().__init__()
        if not 0 <= keep <= 1:
            raise ValueError(f"Dropout({keep}): the probability to keep a unit lies in 0 to 1")
        if mode not in MODES:
            raise ValueError(f"Dropout: mode '{mode}': allowed are {', '.join(MODES)}")
        self.keep = float(keep)
        self.mode = mode
        self.at_eval = at_eval
        self._generator: State | None = None

    def describe(self) -> str:
        """Name and probability."""
        return f"Dropout({self.keep:g})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if self.mode == "sample":
            seed = rng.integers(np.iinfo(np.int32).max)
            self._generator = parameters.add_state("generator", np.array([seed, 0]), np.int32)
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        if self.keep == 1 or not (plan.training or self.at_eval):
            return x
        n = plan.batch * flat_size(x.shape)
        if self.keep == 0:
            return self._nothing(plan, x, n)
        if self._generator is None:
            var = plan.empty(x.mu.shape)
            plan.call("dropout_moments_forward", var, x.mu, x.var, self.keep, n)
            return x.with_variance(var)
        z = plan.value(x.shape, certain=x.var is None, wanted=x.wanted)
        jac, generator = plan.empty(x.mu.shape), self._generator.value
        plan.call(
            "dropout_sample_forward", z.mu, z.var, jac, x.mu, x.var, generator, self.keep,
            plan.first_row * flat_size(x.shape) % 2**31, n,
        )  # fmt: skip
        plan.call("advance", generator[1:], 1)
        plan.on_backward_through(z, x, jac)
        return z

    def _nothing(self, plan: Plan, x: Value, n: int) -> Value:
        """Zeros, whose innovations come to nothing."""
        z = plan.value(x.shape, certain=True, wanted=False)
        plan.call("fill", z.mu, 0.0, n)

        def backward() -> None:
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                if not add:
                    plan.call("fill", d_mu_x, 0.0, n)
                    plan.call("fill", d_var_x, 0.0, n)

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """A handful of operations per unit."""
        assert self.output_shape is not None
        return [Cost(self.describe(), self.output_shape, 0, 10 * flat_size(self.output_shape))]
