"""Rows of a learnt table, picked by integer ids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tagi_cli.nn import init
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.parameters import Host, Parameter, Parameters, drawn, flat_size
from tagi_cli.nn.plan import Plan, Value

LARGEST = 2**24
"""Most rows that a table can have."""


class Embedding(Layer):
    """Table of Gaussian vectors: an input of ids `(L,)` becomes `(L, embedding_dim)`.

    Ids are whole numbers given as floats. As the first layer of a network they are checked; further
    inside, an id outside the table gives NaN. The ids themselves are certain and get no innovation.

    Args:
        num_embeddings: number of rows of the table.
        embedding_dim: length of each row.
        input_size: number of ids; 0 takes it from the input.
        scale: prior standard deviation, of the means and in the variances.
        padding_idx: id whose vector is zero and never learnt; -1 for none.
    """

    kind = "embedding"

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        input_size: int = 0,
        scale: float = 1.0,
        padding_idx: int = -1,
    ) -> None:
        super().__init__()
        if num_embeddings < 1 or embedding_dim < 1 or input_size < 0 or not scale > 0:
            raise ValueError(
                f"Embedding({num_embeddings}, {embedding_dim}): sizes and scale must be positive"
            )
        if num_embeddings > LARGEST:
            raise ValueError(
                f"Embedding({num_embeddings}, {embedding_dim}): ids are floats, which are exact up "
                f"to {LARGEST} in single precision"
            )
        if not -1 <= padding_idx < num_embeddings:
            raise ValueError(
                f"Embedding: padding_idx is {padding_idx}, ids are 0 to {num_embeddings - 1} "
                "(-1: no padding)"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.input_size = input_size
        self.scale = float(scale)
        self.padding_idx = padding_idx
        self.weight: Parameter | None = None

    def describe(self) -> str:
        """Name and sizes."""
        return f"Embedding({self.num_embeddings},{self.embedding_dim})"

    def draw(self, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances."""
        pair = init.gaussian((self.num_embeddings, self.embedding_dim), self.scale, rng)
        self.weight = drawn(self.weight, "weight", *pair)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if self.input_size not in (0, flat_size(shape)):
            raise ShapeError(
                f"{self.describe()} takes {self.input_size} ids but gets {flat_size(shape)} {shape}"
            )
        self.input_size = flat_size(shape)
        if self.weight is None:
            self.draw(rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        return (*shape, self.embedding_dim)

    def input_check(self) -> Callable[[Host], None]:
        """All ids must be whole numbers inside the table."""
        return self._check

    def _check(self, ids: Host) -> None:
        valid = (ids >= 0) & (ids < self.num_embeddings) & (ids == np.floor(ids))
        if not valid.all():
            wrong = float(ids[~valid].flat[0])
            raise ValueError(
                f"{self.describe()}: id {wrong:g}: ids are whole numbers from 0 to "
                f"{self.num_embeddings - 1}"
            )

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        weight = self.weight
        assert weight is not None
        n = plan.batch * self.input_size
        sizes = (self.padding_idx, n, self.num_embeddings, self.embedding_dim)
        z = plan.value((*x.shape, self.embedding_dim))
        plan.call("embedding_forward", z.mu, z.var, x.mu, weight.mu, weight.var, *sizes)

        def backward() -> None:
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                if not add:
                    plan.call("fill", d_mu_x, 0.0, n)
                    plan.call("fill", d_var_x, 0.0, n)
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            G, L, add = plan.accumulators(weight)
            plan.call("embedding_innovation", G, L, x.mu, d_mu, d_var, *sizes, add)

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """Two additions per number picked."""
        assert self.output_shape is not None
        count = self.num_embeddings * self.embedding_dim
        return [Cost(self.describe(), self.output_shape, count, 2 * flat_size(self.output_shape))]
