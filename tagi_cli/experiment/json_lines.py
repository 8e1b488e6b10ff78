"""Predictions as JSON objects, one line for each example."""

from __future__ import annotations

import json
from typing import Any

from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.laws import Law

_FIELDS = ("mu", "sd_epistemic", "sd_noise", "sd", "lo_90", "hi_90")


def of(law: Law) -> str:
    """An object with `row`, and for each output its moments and 90 % interval, as in the CSV.

    Of classes `predicted`, `probability` by label, and `entropy` with its epistemic part.
    """
    rows = law.places.rows.tolist()
    if isinstance(law, ClassPredictions):
        guesses, shares = law.predicted.tolist(), law.mean.tolist()
        return _lines(
            {
                "row": row,
                "predicted": law.classes[guess],
                "probability": dict(zip(law.classes, share, strict=True)),
                "entropy": total,
                "entropy_epistemic": epistemic,
            }
            for row, guess, share, total, epistemic in zip(
                rows,
                guesses,
                shares,
                law.entropy.tolist(),
                law.entropy_epistemic.tolist(),
                strict=True,
            )
        )
    fields = [
        law.mean, law.sd_epistemic, law.sd_noise, law.sd, law.quantile(0.05), law.quantile(0.95),
    ]  # fmt: skip
    columns = zip(*(field.tolist() for field in fields), strict=True)
    return _lines(
        {"row": row}
        | {
            name: dict(zip(_FIELDS, moments, strict=True))
            for name, moments in zip(law.names, zip(*found, strict=True), strict=True)
        }
        for row, found in zip(rows, columns, strict=True)
    )


def _lines(objects: Any) -> str:
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in objects)
