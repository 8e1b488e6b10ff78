"""Fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.objax.module import Module
from tagi_cli.objax.nn.init import Initialiser, drawn, xavier_normal, xavier_normal_gain
from tagi_cli.objax.tracing import Leaf, Slot, Tensor
from tagi_cli.objax.variable import TrainVar


class Linear(Module, Leaf):
    """`y = x w + b` along the last axis of `x`, alike at all others.

    Attributes:
        b: biases `(nout,)` with mean 0 and the variance of the weights, or None.
        w: weights `(nin, nout)`.

    Args:
        nin: number of inputs.
        nout: number of outputs.
        use_bias: whether there is a bias.
        w_init: given the shape of the weights, gives their prior.
    """

    def __init__(
        self, nin: int, nout: int, use_bias: bool = True, w_init: Initialiser = xavier_normal
    ) -> None:
        weights = drawn(w_init, (nin, nout), xavier_normal_gain)
        self.b = TrainVar(np.zeros(nout), weights.var.mean()) if use_bias else None
        self.w = TrainVar(*weights)

    def __call__(self, x: Any) -> Any:
        """Moments of `x w + b`."""
        nin, nout = self.w.shape
        return x.record(
            nn.Linear,
            self,
            input_size=nin,
            output_size=nout,
            bias=self.b is not None,
            flatten=False,
        )

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """See `Leaf.slots`."""
        weights = Slot(self.w, ("weight",), (1, 0))
        return [weights] if self.b is None else [weights, Slot(self.b, ("bias",))]
