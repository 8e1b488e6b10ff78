"""The tree of hierarchical softmax, as flat lists."""

from __future__ import annotations


class HRCSoftmax:
    """Which units each class observes, and as what; `Utils.get_hierarchical_softmax` fills it.

    Attributes:
        obs: observations of each class, +1 or -1, `num_obs` per class.
        idx: the units observed, counted from 1, `num_obs` per class.
        num_obs: observations per class.
        len: number of units.
    """

    def __init__(self) -> None:
        self.obs: list[float] = []
        self.idx: list[int] = []
        self.num_obs: int = 0
        self.len: int = 0
