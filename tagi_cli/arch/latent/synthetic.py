"""Data from a latent regression whose parameters are known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tagi_cli.arch.latent.structure import Groups
from tagi_cli.latent_truth import Populations, draw
from tagi_cli.latent_truth import Truth as Truth
from tagi_cli.latent_truth import draw_rows as draw_rows

Host = np.ndarray[Any, Any]


class Synthetic(NamedTuple):
    """Rows of a synthetic data set, and what they were drawn from."""

    x: list[Host]
    y: list[Host]
    truth: Truth
    groups: Groups


DEFAULT = Groups(*Populations())
"""Two populations of inputs, one of outputs that is coupled directly to the first."""


def synthetic(rows: int, seed: int, groups: Groups = DEFAULT) -> Synthetic:
    """A data set of `rows` rows.

    Args:
        rows: number of rows.
        seed: draws the truth and the rows; the truth does not depend on the number of rows.
        groups: sizes.
    """
    return Synthetic(*draw(groups, rows, seed), groups)
