"""The one random generator that layers draw their prior means from, in order of construction."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Make the prior means of layers built from now on repeatable."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator of this process."""
    return _generator
