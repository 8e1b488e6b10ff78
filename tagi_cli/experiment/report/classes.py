"""What a report says about classes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from tagi_cli.experiment.report import class_figures, markup
from tagi_cli.experiment.report.account import Account, Numbers

# Calibration error of so many standard errors needs no remark, nor does one below this.
_ERRORS, _SMALL = 2.0, 0.02


def _verdict(split: str, metrics: Numbers, diagnoses: Sequence[Numbers]) -> str:
    """What is right, how sure the model was on average, and whether these differ by chance."""
    for one in diagnoses:
        bins = one["reliability"]
        rows = np.asarray(bins["rows"])
        n = int(rows.sum())
        sure = float(rows @ np.asarray(bins["confidence"])) / n
        right = float(rows @ np.asarray(bins["right"])) / n
        chance = _ERRORS * float(np.sqrt(sure * (1 - sure) / n))
        fits = abs(sure - right) <= max(chance, _SMALL)
        if fits:
            words = "as sure as it should be, within what chance allows"
        else:
            words = "too sure of itself" if sure > right else "not sure enough"
        common = max(one["table"], key=lambda row: row["rows"])
        base = 100 * common["rows"] / n
        line = (
            f"<b>{100 * right:.1f} %</b> of {n:,} {escape(split)} labels are predicted right, at a "
            f"mean probability of <b>{100 * sure:.1f} %</b>: the model is {words}. Always saying "
            f"{markup.code(common['label'])} would be right for {base:.1f} %."
        )
        return markup.verdict([line], alarm=not fits)
    return ""


def _tables(one: Numbers) -> str:
    """One row per class."""
    header = [
        "class", "labels", "predicted", "right", "precision", "recall", "F1", "mean probability",
    ]  # fmt: skip
    rows = [
        [
            markup.safe(row["label"]),
            markup.number(row["rows"]),
            markup.number(row["predicted"]),
            markup.number(row["right"]),
            _share(row["right"], row["predicted"]),
            _share(row["right"], row["rows"]),
            _share(2 * row["right"], row["rows"] + row["predicted"]),
            f"{100 * row['probability']:.1f} %",
        ]
        for row in one["table"]
    ]
    left = one["classes"] - len(rows)
    note = f'<p class="lead">{left} more classes with fewer rows.</p>' if left else ""
    return "<h3>Classes</h3>" + markup.table(header, rows) + note


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


ACCOUNT = Account(
    metrics={
        "error_rate": "error rate",
        "top_5_error_rate": "top-5 error rate",
        "nll": "NLL",
        "brier": "Brier score",
        "ece": "ECE",
        "entropy": "entropy",
        "entropy_epistemic": "epistemic part",
    },
    tiles={
        "error_rate": "error rate",
        "nll": "NLL per label",
        "brier": "Brier score",
        "ece": "calibration error",
    },
    shares=("error_rate", "top_5_error_rate", "ece"),
    note="Natural logarithms; means over observed labels; the Brier score is between 0 and 2; ECE, "
    "the expected calibration error, is the mean distance between probability and share of right "
    "predictions in 15 bins of the former; the entropy is that of predicted probabilities, and its "
    "epistemic part is due to what is not known of the networks.",
    verdict=_verdict,
    draw=class_figures.of_classes,
    heading=lambda one: "",
    tables=_tables,
)
