"""Fully connected layer."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.init import InitOptions, Prior
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Parameter, Parameters, drawn, flat_size
from tagi_cli.nn.plan import Plan, Value


def affine(plan: Plan, x: Value, weight: Parameter, bias: Parameter | None) -> Value:
    """Emit the passes of `z = W a + b` along the last axis of `x`, alike at all others.

    Args:
        plan: where the calls go.
        x: the input, `(..., I)` behind the batch.
        weight: `(O, I)`.
        bias: `(O,)`, or None.

    Returns:
        The output, `(..., O)` behind the batch.
    """
    O, I = weight.shape
    B = plan.batch * flat_size(x.shape[:-1])
    mu_b, var_b = (None, None) if bias is None else (bias.mu, bias.var)
    z = plan.value((*x.shape[:-1], O))
    mu_z, var_z, mu_x, var_x = (
        None if array is None else array.reshape(B, array.shape[-1])
        for array in (z.mu, z.var, x.mu, x.var)
    )
    plan.call(
        "linear_forward", mu_z, var_z, mu_x, var_x, weight.mu, weight.var, mu_b, var_b,
        plan.scratch(B * I + O * I + B * O), B, I, O,
    )  # fmt: skip

    def backward() -> None:
        if not z.reached:
            return
        d_mu, d_var = (array.reshape(B, O) for array in z.innovation())
        if x.wanted:
            d_mu_x, d_var_x, add = x.send()
            plan.call(
                "linear_backward", d_mu_x.reshape(B, I), d_var_x.reshape(B, I), d_mu, d_var,
                weight.mu, plan.scratch(O * I + B * I), B, I, O, add,
            )  # fmt: skip
        G, L, add = plan.accumulators(weight)
        G_b, L_b, _ = (None, None, 0) if bias is None else plan.accumulators(bias)
        plan.call(
            "linear_innovation", G, L, G_b, L_b, mu_x, d_mu, d_var,
            plan.scratch(B * I + O * I), B, I, O, add,
        )  # fmt: skip

    plan.on_backward(backward)
    return z


class Linear(Layer):
    """Affine map `z = W a + b` with independent Gaussian weights and biases.

    Acts on the flattened row, so that an input of shape `(C, H, W)` counts as `C H W` units;
    without `flatten` along the last axis, alike at all others.

    Args:
        input_size: number of input units; 0 takes it from the layer before.
        output_size: number of output units.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        gain_mean: factor on the spread of the prior means.
        flatten: whether the row counts as one vector; else the layer acts along its last axis.
        init: what the prior is drawn from, where it is not the normal of `init_method`.
    """

    kind = "linear"

    def __init__(
        self,
        input_size: int,
        output_size: int,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
        gain_mean: float = 1.0,
        flatten: bool = True,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__()
        if input_size < 0 or output_size < 1:
            raise ValueError(f"Linear({input_size}, {output_size}): sizes must be positive")
        self.input_size = input_size
        self.output_size = output_size
        self.has_bias = bias
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_method = init_method
        self.gain_mean = gain_mean
        self.flatten = flatten
        self.init = init
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None

    def describe(self) -> str:
        """Name and sizes."""
        return f"Linear({self.input_size},{self.output_size})"

    def draw(self, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances; the input size must be known."""
        I, O = self.input_size, self.output_size
        prior = Prior(self.init_method, I, O, self.init)
        pair = prior.weights((O, I), rng, gain=self.gain_weight, gain_mean=self.gain_mean)
        self.weight = drawn(self.weight, "weight", *pair)
        if self.has_bias:
            pair = prior.bias((O,), rng, gain=self.gain_bias, gain_mean=self.gain_mean)
            self.bias = drawn(self.bias, "bias", *pair)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if not (self.flatten or shape):
            raise ShapeError(f"{self.describe()} acts along an axis but gets single numbers")
        size = flat_size(shape) if self.flatten else shape[-1]
        if self.input_size not in (0, size):
            where = "" if self.flatten else " along the last axis"
            raise ShapeError(
                f"{self.describe()} takes {self.input_size} units but gets {size}{where} {shape}"
            )
        self.input_size = size
        if self.weight is None:
            self.draw(rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        if self.bias is not None:
            parameters.adopt("bias", self.bias)
        return (*(() if self.flatten else shape[:-1]), self.output_size)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.weight is not None
        if self.flatten:
            x = x.reshape((self.input_size,))
        return affine(plan, x, self.weight, self.bias)

    def costs(self) -> list[Cost]:
        """Seven products of `2 I O` operations per position: three forward, four backward."""
        I, O = self.input_size, self.output_size
        assert self.output_shape is not None
        count = I * O + (O if self.has_bias else 0)
        positions = flat_size(self.output_shape[:-1])
        return [Cost(self.describe(), self.output_shape, count, 14 * I * O * positions)]
