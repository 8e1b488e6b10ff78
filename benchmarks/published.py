"""What others published, or reach with their own tools.

On the standard UCI splits, one hidden layer of 50 ReLU units (100 on protein): RMSE and mean
log-likelihood of a test row, both in original units, means over the splits. On MNIST pytagi's test
errors.
"""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """A method on a set; None where the source has no figure, or rounds it to nothing."""

    rmse: float | None
    ll: float | None


SOURCES = {
    "TAGI": "Goulet, Nguyen & Amiri, JMLR 22 (2021), the authors' stored results; hand-set sigma_v",
    "TAGI-V": "Deka, Nguyen & Goulet, Neurocomputing (2024), the authors' stored results",
    "PBP": "Hernandez-Lobato & Adams, ICML 2015, table 1",
    "PBP 400": "after 400 epochs instead of 40, run by the authors of TAGI-V",
    "MC dropout": "Gal & Ghahramani, results kept with their code: 400 epochs, grid search",
    "ensembles": "Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017, table 1",
    "ensembles 400": "after 400 epochs, run by the authors of TAGI-V",
    "DVI": "Wu et al., ICLR 2019, after 400 epochs, run by the authors of TAGI-V",
    "VMG": "Louizos & Welling, ICML 2016, table 1",
    "HMC": "Bui et al., ICML 2016: Monte Carlo on the same network, likelihoods alone",
}

_SETS = (
    *("bostonHousing", "concrete", "energy", "kin8nm", "naval-propulsion-plant", "power-plant"),
    *("protein-tertiary-structure", "wine-quality-red", "yacht"),
)

# RMSE, then log-likelihood, of each of _SETS.
# fmt: off
_METHODS: dict[str, tuple[tuple[float | None, ...], tuple[float | None, ...]]] = {
    "TAGI": (
        (3.017, 5.837, 1.545, 0.1039, 0.0063, 4.144, 4.645, 0.631, 0.862),
        (-2.562, -3.189, -1.869, 0.844, 3.646, -2.842, -2.955, -0.961, -1.302),
    ),
    "TAGI-V": (
        (2.993, 6.114, 1.912, None, 0.0058, None, None, None, None),
        (-2.484, -4.158, -1.522, None, 3.749, None, None, None, None),
    ),
    "PBP": (
        (3.014, 5.667, 1.804, 0.098, 0.006, 4.124, 4.732, 0.635, 1.015),
        (-2.574, -3.161, -2.042, 0.896, 3.731, -2.837, -2.973, -0.968, -1.634),
    ),
    "PBP 400": (
        (2.84, 5.40, 1.29, 0.0910, 0.0049, 4.07, 4.61, 0.633, 0.705),
        (-2.695, -3.140, -1.69, 0.978, 3.89, -2.824, -2.947, -0.979, -1.11),
    ),
    "MC dropout": (
        (2.90, 4.82, 0.54, 0.08, None, 4.01, 4.27, 0.62, 0.67),
        (-2.40, -2.93, -1.21, 1.14, 4.45, -2.80, -2.87, -0.93, -1.25),
    ),
    "ensembles": (
        (3.28, 6.03, 2.09, 0.09, None, 4.11, 4.71, 0.64, 1.58),
        (-2.41, -3.06, -1.38, 1.20, 5.63, -2.79, -2.83, -0.94, -1.18),
    ),
    "ensembles 400": (
        (3.34, 5.46, 1.90, 0.076, 0.0016, 4.02, 4.47, 0.617, 3.20),
        (-2.70, -3.01, -1.92, 1.237, 3.66, -2.793, -2.832, -0.919, -2.53),
    ),
    "DVI": (
        (3.86, 6.40, 2.27, 0.085, 0.0006, 4.09, 4.58, 0.634, 3.46),
        (-2.70, None, -4.84, 1.16, 5.59, -2.810, -2.838, -0.932, -22.8),
    ),
    "VMG": (
        (2.70, 4.89, 0.54, 0.08, None, 4.04, 4.13, 0.63, 0.71),
        (-2.46, -3.01, -1.06, 1.10, 2.46, -2.82, -2.84, -0.95, -1.30),
    ),
    "HMC": (
        (None,) * len(_SETS),
        (-2.27, -2.72, -0.93, 1.35, 7.31, -2.70, -2.77, -0.91, -1.62),
    ),
}
# fmt: on

PUBLISHED: dict[str, dict[str, Result]] = {
    name: {method: Result(rmse[i], ll[i]) for method, (rmse, ll) in _METHODS.items()}
    for i, name in enumerate(_SETS)
}


def best(name: str) -> tuple[str, str]:
    """Which method has the lowest RMSE and which the highest log-likelihood on a set."""
    found = PUBLISHED[name]
    rmse = {method: result.rmse for method, result in found.items() if result.rmse is not None}
    ll = {method: result.ll for method, result in found.items() if result.ll is not None}
    return min(rmse, key=rmse.__getitem__), max(ll, key=ll.__getitem__)


# Observation noise of the TAGI paper, a standard deviation in standardised units: its "hand-set".
SIGMA_V = {
    "bostonHousing": 0.32,
    "concrete": 0.33,
    "energy": 0.15,
    "kin8nm": 0.35,
    "naval-propulsion-plant": 0.31,
    "power-plant": 0.24,
    "protein-tertiary-structure": 0.72,
    "wine-quality-red": 0.75,
    "yacht": 0.063,
}


class Images(NamedTuple):
    """Test error of a network of images, and seconds per epoch of 60,000; None where not told."""

    error_rate: float | None
    nll: float | None
    seconds_per_epoch: float | None
    source: str


_HERE = "pytagi 0.2.1 on two cores of an AMD EPYC, B=64, hierarchical softmax, one seed"

# By the names of the tasks of mnist.py.
MNIST: dict[str, dict[str, Images]] = {
    "fnn_3": {"pytagi": Images(0.0296, 0.115, 18.3, f"{_HERE}, sigma_v .05, MixtureReLU")},
    "cnn_5": {"pytagi": Images(0.0085, None, 12.7, "tutorial of cuTAGI, on a GPU")},
    "small_cnn_1": {"pytagi": Images(None, None, 370.0, f"{_HERE}, ReLU, from 10,000 images")},
}

# MASE, ND and p90 of the last 48 hours of M4-hourly.
M4_HOURLY = {
    "TAGI-LSTM with state-space models (Vuong et al., Int. J. Forecasting 41, 2025)": {
        "mase": 0.925,
        "nd": 0.0424,
        "p90": 0.0212,
    },
}

# RMSE, log-likelihood and seconds of pytagi 0.2.1's time series example, three seeds, AMD EPYC.
SINE = ("0.263 to 0.375", "-1.02 to -0.991", "0.84")
