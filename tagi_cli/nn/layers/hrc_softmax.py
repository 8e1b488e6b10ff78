"""Classes as paths through a binary tree, so that classification is regression of a few units."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.nn.parameters import Host

SLOPE = 3.0
"""Slope of the probit that turns a unit into a probability (Goulet, Nguyen & Amiri 2021)."""


class HRCSoftmax:
    """Hierarchical binary decomposition of `classes` classes.

    A class is the binary code of its number, most significant bit first, in as many bits as the
    largest number needs. Each node of the tree of these codes is one unit, observed as +1 where the
    path goes on with a 0 and as -1 where it goes on with a 1. Nodes are counted from 1, level by
    level.

    Attributes:
        obs: what each class observes, `(classes, num_obs)`, +1 or -1.
        idx: which units it observes, `(classes, num_obs)`, from 1.
        num_obs: bits of a code, the observations of each row.
        len: number of units.
        codes: what each class observes of each unit, `(classes, len)`: +1, -1, or NaN for nothing.
            A decision between a child and nothing is none.

    Args:
        classes: number of classes, at least 2.

    Raises:
        ValueError: no whole number, or fewer than 2 classes.
    """

    def __init__(self, classes: int) -> None:
        if not isinstance(classes, int | np.integer):
            raise ValueError(f"hierarchical softmax: found {classes!r} classes, no whole number")
        classes = int(classes)
        if classes < 2:
            raise ValueError(f"hierarchical softmax of {classes} classes: at least 2 are needed")
        self.classes = classes
        L = self.num_obs = (classes - 1).bit_length()
        label = np.arange(classes)[:, None]
        prefix = label >> np.arange(L, 0, -1)  # the bits before each decision
        bit = label >> np.arange(L - 1, -1, -1) & 1
        levels = [-(-classes // 2 ** (L - depth)) for depth in range(L)]  # nodes of each level
        first = np.cumsum([1, *levels[:-1]])
        self.obs = np.where(bit == 0, 1, -1).astype(np.float32)
        self.idx = (first + prefix).astype(np.int32)
        self.len = int(self.idx.max())
        # A node whose right child would hold no class leaves no choice.
        right = (2 * prefix + 1) << np.arange(L - 1, -1, -1)
        self._sure = right >= classes
        self.codes = np.full((classes, self.len), np.nan)
        np.put_along_axis(self.codes, self.idx - 1, np.where(self._sure, np.nan, self.obs), axis=1)

    def encode(self, labels: Any) -> tuple[Host, Host]:
        """Observations and the units observed, `(B, num_obs)` each.

        Args:
            labels: `(B,)` class numbers from 0.

        Raises:
            ValueError: a label is no class.
        """
        labels = np.asarray(labels).ravel()
        if labels.size and not (labels.min() >= 0 and labels.max() < self.classes):
            raise ValueError(
                f"labels from {labels.min()} to {labels.max()}: the classes are 0 to "
                f"{self.classes - 1}"
            )
        whole = labels.astype(np.intp)
        if (whole != labels).any():
            raise ValueError(f"label {labels[whole != labels][0]:g}: classes are whole numbers")
        return self.obs[whole], self.idx[whole]

    def probabilities(self, mu: Any, var: Any) -> Host:
        """Class probabilities `(B, classes)`; each row sums to one.

        A unit `N(mu, var)` goes on with a 0 with probability `Phi(mu / sqrt(1/9 + var))`; a node
        with one child goes there for sure.

        Args:
            mu: means of the units, `(B, len)` or flat.
            var: their variances.

        Raises:
            ValueError: not a whole number of rows, or moments that are not a number.
        """
        mu, var = np.asarray(mu, np.float64).ravel(), np.asarray(var, np.float64).ravel()
        if mu.size % self.len or mu.size != var.size:
            raise ValueError(
                f"{mu.size} means and {var.size} variances: {self.classes} classes have "
                f"{self.len} units"
            )
        unit = (mu / np.sqrt(SLOPE**-2 + np.where(var >= 0, var, np.nan))).reshape(-1, self.len)
        unknown = np.isnan(unit)
        if unknown.any():
            row, k = (int(index[0]) for index in np.nonzero(unknown))
            raise ValueError(
                f"row {row}, unit {k + 1}: N({mu[row * self.len + k]:g}, "
                f"{var[row * self.len + k]:g}) is no Gaussian, so no class is the most probable"
            )
        from scipy.special import ndtr

        result = np.ones((len(unit), self.classes))
        for bit in range(self.num_obs):
            chosen = ndtr(self.obs[:, bit] * unit[:, self.idx[:, bit] - 1])
            result *= np.where(self._sure[:, bit], 1, chosen)
        return result
