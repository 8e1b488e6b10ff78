"""A table drawn from a latent regression whose parameters are known."""

from __future__ import annotations

from tagi_cli.data.table import Table
from tagi_cli.latent_truth import Populations, Truth, draw

ROWS = 5000
"""Of the table."""


def synthetic_truth(seed: int) -> Truth:
    """What the bundled table of a seed is drawn from."""
    return draw(Populations(), 1, seed)[2]


def synthetic_table(seed: int = 0) -> Table:
    """Columns `a1` to `a25` and `b1` to `b12` of two input groups, `y1` to `y25` of outputs."""
    x, y, _ = draw(Populations(), ROWS, seed)
    columns = {
        f"{name}{j + 1}": values[:, j]
        for name, values in zip("aby", [*x, *y], strict=True)
        for j in range(values.shape[1])
    }
    return Table.from_columns(columns, "latent_synthetic")
