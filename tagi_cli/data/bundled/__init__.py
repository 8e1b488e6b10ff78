"""Data sets that come with the package: a real table, digits, and generated curves and series."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tagi_cli.data.bundled.classes import moons_table, shapes_table
from tagi_cli.data.bundled.latent import synthetic_table
from tagi_cli.data.bundled.missing import sine_missing_table
from tagi_cli.data.bundled.series import (
    hourly_table,
    quarterly_table,
    sensor_table,
    wave_table,
)
from tagi_cli.data.sources import read_table
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.latent_truth import Populations

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Bundled:
    """A bundled set: one line about it, its usual targets, and how to get it.

    `read()` gives the table and the sha256 of its bytes; `labels` says that the target is a label;
    `seeded(seed)` draws the table anew, where it is one of those that can be; `images` is the file
    of a set of images, which has no table.
    """

    summary: str
    outputs: tuple[str, ...]
    read: Callable[[], tuple[Table, str]]
    labels: bool = False
    seeded: Callable[[int], tuple[Table, str]] | None = None
    images: Path | None = None

    def draw(self, seed: int) -> tuple[Table, str]:
        """The table of a seed, where it makes a difference, and the sha256."""
        return self.read() if self.seeded is None else self.seeded(seed)


def find(name: str) -> Bundled:
    """The bundled set of that name.

    Raises:
        UserError: there is none.
    """
    if name not in BUNDLED:
        raise UserError(
            f"data.name: no bundled set '{name}'.{nearest(name, BUNDLED)} Bundled: "
            f"{listing(BUNDLED)}; for a file of your own set data.path"
        )
    return BUNDLED[name]


def sine_table(rows: int = 500, noise: float = 0.1, seed: int = 0) -> Table:
    """`y = sin(x) + noise * e` with `x` uniform on [-5, 5) and `e` standard normal."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-5.0, 5.0, rows)
    return Table.from_columns({"x": x, "y": np.sin(x) + noise * rng.standard_normal(rows)}, "sine")


def _yacht() -> tuple[Table, str]:
    path = _FOLDER / "yacht.csv"
    return read_table(path), hashlib.sha256(path.read_bytes()).hexdigest()


def _digits() -> tuple[Table, str]:
    raise UserError(
        "data.name: 'digits' are images, not a table. Allowed: task=classification, "
        "task=reconstruction"
    )


def _generated(make: Callable[[], Table]) -> Callable[[], tuple[Table, str]]:
    """The reader of a generated table; the sha256 is that of its values, column by column."""

    def read() -> tuple[Table, str]:
        table = make()
        digest = hashlib.sha256()
        for name in table.columns:
            values = table[name]
            text = values.dtype == object
            digest.update("\n".join(values).encode() if text else values.tobytes())
        return table, digest.hexdigest()

    return read


def _synthetic(seed: int) -> tuple[Table, str]:
    return _generated(partial(synthetic_table, seed))()


BUNDLED: Mapping[str, Bundled] = {
    "yacht": Bundled(
        "UCI Yacht Hydrodynamics: residuary resistance of 308 hulls from 6 shape numbers",
        ("residuary_resistance",),
        _yacht,
    ),
    "sine": Bundled(
        "500 points of y = sin(x) with Gaussian noise of sd 0.1", ("y",), _generated(sine_table)
    ),
    "wave": Bundled("one series of 900 points of a sine", ("value",), _generated(wave_table)),
    "quarterly": Bundled(
        "60 series of 30 to 130 quarters (generated)", ("value",), _generated(quarterly_table)
    ),
    "hourly": Bundled("24 series of 600 hours (generated)", ("value",), _generated(hourly_table)),
    "sensors": Bundled(
        "20 instances of 60 steps: 4 signals, and one that follows from them (generated)",
        ("y1",),
        _generated(sensor_table),
    ),
    "sine_missing": Bundled(
        "240 hours of a noisy sine, 72 of them missing (generated)",
        ("sin",),
        _generated(sine_missing_table),
    ),
    "moons": Bundled(
        "two half circles of 600 points that reach into each other (generated)",
        ("moon",),
        _generated(moons_table),
        labels=True,
    ),
    "shapes": Bundled(
        "60 series of 80 steps that repeat one of three shapes (generated)",
        ("shape",),
        _generated(shapes_table),
        labels=True,
    ),
    "digits": Bundled(
        "1797 images of handwritten digits, 8 x 8 pixels (UCI)",
        ("label",),
        _digits,
        labels=True,
        images=_FOLDER / "digits.npz",
    ),
    "latent_synthetic": Bundled(
        "5000 rows of two groups of inputs and one of outputs, with few latents (generated)",
        tuple(f"y{j + 1}" for j in range(Populations().d_out[0])),
        partial(_synthetic, 0),
        seeded=_synthetic,
    ),
}
