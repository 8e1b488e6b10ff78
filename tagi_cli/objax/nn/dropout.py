"""Units dropped at random in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagi_cli import nn
from tagi_cli.objax import random
from tagi_cli.objax.module import Module
from tagi_cli.objax.tracing import Leaf, Slot, Tensor
from tagi_cli.objax.variable import StateVar


class Dropout(Module, Leaf):
    """In training, units times `b / keep`, where `b` is 1 with probability `keep` and else 0.

    As `sample` a mask is drawn at each call, and units that are dropped learn nothing. As
    `moments` the mask is integrated out: means stay, variances grow, and nothing is random.

    Attributes:
        key: seed of the masks and number of the next one; None where none are drawn.

    Args:
        keep: probability that a unit is kept; from 1 on all are, with 0 none.
        generator: gives the seed of the masks.
        mode: `sample` or `moments`.

    Raises:
        ValueError: `keep` is negative or not a number, or the mode unknown.
    """

    def __init__(
        self,
        keep: float,
        generator: random.Generator = random.DEFAULT_GENERATOR,
        mode: str = "sample",
    ) -> None:
        self._layer(keep, mode)
        self.keep = keep
        self.mode = mode
        self.keygen = generator
        self.key = StateVar([generator(), 0]) if mode == "sample" else None

    @staticmethod
    def _layer(keep: float, mode: str) -> nn.Layer:
        return nn.Dropout(min(keep, 1.0), mode)

    def __call__(self, x: Any, training: bool, dropout_keep: float | None = None) -> Any:
        """Moments of what is left.

        Args:
            x: the input.
            training: whether units are dropped.
            dropout_keep: takes the place of `keep` in this call.
        """
        keep = self.keep if dropout_keep is None else dropout_keep
        return x.record(self._layer, self, bool(training), keep=keep, mode=self.mode)

    def slots(self, tensors: Mapping[str, Tensor]) -> list[Slot]:
        """See `Leaf.slots`."""
        return [] if self.key is None else [Slot(self.key, ("generator",))]
