"""Where modules get their randomness from."""

from __future__ import annotations

import numpy as np


class Generator:
    """A source of seeds.

    Args:
        seed: where it starts.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed(seed)

    def seed(self, seed: int = 0) -> None:
        """Start anew."""
        self.rng = np.random.default_rng(seed)

    def __call__(self) -> int:
        """A fresh seed, from 0 to 2^31 - 2."""
        return int(self.rng.integers(np.iinfo(np.int32).max))


DEFAULT_GENERATOR = Generator(0)
"""What prior means and dropout masks are drawn from where nothing else is given."""
