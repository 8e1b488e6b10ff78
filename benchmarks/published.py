"""What others published, or reach with their own tools.

On the standard UCI splits, one hidden layer of 50 ReLU units (100 on protein): RMSE and mean
log-likelihood of a test row, both in original units, means over the splits. On MNIST pytagi's test
errors.
"""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """One method on one set; no RMSE where the source rounds it to nothing."""

    rmse: float | None
    ll: float


SOURCES = {
    "TAGI": "Goulet, Nguyen & Amiri, JMLR 22 (2021), the authors' stored results; hand-set sigma_v",
    "PBP": "Hernandez-Lobato & Adams, ICML 2015, table 1",
    "MC dropout": "Gal & Ghahramani, results kept with their code: 400 epochs, grid search",
    "deep ensembles": "Lakshminarayanan, Pritzel & Blundell, NeurIPS 2017, table 1",
}

PUBLISHED: dict[str, dict[str, Result]] = {
    "bostonHousing": {
        "TAGI": Result(3.017, -2.562),
        "PBP": Result(3.014, -2.574),
        "MC dropout": Result(2.90, -2.40),
        "deep ensembles": Result(3.28, -2.41),
    },
    "concrete": {
        "TAGI": Result(5.837, -3.189),
        "PBP": Result(5.667, -3.161),
        "MC dropout": Result(4.82, -2.93),
        "deep ensembles": Result(6.03, -3.06),
    },
    "energy": {
        "TAGI": Result(1.545, -1.869),
        "PBP": Result(1.804, -2.042),
        "MC dropout": Result(0.54, -1.21),
        "deep ensembles": Result(2.09, -1.38),
    },
    "kin8nm": {
        "TAGI": Result(0.1039, 0.844),
        "PBP": Result(0.098, 0.896),
        "MC dropout": Result(0.08, 1.14),
        "deep ensembles": Result(0.09, 1.20),
    },
    "naval-propulsion-plant": {
        "TAGI": Result(0.0063, 3.646),
        "PBP": Result(0.006, 3.731),
        "MC dropout": Result(None, 4.45),
        "deep ensembles": Result(None, 5.63),
    },
    "power-plant": {
        "TAGI": Result(4.144, -2.842),
        "PBP": Result(4.124, -2.837),
        "MC dropout": Result(4.01, -2.80),
        "deep ensembles": Result(4.11, -2.79),
    },
    "protein-tertiary-structure": {
        "TAGI": Result(4.645, -2.955),
        "PBP": Result(4.732, -2.973),
        "MC dropout": Result(4.27, -2.87),
        "deep ensembles": Result(4.71, -2.83),
    },
    "wine-quality-red": {
        "TAGI": Result(0.631, -0.961),
        "PBP": Result(0.635, -0.968),
        "MC dropout": Result(0.62, -0.93),
        "deep ensembles": Result(0.64, -0.94),
    },
    "yacht": {
        "TAGI": Result(0.862, -1.302),
        "PBP": Result(1.015, -1.634),
        "MC dropout": Result(0.67, -1.25),
        "deep ensembles": Result(1.58, -1.18),
    },
}

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
