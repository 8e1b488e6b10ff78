"""What a report shows of rows unlike those that were learnt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.experiment.out_of_distribution import NUMBERS, SCORES
from tagi_cli.experiment.report import markup
from tagi_cli.experiment.report.figures import ALARM, MODEL, draw, plain
from tagi_cli.experiment.report.images import Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = ("Entropy", "Epistemic part of the entropy")


def section(folder: RunFolder) -> Section:
    """The figures of what `tagi eval ood.path=...` found last; nothing where it was not asked."""
    path = folder.figures / NUMBERS
    if not path.is_file():
        return Section([], "")
    found = read_json(path)
    inside, outside = found["names"]
    n, m = found["rows"]
    figures = [
        draw(
            f"ood_{name}",
            title,
            f"{n:,} rows of {inside} and {m:,} of {outside}, which is unlike what was learnt. A "
            f"row of the second has the higher value in {100 * found[name]['auroc']:.1f} % of all "
            "pairs (the area under the ROC curve; 50 % is chance).",
            partial(_paint, found, name),
        )
        for name, title in zip(SCORES, _TITLES, strict=True)
    ]
    heading = f"<h2>Out of distribution: {markup.safe(outside)}</h2>"
    return Section(figures, heading + markup.gallery(figures))


def _paint(found: Mapping[str, Any], name: str, axes: Axes) -> None:
    one = found[name]
    edges = np.asarray(one["edges"])
    for side, label, colour in zip(
        ("inside", "outside"), found["names"], (MODEL, ALARM), strict=True
    ):
        shares = 100 * np.asarray(one[side])
        axes.stairs(shares, edges, color=colour, lw=1.4, label=plain(label, 24))
        axes.stairs(shares, edges, color=colour, fill=True, alpha=0.15)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("nats")
    axes.set_ylabel("% of rows")
    axes.legend(loc="upper right")
