"""The figures of a classification, drawn from the numbers in figures/data.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom

from tagi_cli.experiment.report.figures import (
    ALARM,
    BAND,
    GRID,
    INK,
    INNER,
    MODEL,
    MUTED,
    PAPER,
    Figure,
    draw,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Counts and names are written into a matrix of at most so many classes.
_WRITTEN = 12


def of_classes(stem: str, numbers: Mapping[str, Any]) -> list[Figure]:
    """Four figures, from `class_diagnostics.diagnose`; `stem` begins their names."""
    drawn, n = len(numbers["confusion"]), numbers["observed"]
    some = (
        f" The {drawn} classes with the most rows are drawn." if drawn < numbers["classes"] else ""
    )
    parts: list[tuple[str, str, str, Callable[[Mapping[str, Any], Axes], None]]] = [
        (
            "confusion",
            "Confusion matrix",
            "Rows by their label and by the class predicted. The shade is the share of the label; "
            f"on the diagonal predictions are right.{some}",
            _paint_confusion,
        ),
        (
            "reliability",
            "Reliability",
            f"{n:,} rows in groups by the probability of their predicted class: the share of right "
            "ones should follow the diagonal. The shaded zones hold 95 % of what chance alone "
            "would give. Below them the model is too sure, above them not sure enough.",
            _paint_reliability,
        ),
        (
            "confidence",
            "Confidence",
            "How sure the model is of the class it predicts, where that is right and where not.",
            _paint_confidence,
        ),
    ]
    if "entropy" in numbers:  # not in runs of earlier versions
        found = numbers["entropy"]
        share = 100 * found["epistemic"] / found["total"] if found["total"] > 0 else 0.0
        parts.append(
            (
                "entropy",
                "Errors by entropy",
                "Error rate of the rows that the model is least unsure of: of all rows at the "
                "right end, of the few surest at the left. The mean entropy is "
                f"{found['total']:.3g} nats, of which {share:.0f} % are epistemic: more data would "
                "take them away.",
                _paint_entropy,
            )
        )
    return [
        draw(f"{stem}_{part}", title, caption, partial(paint, numbers))
        for part, title, caption, paint in parts
    ]


def _paint_confusion(numbers: Mapping[str, Any], axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    counts = np.asarray(numbers["confusion"])
    K = len(counts)
    share = counts / np.maximum(np.array([row["rows"] for row in numbers["table"]]), 1)[:, None]
    axes.set_facecolor(PAPER)
    axes.grid(visible=False)
    for (i, k), part in np.ndenumerate(share):
        if counts[i, k]:
            colour = MODEL if i == k else ALARM
            axes.add_patch(
                Rectangle((k - 0.5, i - 0.5), 1, 1, facecolor=colour, alpha=0.08 + 0.72 * part)
            )
            if K <= _WRITTEN:
                axes.text(k, i, f"{counts[i, k]:,}", ha="center", va="center", color=INK)
    axes.set_xlim(-0.5, K - 0.5)
    axes.set_ylim(K - 0.5, -0.5)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    names = [plain(row["label"], 10) for row in numbers["table"]]
    if K <= _WRITTEN:
        turned = sum(map(len, names)) > 36
        axes.set_xticks(
            range(K), names, rotation=35 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_yticks(range(K), names)
    else:
        axes.set_xticks([])
        axes.set_yticks([])


def _paint_reliability(numbers: Mapping[str, Any], axes: Axes) -> None:
    bins = {key: np.asarray(values) for key, values in numbers["reliability"].items()}
    full = bins["rows"] > 0
    rows, sure, right = (bins[key][full] for key in ("rows", "confidence", "right"))
    low, high = (binom.ppf(p, rows, sure) / rows for p in (0.025, 0.975))
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1.0)
    axes.vlines(sure, low, high, color=BAND, lw=7)
    inside = (right >= low - 1e-9) & (right <= high + 1e-9)
    axes.plot(sure, right, color=MODEL, lw=1.0, alpha=0.5)
    axes.plot(sure[inside], right[inside], "o", ms=4.5, color=MODEL, mew=0)
    axes.plot(sure[~inside], right[~inside], "D", ms=4.5, color=ALARM, mew=0)
    axes.set_xlim(min(float(sure.min()) - 0.05, 0.45), 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("share that is right")


def _paint_confidence(numbers: Mapping[str, Any], axes: Axes) -> None:
    found = numbers["confidence"]
    edges, right, wrong = (np.asarray(found[key]) for key in ("edges", "right", "wrong"))
    first = int(np.argmax(right + wrong > 0))
    look: dict[str, Any] = {"align": "edge", "ec": PAPER}
    axes.bar(edges[:-1], right, np.diff(edges), color=INNER, label="right", **look)
    axes.bar(edges[:-1], wrong, np.diff(edges), bottom=right, color=ALARM, label="wrong", **look)
    axes.set_xlim(edges[first], 1)
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("rows")
    axes.grid(visible=False, axis="x")
    axes.spines["bottom"].set_color(GRID)
    axes.legend(loc="upper left")


def _paint_entropy(numbers: Mapping[str, Any], axes: Axes) -> None:
    found = numbers["entropy"]
    kept = 100 * np.asarray(found["kept"])
    for key, label, colour, line in (
        ("by_entropy", "least entropy", MODEL, "-"),
        ("by_epistemic", "least epistemic part", MUTED, "--"),
    ):
        axes.plot(kept, 100 * np.asarray(found[key]), label=label, color=colour, ls=line)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("rows kept, %")
    axes.set_ylabel("error rate, %")
    axes.legend(loc="upper left")
