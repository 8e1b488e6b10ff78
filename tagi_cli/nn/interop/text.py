"""pytagi's CSV parameter files: `<prefix>_1_mw.csv`, `_2_Sw.csv`, `_3_mb.csv`, `_4_Sb.csv`.

One number per line, all layers one after the other, without a header: means and variances of the
weights, then of the biases. Written with 9 digits, which float32 needs, and with the layers inside
blocks. Running statistics have no place in these files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.nn.interop.known import check_known
from tagi_cli.nn.interop.naming import Leaf, parameterised
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.parameters import Host

_LARGEST = float(np.finfo(np.float32).max)

ENDINGS = ("_1_mw.csv", "_2_Sw.csv", "_3_mb.csv", "_4_Sb.csv")


def _paths(prefix: str | Path) -> list[Path]:
    return [Path(f"{prefix}{ending}") for ending in ENDINGS]


def _records(layer: Layer) -> list[Leaf]:
    found = list(parameterised(layer).values())
    for leaf in found:
        check_known(leaf)
    return found


def write_csv(layer: Layer, prefix: str | Path) -> None:
    """Write the parameters of a built network; folders on the way are made.

    Raises:
        UserError: a layer that pytagi does not have, or a file cannot be written.
    """
    entries = [leaf.entry() for leaf in _records(layer)]
    for path, arrays in zip(_paths(prefix), zip(*entries, strict=True), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, "".join(f"{x:.9g}\n" for array in arrays for x in array))


def read_csv(layer: Layer, prefix: str | Path) -> None:
    """Set the parameters of a built network from four files, or leave them all as they are.

    Raises:
        UserError: a layer that pytagi does not have; or a file cannot be read, holds something else
            than numbers, or more or fewer than the network has parameters.
    """
    own = _records(layer)
    entries = [leaf.entry() for leaf in own]
    columns: list[list[Host]] = []
    for part, path in enumerate(_paths(prefix)):
        sizes = [entry[part].size for entry in entries]
        values = _numbers(path)
        if values.size != sum(sizes):
            raise UserError(f"{path}: {values.size} numbers, the network needs {sum(sizes)}")
        columns.append(np.split(values, np.cumsum(sizes)[:-1]))
    rows = list(zip(*columns, strict=True))
    try:
        for leaf, row in zip(own, rows, strict=True):
            leaf.check(row)
    except ValueError as error:
        raise UserError(f"{prefix}: {error}") from None
    for leaf, row in zip(own, rows, strict=True):
        leaf.assign(row)


def _numbers(path: Path) -> Host:
    try:
        lines = path.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"{path}: cannot be read ({reason})") from None
    values = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                values.append(float(line))
            except ValueError:
                raise UserError(f"{path}, line {number}: found '{line[:40]}', no number") from None
            if abs(values[-1]) > _LARGEST:
                raise UserError(f"{path}, line {number}: found '{line[:40]}', beyond float32")
    return np.array(values, np.float32)
