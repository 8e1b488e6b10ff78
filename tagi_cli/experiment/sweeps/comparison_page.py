"""`tagi compare ... output=<file.html>`: the comparison as one page, in the style of the report."""

from __future__ import annotations

import csv
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tagi_cli import atomic
from tagi_cli.experiment.folder import RunFolder, from_here
from tagi_cli.experiment.report.figures import MODEL, MUTED, Figure, draw
from tagi_cli.experiment.report.markup import (
    code,
    document,
    escape,
    gallery,
    number,
    safe,
    table,
    verdict,
)
from tagi_cli.experiment.sweeps.compare import Cell, Comparison
from tagi_cli.training.history import SEARCH
from tagi_cli.version import __version__

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, CURVES = 500, 30
"""Runs in the table, and curves drawn, at most: the best ones."""


def write_page(found: Comparison, path: Path) -> None:
    """Write the page of a comparison: the best run, curves, the table with links to reports.

    Raises:
        UserError: the file cannot be written.
    """
    count = len(found.rows)
    sorted_by = f", sorted by {code(found.sorted_by)}" if count > 1 else ""
    body = [
        f"<header><h1>{count} run{'s' * (count != 1)}</h1>"
        f'<p class="lead">{_statuses(found)}{sorted_by}</p></header>',
        verdict(_best(found), alarm=False),
        verdict((safe(line) for line in (*found.notes, *found.failed)), alarm=True),
        _figures(found),
        "<h2>Runs</h2>",
        _runs(found, path),
        f"<footer>Written by tagi {escape(__version__)}</footer>",
    ]
    atomic.write_text(path, document(f"{count} runs", body))


def _statuses(found: Comparison) -> str:
    counts: dict[str, int] = {}
    for row in found.rows:
        counts[str(row[1])] = counts.get(str(row[1]), 0) + 1
    return ", ".join(f"{n:,} {safe(status)}" for status, n in counts.items())


def _best(found: Comparison) -> list[str]:
    """The run that ranks first, and how to train it again; nothing where none does."""
    if not found.ranked:
        return []
    value = found.rows[0][found.header.index(found.sorted_by)]
    options = {name: cell for name, cell in found.best_options().items() if cell is not None}
    own = " ".join(f"{name}={cell}" for name, cell in options.items())
    again = f"tagi train config={shlex.quote(from_here(found.best().config))}"
    return [
        f"{code(found.rows[0][0])} ranks first by {code(found.sorted_by)}, with "
        f"<b>{number(value)}</b>" + (f": {code(own)}" if own else ""),
        code(again),
    ]


def _figures(found: Comparison) -> str:
    drawn = [figure for figure in (_curves(found), found.figure()) if figure is not None]
    return f"<h2>Figures</h2>{gallery(drawn)}" if drawn else ""


def _curves(found: Comparison) -> Figure | None:
    """The metric of the order by epoch, for the best runs; None where it has no curve."""
    ranked = found.runs[: found.ranked]
    lines = [_curve(run, found.sorted_by) for run in ranked[:CURVES]]
    if not any(lines):
        return None

    def paint(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        for place, points in reversed(list(enumerate(lines))):
            look: dict[str, Any] = {"color": MUTED, "lw": 0.8, "alpha": 0.55}
            if not place:
                look = {"color": MODEL, "lw": 2.0, "label": "best run"}
            if len(points) == 1:
                look |= {"marker": "o"}
            axes.plot([epoch for epoch, _ in points], [value for _, value in points], **look)
        axes.set_xlabel("epoch")
        axes.set_ylabel(found.sorted_by)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
        axes.legend(loc="upper right")

    caption = f"{found.sorted_by} by epoch in the search for the best one, the run that ranks first"
    caption += " in colour."
    if len(ranked) > len(lines):
        caption += f" The best {len(lines)} of {len(ranked):,} completed runs are drawn."
    return draw("curves", f"{found.sorted_by} by epoch", caption, paint)


def _curve(run: RunFolder, metric: str) -> list[tuple[int, float]]:
    if not run.metrics_csv.is_file():
        return []
    with run.metrics_csv.open(newline="", encoding="utf-8") as file:
        return [
            (int(row["epoch"]), float(row[metric]))
            for row in csv.DictReader(file)
            if row.get("phase") == SEARCH and row.get(metric)
        ]


def _runs(found: Comparison, path: Path) -> str:
    rows = [
        [_link(row[0], run, path), *(_cell(cell) for cell in row[1:])]
        for row, run in zip(found.rows[:ROWS], found.runs, strict=False)
    ]
    some = ""
    if len(found.rows) > ROWS:
        some = f'<p class="lead">The first {ROWS} of {len(found.rows):,} runs; output=&lt;file.csv'
        some += "&gt; has all of them.</p>"
    return table([str(name) for name in found.header], rows, text=2) + some


def _link(label: Cell, run: RunFolder, page: Path) -> str:
    if not run.report.is_file():
        return safe(label)
    place = os.path.relpath(run.report, page.resolve().parent)
    return f'<a href="{escape(quote(place), quote=True)}">{safe(label)}</a>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    return safe(number(cell))
