"""Data sets that come with the package: a real table and a generated curve."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagi_cli.data.sources import read_table
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError, listing, nearest

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Bundled:
    """A bundled set: one line about it, its usual targets, and how to get it.

    `read()` gives the table and the sha256 of its bytes.
    """

    summary: str
    outputs: tuple[str, ...]
    read: Callable[[], tuple[Table, str]]


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


def _sine() -> tuple[Table, str]:
    table = sine_table()
    digest = hashlib.sha256(b"".join(table[name].tobytes() for name in table.columns))
    return table, digest.hexdigest()


BUNDLED: Mapping[str, Bundled] = {
    "yacht": Bundled(
        "UCI Yacht Hydrodynamics: residuary resistance of 308 hulls from 6 shape numbers",
        ("residuary_resistance",),
        _yacht,
    ),
    "sine": Bundled("500 points of y = sin(x) with Gaussian noise of sd 0.1", ("y",), _sine),
}
