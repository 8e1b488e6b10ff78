"""Batch normalisation of images and vectors."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from operator import mul

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.nn.layer import Layer, Shape, ShapeError
from tagi_cli.nn.layers.normalisation import Normalisation
from tagi_cli.nn.parameters import Parameters, State, flat_size
from tagi_cli.nn.plan import Plan, Value
from tagi_cli.nn.shard import Ranks, Shard


class BatchNorm2d(Normalisation):
    """Normalises each channel over the batch and its positions, or each unit over the batch.

    In training with the statistics of the batch (of all ranks' rows where ranks share it), in
    prediction with running averages of them. The statistics are treated as constants: innovations
    pass through the scale alone. An input of shape `(num_features, ...)` counts as channels, one of
    `num_features` units in all as a vector; other leading axes with `num_features` units in all do,
    too.

    Args:
        num_features: number of channels or units; 0 takes it from the layer before.
        eps: added to the variance.
        momentum: weight of the old value in the running averages.
        bias: whether there is a bias.
        gain_weight: factor on the prior standard deviation of the gains (not on their means, 1).
        gain_bias: the same for the biases.
        statistics: `peer` divides the variance by one less than the count, `mixture` by the count.
        warm_start: whether the first batch sets the running averages; else they start from 0 and 1.
        synced: whether the statistics are those of all ranks' rows, where ranks share a batch; None
            does as the plan says.
        updates: whether batches in training change the running averages.
        projected: whether innovations of the means pass through the statistics of the batch, too,
            as gradients do. Without it the layers below drift along what normalisation takes away.
    """

    kind = "batch_norm2d"

    def __init__(
        self,
        num_features: int = 0,
        eps: float = 1e-5,
        momentum: float = 0.9,
        bias: bool = True,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        statistics: str = "peer",
        warm_start: bool = True,
        synced: bool | None = None,
        updates: bool = True,
        projected: bool = False,
    ) -> None:
        super().__init__(eps, bias, gain_weight, gain_bias, statistics)
        if num_features < 0 or not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchNorm2d({num_features}): momentum is {momentum}, it must lie in 0 to 1, "
                "and the number of features be positive"
            )
        self.features = num_features
        self.momentum = float(momentum)
        self.warm_start = warm_start
        self.synced = synced
        self.updates = updates
        self.projected = projected
        self.running_mean: State | None = None
        self.running_var: State | None = None
        self._seen: State | None = None

    def describe(self) -> str:
        """Name and number of channels."""
        return f"BatchNorm2d({self.features})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        size = flat_size(shape)
        self.features = self.features or shape[0]
        if self.features not in accumulate(shape, mul):
            raise ShapeError(
                f"{self.describe()} takes {self.features} channels or units but gets {shape}"
            )
        self.positions = size // self.features
        self._adopt(parameters, rng)
        C = self.features
        self.running_mean = parameters.add_state("running_mean", np.zeros(C))
        self.running_var = parameters.add_state("running_var", np.ones(C))
        self._seen = parameters.add_state("seen", np.full(1, 0.0 if self.warm_start else 1.0))
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        B, C = plan.batch, self.features
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self._seen is not None
        running_mean, running_var = self.running_mean.value, self.running_var.value
        scale = plan.empty((C,))
        if not plan.training:
            plan.call("norm_scale", scale, running_var, self.eps, C)
            plan.statistics[self] = running_mean, running_var
            return self._normalise(plan, x, running_mean, scale, B, False)
        mean, var = plan.empty((C,)), plan.empty((C,))
        # One row of moments for each rank's part of the batch; they are merged by the second call.
        ranks = self._ranks(plan.shard)
        moments = plan.empty((1 if ranks is None else ranks.size, 1 + 2 * C), np.float64)
        own = moments if ranks is None else moments[ranks.rank]
        plan.call("channel_moments", own, x.mu, x.var, B, C, self.positions)
        if ranks is not None:
            plan.collective(partial(ranks.all_gather, moments))
        if not self.updates:
            running_mean, running_var = plan.empty((C,)), plan.empty((C,))
        plan.call(
            "batch_norm_statistics", mean, var, scale, running_mean, running_var,
            self._seen.value, moments, len(moments), C, self.unbiased, self.eps, self.momentum,
        )  # fmt: skip
        if self.updates and (B or ranks is not None):
            plan.call("fill", self._seen.value, 1.0, 1)
        plan.statistics[self] = mean, var
        statistics = partial(_summed, plan, ranks) if self.projected else None
        return self._normalise(plan, x, mean, scale, B, False, statistics)

    def _ranks(self, shard: Shard | None) -> Ranks | None:
        """The ranks whose rows count; None where those of this process alone do."""
        if shard is None or not (shard.synced if self.synced is None else self.synced):
            return None
        return shard.ranks


def _summed(plan: Plan, ranks: Ranks | None, sums: Array) -> None:
    """Emit what adds the sums of all ranks whose rows count."""
    if ranks is not None:
        plan.collective(partial(ranks.all_reduce, sums))


def local_averages(layer: Layer, *, synced: bool) -> list[Array]:
    """Running averages that each rank forms of its own rows; see `Shard.synced`."""
    if isinstance(layer, BatchNorm2d):
        if synced if layer.synced is None else layer.synced:
            return []
        assert layer.running_mean is not None
        assert layer.running_var is not None
        return [layer.running_mean.value, layer.running_var.value]
    return [a for _, inner in layer.children() for a in local_averages(inner, synced=synced)]
