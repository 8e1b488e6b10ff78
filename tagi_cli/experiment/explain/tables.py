"""An explanation as CSV files, and as the numbers behind its figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic
from tagi_cli.experiment.explain.explanation import Explanation
from tagi_cli.experiment.places import cell

SENSITIVITIES, CONTRIBUTIONS, ROWS = "sensitivities.csv", "contributions.csv", "rows.csv"
"""Files of an explanation: means over rows of features and of columns; each row."""

Floats = NDArray[np.float64]


def sensitivities_csv(found: Explanation) -> str:
    """A line per output, lag and feature: means over the rows.

    `derivative` and `sd` in units of the output per unit of the column (of a category, of being
    one), `standardised` and `standardised_sd` in scaled units, `mean_abs` the mean absolute
    standardised derivative. A standard deviation of a mean is the mean of those of the rows, which
    it is where all rows share what is not known, and never less.
    """
    features = found.features
    columns = ["component", *_step_header(found), "column", "category", *_lag_header(found)]
    columns += ["derivative", "sd", "standardised", "standardised_sd", "mean_abs"]
    with np.errstate(invalid="ignore"):
        means = [
            values.mean(axis=0)
            for values in (
                found.derivative, found.derivative_sd, found.slope, found.slope_sd,
                np.abs(found.slope),
            )
        ]  # fmt: skip
    lines = [",".join(columns)]
    F = len(features.column)
    for k in range(found.slope.shape[1]):
        for i in range(found.slope.shape[2]):
            step, feature = divmod(i, F)
            head = [cell(_component(found, k)), *_step(found, k)]
            head += [cell(features.columns[features.column[feature]])]
            head += [cell(features.categories[feature])]
            head += [] if features.lags is None else [str(features.lags[step])]
            lines.append(",".join([*head, *(_number(mean[k, i]) for mean in means)]))
    return "\n".join(lines) + "\n"


def contributions_csv(found: Explanation) -> str:
    """A line per output, lag and column: `share` of the variance that it explains, to first order;
    `mean_abs` and `sd` of its contributions over the rows, in units of the output.
    """
    features, share = found.features, found.share
    mean_abs = np.abs(found.contribution).mean(axis=0)
    sd = found.contribution.std(axis=0)
    columns = ["component", *_step_header(found), "column", *_lag_header(found)]
    lines = [",".join([*columns, "share", "mean_abs", "sd"])]
    for k in range(share.shape[0]):
        for step in range(features.steps):
            for c, name in enumerate(features.columns):
                head = [cell(_component(found, k)), *_step(found, k), cell(name)]
                head += [] if features.lags is None else [str(features.lags[step])]
                values = (share[k, step, c], mean_abs[k, step, c], sd[k, step, c])
                lines.append(",".join([*head, *map(_number, values)]))
    return "\n".join(lines) + "\n"


def rows_csv(found: Explanation) -> str:
    """A line per row and output: prediction, baseline, what each column adds, and the remainder.

    Of windows, what a column adds at all lags together.
    """
    features = found.features
    columns = [*found.places.columns, *_step_header(found), "component", "mu", "baseline"]
    columns += [cell(f"from_{name}") for name in features.columns]
    lines = [",".join([*columns, "remainder"])]
    added, remainder = found.contribution.sum(axis=2), found.remainder
    places = found.places.cells()
    for row, place in enumerate(places):
        for k in range(found.slope.shape[1]):
            head = [place, *_step(found, k), cell(_component(found, k))]
            values = [found.prediction[row, k], found.baseline[row, k], *added[row, k]]
            lines.append(",".join([*head, *map(_number, values), _number(remainder[row, k])]))
    return "\n".join(lines) + "\n"


def write(folder: Path, found: Explanation) -> list[Path]:
    """Write the tables.

    Raises:
        UserError: a file cannot be written.
    """
    texts = {
        SENSITIVITIES: sensitivities_csv(found),
        CONTRIBUTIONS: contributions_csv(found),
        ROWS: rows_csv(found),
    }
    for name, text in texts.items():
        atomic.write_text(folder / name, text)
    return [folder / name for name in texts]


def numbers_of(found: Explanation, of: str) -> dict[str, Any]:
    """JSON-able numbers for the figures: per output the features and columns, means over rows.

    Args:
        found: the explanation.
        of: what the rows are, in words.
    """
    features = found.features
    F, T = len(features.column), features.steps
    slope, sd = found.slope.mean(axis=0), found.slope_sd.mean(axis=0)
    mean_abs = np.abs(found.contribution).mean(axis=0)
    return {
        "of": of,
        "rows": len(found.places),
        "method": found.method,
        "odds": found.odds,
        "lags": None if features.lags is None else list(features.lags),
        "features": [features.label(feature) for feature in range(F)],
        "columns": list(features.columns),
        "outputs": [
            {
                "name": _title(found, k),
                "slope": slope[k].reshape(T, F).tolist(),
                "sd": [[_known(v) for v in row] for row in sd[k].reshape(T, F).tolist()],
                "share": found.share[k].tolist(),
                "mean_abs": mean_abs[k].tolist(),
            }
            for k in range(slope.shape[0])
        ],
    }


def _component(found: Explanation, k: int) -> str:
    return found.names[k % len(found.names)]


def _title(found: Explanation, k: int) -> str:
    name, step = _component(found, k), found.steps[k // len(found.names)]
    return name if len(found.steps) == 1 else f"{name}, step {step}"


def _step_header(found: Explanation) -> list[str]:
    return ["step"] if found.features.lags is not None else []


def _step(found: Explanation, k: int) -> list[str]:
    if found.features.lags is None:
        return []
    return [str(found.steps[k // len(found.names)])]


def _lag_header(found: Explanation) -> list[str]:
    return ["lag"] if found.features.lags is not None else []


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.7g}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
