"""Tables of series that tests write and load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data import DataOptions, Dataset, load

Columns = dict[str, list[Any]]

CHUNKS: dict[str, Any] = {"in_chunk": (-3, 0), "out_chunk": (1, 2)}
NAMED: dict[str, Any] = {"instance": "who", "time": "when", "out_components": ("y",)}


def days(*lengths: int, seed: int = 0, skipped: int = 6) -> Columns:
    """A table of subjects day by day, of which one day is not there; shuffled."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, length in enumerate(lengths):
        for day in range(length):
            if day != skipped:
                values = rng.normal(10 * number, 2, 2)
                when = str(np.datetime64("2024-03-01") + day)
                rows.append((f"s{number}", when, *values.tolist()))
    rng.shuffle(rows)  # type: ignore[arg-type]
    return dict(zip(("who", "when", "a", "y"), map(list, zip(*rows, strict=True)), strict=True))


def write(folder: Path, columns: Columns, name: str = "t.csv") -> Path:
    lines = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(path: Path, notices: list[str] | None = None, **options: Any) -> Dataset:
    purpose = {
        key: options.pop(key)
        for key in ("horizon", "season", "variable_length", "classify", "dtype")
        if key in options
    }
    made = DataOptions(path=str(path), **(NAMED | CHUNKS | options))
    return load(made, notices=notices, **purpose)


def by_day(columns: Columns) -> dict[tuple[str, str], int]:
    return {key: i for i, key in enumerate(zip(columns["who"], columns["when"], strict=True))}


def later(when: str, count: int) -> str:
    return str(np.datetime64(when) + count)


def slice_around(at: dict[tuple[str, str], int], who: str, when: str) -> list[str]:
    first, last = when, when
    while (who, later(first, -1)) in at:
        first = later(first, -1)
    while (who, later(last, 1)) in at:
        last = later(last, 1)
    count = int((np.datetime64(last) - np.datetime64(first)).astype(int)) + 1
    return [later(first, k) for k in range(count)]
