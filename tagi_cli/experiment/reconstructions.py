"""Predicted images, and the table that tells how near each is to what was shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tagi_cli.experiment.predictions import Floats, Predictions, write_table
from tagi_cli.training import mixture

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ("rmse", "nll", "sd_epistemic", "sd_noise")
"""Columns of the table behind those of the place: means over the pixels of an image."""

_VALUES_PER_WRITE = 1 << 20


@dataclass(frozen=True)
class Reconstructions(Predictions):
    """Predictive laws of the pixels of n images, in bytes; the pixels are the steps."""

    def taken(self, index: slice | NDArray[np.int64]) -> Reconstructions:
        """The same for some of the images."""
        part = self.take(index)
        return Reconstructions(
            part.names, part.places, part.y, part.mu, part.var_epistemic, part.var_noise, part.steps
        )

    def by_image(self) -> Floats:
        """`(n, 4)` the values of `COLUMNS`: root mean square error, and means over pixels."""
        n = len(self.places)
        rmse = nll = np.full(n, np.nan)
        if self.y is not None:
            rmse = np.sqrt(np.mean((self.y - self.mean) ** 2, axis=1))
            nll = -np.mean(mixture.log_density(self.y, self.mu, self.var), axis=1)
        sds = [np.sqrt(np.mean(sd**2, axis=1)) for sd in (self.sd_epistemic, self.sd_noise)]
        return np.stack([rmse, nll, *sds], axis=1)


def write_csv(path: Path, found: Reconstructions) -> None:
    """Write a line per image: its place and `COLUMNS`, in units of the bytes.

    Raises:
        UserError: the file cannot be written.
    """
    block = max(1, _VALUES_PER_WRITE // max(len(found.steps), 1))
    n = len(found.places)
    write_table(path, columns(found), n, block, lambda rows: lines(found.taken(rows)))


def columns(found: Reconstructions) -> list[str]:
    """Names of the columns of the table."""
    return [*found.places.columns, *COLUMNS]


def lines(part: Reconstructions) -> str:
    """The lines of some images."""
    row = ",".join(["%.7g"] * len(COLUMNS))
    return "".join(
        f"{place},{row % tuple(values)}\n".replace("nan", "")
        for place, values in zip(part.places.cells(), part.by_image().tolist(), strict=True)
    )
