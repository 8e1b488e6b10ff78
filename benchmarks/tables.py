"""The tables of docs/performance.md, made from the tracked results.

python benchmarks/tables.py

A table stands between its marks, `<!-- name -->` and `<!-- end -->`. Each benchmark brings the page
up to date when it has kept its results; a test tells when they disagree.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from typing import Any

import ablation_tables
import accuracy_tables
import image_tables
import series_tables
import speed_tables
from machine import RESULTS, ROOT

PAGE = ROOT / "docs" / "performance.md"
MARK = re.compile(r"(<!-- ([\w ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

WRITERS: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {
    "uci": accuracy_tables.uci,
    "ablations": ablation_tables.ablations,
    "mnist": image_tables.mnist,
    "series": series_tables.series,
    "latent": accuracy_tables.latent,
    "speed": speed_tables.speed,
}
"""By the name of the results, what makes tables of them, by the names of their marks."""


def made() -> dict[str, str]:
    """All tables that there are results for, by the names of their marks."""
    tables: dict[str, str] = {}
    for name, writer in WRITERS.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            tables |= writer(json.loads(path.read_text()))
    return tables


def fill(page: str, tables: dict[str, str]) -> str:
    """The page with its tables.

    Raises:
        ValueError: a table has no marks, or several; marks have no table.
    """
    marks = [name for _, name, _, _ in MARK.findall(page)]
    for name in {*marks, *tables}:
        if marks.count(name) != 1 or name not in tables:
            raise ValueError(f"'{name}': {marks.count(name)} marks, {name in tables:d} tables")
    return MARK.sub(lambda match: match[1] + tables[match[2]] + match[4], page)


def refresh() -> None:
    """Bring the page up to date with the results."""
    PAGE.write_text(fill(PAGE.read_text(), made()))


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    refresh()
