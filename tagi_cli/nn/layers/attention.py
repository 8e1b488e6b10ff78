"""Multi-head attention."""

from __future__ import annotations

import math

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.nn.init import InitOptions, Pair, Prior
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.layers.linear import Linear, affine
from tagi_cli.nn.parameters import Parameter, Parameters, drawn, flat_size
from tagi_cli.nn.plan import Plan, Value

WEIGHTINGS = ("remax", "softmax")
"""What makes weights of scores: their rectified values, or their exponentials, over the sum."""


class MultiheadAttention(Layer):
    """Self-attention: each token of `(T, E)` becomes a weighted sum of projections of all tokens.

    A head weighs tokens by scores `q'k / sqrt(d)` between a query and keys of size `d = E / heads`
    (Vaswani et al. 2017). A flat row of `T E` units counts as `(T, E)`. Queries, keys, values and
    scores count as independent of each other; the weights of one query do not, since they sum to
    one.

    Args:
        embed_dim: units `E` of a token, in and out; 0 takes them from the layer before.
        num_heads: number of heads; they divide `embed_dim`.
        num_kv_heads: heads of keys and values, each shared by as many heads of queries; they divide
            `num_heads`, which is the default.
        bias: whether the projections have biases.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`, for queries, keys, values and output each with its own sizes.
        causal: whether a token looks at itself and earlier tokens only.
        rotary: whether queries and keys are turned by angles that grow with their positions, so
            that scores depend on distances (Su et al. 2021).
        theta: ratio of the longest wavelength of these angles to the shortest.
        output_projection: whether an affine map mixes the heads at the end.
        weighting: how scores become weights: `remax` their rectified values over the sum, `softmax`
            their exponentials over the sum.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.

    Raises:
        ValueError: sizes do not divide each other, or `weighting` is unknown.
    """

    kind = "multihead_attention"

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "Xavier",
        causal: bool = False,
        rotary: bool = False,
        theta: float = 10000.0,
        output_projection: bool = True,
        weighting: str = "remax",
        gain_mean: float = 1.0,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if embed_dim < 0 or num_heads < 1 or self.num_kv_heads < 1:
            raise ValueError(f"{self.describe()}: sizes must be positive")
        if num_heads % self.num_kv_heads:
            raise ValueError(
                f"{self.describe()}: {num_heads} heads cannot share {self.num_kv_heads} heads of "
                "keys and values: they are no multiple of them"
            )
        if not theta > 1:
            raise ValueError(f"{self.describe()}: theta is {theta:g}, it must be above 1")
        if weighting not in WEIGHTINGS:
            raise ValueError(
                f"{self.describe()}: weighting '{weighting}': allowed are {', '.join(WEIGHTINGS)}"
            )
        self.has_bias = bias
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_method = init_method
        self.causal = causal
        self.rotary = rotary
        self.theta = float(theta)
        self.weighting = weighting
        self.gain_mean = gain_mean
        self.init = init
        self.length = 0
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        self.output_projection = output_projection
        self.output: Linear | None = None
        if embed_dim:
            self._measure(embed_dim)

    def describe(self) -> str:
        """Name and sizes."""
        heads = [self.num_heads]
        if self.num_kv_heads != self.num_heads:
            heads.append(self.num_kv_heads)
        return f"MultiheadAttention({','.join(map(str, (self.embed_dim, *heads)))})"

    def _measure(self, embed_dim: int) -> None:
        """Set the size of a token, and all that follows from it."""
        self.embed_dim = embed_dim
        if embed_dim % self.num_heads:
            raise ValueError(
                f"{self.describe()}: {embed_dim} units cannot be shared among {self.num_heads} "
                "heads: they are no multiple of them"
            )
        if self.rotary and self.head_size % 2:
            raise ValueError(
                f"{self.describe()}: rotary turns pairs of units, a head has {self.head_size}"
            )
        if self.output_projection:
            self.output = Linear(
                embed_dim, embed_dim, self.has_bias, self.gain_weight, self.gain_bias,
                self.init_method, self.gain_mean, flatten=False, init=self.init,
            )  # fmt: skip

    @property
    def head_size(self) -> int:
        """Units of a head."""
        return self.embed_dim // self.num_heads

    @property
    def parts(self) -> tuple[int, int, int]:
        """Units of a token's queries, keys and values."""
        shared = self.num_kv_heads * self.head_size
        return self.embed_dim, shared, shared

    def draw(self, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances; the sizes must be known."""
        E = self.embed_dim
        weights: list[Pair] = []
        biases: list[Pair] = []
        for size in self.parts:
            prior = Prior(self.init_method, E, size, self.init)
            pair = prior.weights((size, E), rng, gain=self.gain_weight, gain_mean=self.gain_mean)
            weights.append(pair)
            if self.has_bias:
                pair = prior.bias((size,), rng, gain=self.gain_bias, gain_mean=self.gain_mean)
                biases.append(pair)
        self.weight = _joined("weight", self.weight, weights)
        if self.has_bias:
            self.bias = _joined("bias", self.bias, biases)
        if self.output is not None:
            self.output.draw(rng)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if not self.embed_dim and len(shape) == 2:
            try:
                self._measure(shape[1])
            except ValueError as error:
                raise ShapeError(str(error)) from None
        E = self.embed_dim
        flat = len(shape) == 1 and E and shape[0] % E == 0
        if not (flat or (len(shape) == 2 and shape[1] == E)):
            tokens = f"tokens of {E} units, (T, {E})," if E else "rows (tokens, units)"
            raise ShapeError(f"{self.describe()} takes {tokens} but gets {shape}")
        self.length = flat_size(shape) // E
        if self.weight is None:
            self.draw(rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        if self.bias is not None:
            parameters.adopt("bias", self.bias)
        for name, layer in self.children():
            with parameters.scope(name):
                layer.build((self.length, E), parameters, rng)
        return (self.length, E)

    def children(self) -> list[tuple[str, Layer]]:
        """The output projection, where there is one."""
        return [] if self.output is None else [("output", self.output)]

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.weight is not None
        tokens = x.reshape((self.length, self.embed_dim))
        y = self._attend(plan, affine(plan, tokens, self.weight, self.bias))
        for name, layer in self.children():
            with plan.inside(name):
                y = layer.trace_in_mode(plan, y)
        return y

    def _attend(self, plan: Plan, p: Value) -> Value:
        """Emit the passes from projections, which are turned in place, to joined heads."""
        B, T, H, G, d = plan.batch, self.length, self.num_heads, self.num_kv_heads, self.head_size
        sizes = (B, T, H, G, d, int(self.causal))
        scale = 1 / math.sqrt(d)
        # Scores and their variances turn into weights and strengths; once those are used, the
        # strengths and second moments leave room for the innovations of scores.
        mean, strength, slope, second = (plan.empty((B, H, T, T)) for _ in range(4))
        y = plan.value((T, self.embed_dim))
        angles = self._angles(plan) if self.rotary else None

        def rotate(mu: Array, var: Array, inverse: int) -> None:
            if angles is not None:
                width, turned = sum(self.parts), sum(self.parts[:2])
                plan.call(
                    "rotate_pairs", mu, var, *angles, B * T, T, width, turned, d // 2, inverse
                )

        assert p.var is not None
        rotate(p.mu, p.var, 0)
        plan.call("attention_scores", mean, strength, p.mu, p.var, scale, *sizes)
        plan.call(
            f"attention_{self.weighting}", mean, strength, slope, second, B * H * T, T,
            int(self.causal),
        )  # fmt: skip
        plan.call("attention_values", y.mu, y.var, mean, strength, second, p.mu, p.var, *sizes)

        def backward() -> None:
            if not y.reached:
                return
            d_mu, d_var = y.innovation()
            d_mu_p, d_var_p, _ = p.send()
            d_s = strength, second
            plan.call("attention_values_backward", d_mu_p, d_var_p, d_mu, d_var, mean, *sizes)
            plan.call("attention_weights_backward", *d_s, d_mu, d_var, y.mu, slope, p.mu, *sizes)
            plan.call("attention_scores_backward", d_mu_p, d_var_p, *d_s, p.mu, scale, *sizes)
            rotate(d_mu_p, d_var_p, 1)

        plan.on_backward(backward)
        return y

    def _angles(self, plan: Plan) -> tuple[Array, Array]:
        """Cosines and sines `(T, d / 2)` of `position / theta^(2 i / d)`."""
        i = np.arange(self.head_size // 2)
        angle = np.arange(self.length)[:, None] / self.theta ** (2 * i / self.head_size)
        return plan.backend.asarray(np.cos(angle)), plan.backend.asarray(np.sin(angle))

    def costs(self) -> list[Cost]:
        """Seven products per weight as in `Linear`, and 34 operations per pair of tokens and unit.

        Of these, 8 are for scores, 8 for outputs, and on the way back 6 for scores and 4 each for
        values, queries and keys.
        """
        T, E = self.length, self.embed_dim
        weights = sum(self.parts) * E
        count = weights + (sum(self.parts) if self.has_bias else 0)
        if self.output is not None:
            weights += E * E
            count += sum(cost.parameters for cost in self.output.costs())
        pairs = T * (T + 1) // 2 if self.causal else T * T
        return [Cost(self.describe(), (T, E), count, 14 * T * weights + 34 * pairs * E)]


def _joined(name: str, parameter: Parameter | None, pairs: list[Pair]) -> Parameter:
    """One parameter of several priors, one below the other; the one there is, where there is."""
    mu, var = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return drawn(parameter, name, mu, var)
