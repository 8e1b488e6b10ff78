"""Gaussians that several models hold in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from tagi_cli import nn

Host = np.ndarray[Any, Any]


class SharedMap:
    """The present values of a layer that belongs to several models.

    Each model has a layer of its own like it; a model takes the values over before it uses them,
    and hands them back once it has learnt.

    Attributes:
        version: counts the times that values were handed back.
    """

    _known: ClassVar[WeakKeyDictionary[nn.Layer, SharedMap]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.version = 0
        self.values: dict[str, tuple[Host, ...]] = {}

    @classmethod
    def of(cls, layer: nn.Layer) -> SharedMap:
        """What models made with this same layer hold in common."""
        return cls._known.setdefault(layer, cls())

    def publish(self, values: Mapping[str, tuple[Host, ...]]) -> int:
        """Hand back values; the version that they are."""
        self.values = dict(values)
        self.version += 1
        return self.version
