"""Batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.objax.module import Module
from tagi_cli.objax.nn.framing import DropAxis, Expect
from tagi_cli.objax.tracing import Leaf, Slot, Tensor
from tagi_cli.objax.variable import StateVar, TrainVar


class BatchNorm(Module, Leaf):
    """`gamma (x - mean) / sqrt(variance + eps) + beta`, statistics over axes of the batch.

    In training with statistics of the batch, the variance divided by the number of elements and
    counting their own variances; otherwise with running ones,
    `momentum running + (1 - momentum) batch` after each call in training, from 0 and 1.

    Attributes:
        running_mean: of shape `dims`, as all four.
        running_var: likewise.
        beta: biases with mean 0, variance `1 / size`.
        gamma: gains with mean 1, variance `1 / size`.

    Args:
        dims: shape of the input after averaging, with size 1 along the axes in `redux`.
        redux: axes averaged over, 0 (the batch) among them.
        momentum: weight of the old running statistics.
        eps: added to the variance.

    Raises:
        ValueError: `dims` and `redux` contradict each other, or an option is out of its range.
    """

    def __init__(
        self,
        dims: Iterable[int],
        redux: Iterable[int],
        momentum: float = 0.999,
        eps: float = 1e-6,
    ) -> None:
        dims, redux = tuple(dims), tuple(redux)
        rank = len(dims)
        if not all(-rank <= axis < rank for axis in redux):
            raise ValueError(f"BatchNorm: redux {redux} names axes that {dims} does not have")
        self.redux = tuple(sorted({axis % rank for axis in redux}))
        if 0 not in self.redux:
            raise ValueError(
                f"BatchNorm: redux {redux} lacks axis 0, the batch; to normalise rows by "
                "themselves use Lift(nn.LayerNorm(...))"
            )
        if any(dims[axis] != 1 for axis in self.redux):
            raise ValueError(f"BatchNorm: dims {dims} must be 1 along the axes {self.redux}")
        size = math.prod(dims)
        nn.BatchNorm2d(size, eps, momentum)  # complains of what is out of range
        self.momentum = momentum
        self.eps = eps
        self.running_mean = StateVar(np.zeros(dims))
        self.running_var = StateVar(np.ones(dims))
        self.beta = TrainVar(np.zeros(dims), 1 / size)
        self.gamma = TrainVar(np.ones(dims), 1 / size)

    def __call__(self, x: Any, training: bool) -> Any:
        """Moments of the normalised input.

        Args:
            x: the input.
            training: whether statistics are those of the batch.
        """
        return self._normalised(x, training, synced=False, updates=True)

    def _normalised(self, x: Any, training: bool, *, synced: bool, updates: bool) -> Any:
        """The same; with statistics of all ranks' rows, or with running ones that stay."""
        dims = self.beta.shape
        kept = [axis - 1 for axis in range(1, len(dims)) if axis not in self.redux]
        free = [axis - 1 for axis in self.redux if axis]
        sizes = tuple(None if axis in self.redux else n for axis, n in enumerate(dims))[1:]
        x = x.record(Expect, who=type(self).__name__, sizes=sizes, single=not kept)
        order = tuple(kept + free)
        moved = bool(kept) and order != tuple(sorted(order))
        if moved:
            x = x.record(nn.Transpose, axes=order)
        x = x.record(
            nn.BatchNorm2d,
            self,
            training=bool(training),
            num_features=math.prod(dims),
            eps=self.eps,
            momentum=self.momentum,
            statistics="mixture",
            warm_start=False,
            synced=synced,
            updates=updates,
        )
        if moved:
            x = x.record(nn.Transpose, axes=tuple(int(axis) for axis in np.argsort(order)))
        return x if kept else x.record(DropAxis)

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """See `Leaf.slots`."""
        return [
            Slot(self.running_mean, ("running_mean",)),
            Slot(self.running_var, ("running_var",)),
            Slot(self.beta, ("bias",)),
            Slot(self.gamma, ("weight",)),
        ]


class BatchNorm0D(BatchNorm):
    """Batch normalisation of vectors `(N, nin)`.

    Args:
        nin: number of units.
        momentum: weight of the old running statistics.
        eps: added to the variance.
    """

    def __init__(self, nin: int, momentum: float = 0.999, eps: float = 1e-6) -> None:
        super().__init__((1, nin), (0,), momentum, eps)


class BatchNorm1D(BatchNorm):
    """Batch normalisation of series `(N, nin, L)`, per channel.

    Args:
        nin: number of channels.
        momentum: weight of the old running statistics.
        eps: added to the variance.
    """

    def __init__(self, nin: int, momentum: float = 0.999, eps: float = 1e-6) -> None:
        super().__init__((1, nin, 1), (0, 2), momentum, eps)


class BatchNorm2D(BatchNorm):
    """Batch normalisation of images `(N, nin, H, W)`, per channel.

    Args:
        nin: number of channels.
        momentum: weight of the old running statistics.
        eps: added to the variance.
    """

    def __init__(self, nin: int, momentum: float = 0.999, eps: float = 1e-6) -> None:
        super().__init__((1, nin, 1, 1), (0, 2, 3), momentum, eps)
