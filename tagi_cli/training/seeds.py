"""One random Generator per purpose and member, all from the one seed of the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are drawn for; the numbers are part of what a seed means."""

    INIT = 0
    ORDER = 1
    REFIT_ORDER = 2


@dataclass(frozen=True)
class Seeds:
    """The seed of a run; 0 is as valid as any other."""

    seed: int

    def generator(self, purpose: Purpose, member: int) -> np.random.Generator:
        """The Generator of a purpose and member, at its beginning.

        Its stream depends on nothing else, neither on the number of members nor on what was drawn
        before: it is that of `SeedSequence(seed).spawn(n)[purpose].spawn(n)[member]`.
        """
        key = (int(purpose), member)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )
