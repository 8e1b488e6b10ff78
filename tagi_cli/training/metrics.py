"""How good the predictions of real numbers are: accuracy, sharpness and calibration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.training import mixture
from tagi_cli.training.mixture import Floats

COVERAGES = (50, 90, 95)
"""Levels, in per cent, of the central intervals whose coverage is reported."""

_VALUES_PER_BLOCK = 131_072

_SUMS = ("se", "ae", "nll", "crps", "width_90")


def regression_metrics(
    y: NDArray[Any], mu: NDArray[Any], var: NDArray[Any], names: Sequence[str]
) -> dict[str, Any]:
    """Metrics of n predictions of K outputs by an equal mixture of M Gaussians.

    Args:
        y: `(n, K)` observed values, NaN where missing; missing values take no part.
        mu: `(M, n, K)` means, in the units of `y`.
        var: `(M, n, K)` predictive variances (epistemic and noise), in squared units of `y`.
        names: the K outputs.

    Returns:
        `rmse`, `mae` (of the mixture's mean), `r2` (1 - residual / total sum of squares, each
        output about its own mean), `nll` (negative log density, nats), `crps`, `coverage_50/90/95`
        (share of values inside the central interval of that level), `width_90` (mean width of the
        90 % interval) and `pit_error` (see `pit_error`): means over all observed values; and
        `components`, the same for each output by name. Without an observed value they are NaN.

    Raises:
        ValueError: the shapes do not fit together.
    """
    if mu.ndim != 3 or mu.shape != var.shape or mu.shape[1:] != y.shape or mu.shape[0] == 0:
        raise ValueError(f"mu {mu.shape} and var {var.shape} must be (M, *y.shape), y is {y.shape}")
    if len(names) != y.shape[1]:
        raise ValueError(f"{len(names)} names for {y.shape[1]} outputs")
    outputs = [_sums(y[:, k], mu[:, :, k], var[:, :, k]) for k in range(y.shape[1])]
    sums = {key: sum(one[0][key] for one in outputs) for key in outputs[0][0]} if outputs else {}
    pits = np.concatenate([pit for _, pit in outputs]) if outputs else np.empty(0)
    parts = {name: _means(*one) for name, one in zip(names, outputs, strict=True)}
    return {**_means(sums, pits), "components": parts}


def pit_error(pit: Floats) -> float:
    """Calibration error: mean distance between the distribution of `pit` and the uniform one.

    `pit (n,)` are the values of the predictive distribution functions at the observations. Were
    the predictions the true laws, they would be uniform on (0, 1) (Gneiting, Balabdaoui & Raftery
    2007, J. R. Statist. Soc. B 69, 243-268). The result is the area between their empirical
    distribution function, which is the calibration curve of Kuleshov, Fenner & Ermon (2018, ICML),
    and the diagonal: 0 is perfect, 1/2 the worst. n calibrated predictions give about
    `0.31 / sqrt(n)`. NaN for n = 0.
    """
    if not len(pit):
        return math.nan
    edges = np.concatenate([[0.0], np.sort(pit), [1.0]])
    total = 0.0
    for block in _blocks(len(pit) + 1, 1):
        level = np.arange(block.start, block.stop) / len(pit)
        # The integral of |p - level| between two edges; its antiderivative is
        # (p - level)|p - level|/2.
        above, below = edges[block.start + 1 : block.stop + 1] - level, edges[block] - level
        total += float(np.sum(above * np.abs(above) - below * np.abs(below)))
    return total / 2


def _sums(y: NDArray[Any], mu: NDArray[Any], var: NDArray[Any]) -> tuple[dict[str, float], Floats]:
    """Sums over the observed values of one output, and their PIT values."""
    known = np.flatnonzero(~np.isnan(y))
    pit = np.empty(len(known))
    blocks: dict[str, list[float]] = {key: [] for key in _SUMS}
    for block in _blocks(len(known), len(mu)):
        rows = known[block]
        y_b, mu_b, var_b = (np.asarray(a, np.float64) for a in (y[rows], mu[:, rows], var[:, rows]))
        error = y_b - mixture.mean(mu_b)
        width = mixture.quantile(0.95, mu_b, var_b) - mixture.quantile(0.05, mu_b, var_b)
        pit[block] = mixture.cdf(y_b, mu_b, var_b)
        blocks["se"].append(float(error @ error))
        blocks["ae"].append(float(np.abs(error).sum()))
        blocks["nll"].append(-float(mixture.log_density(y_b, mu_b, var_b).sum()))
        blocks["crps"].append(float(mixture.crps(y_b, mu_b, var_b).sum()))
        blocks["width_90"].append(float(width.sum()))
    sums = {key: sum(values) for key, values in blocks.items()}
    observed = np.asarray(y[known], np.float64)
    sums["total"] = float(np.sum((observed - observed.mean()) ** 2)) if len(known) else 0.0
    return sums, pit


def _blocks(n: int, members: int) -> Iterator[slice]:
    """Slices of so few rows that the arrays of a block stay in the megabytes."""
    rows = max(1, _VALUES_PER_BLOCK // members)
    return (slice(begin, min(begin + rows, n)) for begin in range(0, n, rows))


def _means(sums: dict[str, float], pit: Floats) -> dict[str, float]:
    n = len(pit)
    if n == 0:
        sums = dict.fromkeys((*_SUMS, "total"), math.nan)
    per_value = {key: value / max(n, 1) for key, value in sums.items()}
    distance = np.abs(pit - 0.5)
    return {
        "rmse": math.sqrt(per_value["se"]),
        "mae": per_value["ae"],
        "r2": 1 - sums["se"] / sums["total"] if sums["total"] > 0 else math.nan,
        "nll": per_value["nll"],
        "crps": per_value["crps"],
        **{
            f"coverage_{level}": float(np.mean(distance <= level / 200)) if n else math.nan
            for level in COVERAGES
        },
        "width_90": per_value["width_90"],
        "pit_error": pit_error(pit),
    }
