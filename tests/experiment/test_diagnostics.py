"""The numbers behind the figures, counted again in the slow and obvious way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.report.diagnostics import (
    OUTPUTS_DRAWN,
    POINTS_DRAWN,
    ROWS_IN_BAND,
    diagnose,
)


def gaussian(n: int, outputs: int = 1, sd_ratio: float = 1.0) -> Predictions:
    """Predictions whose values have `sd_ratio` times the predicted standard deviation."""
    rng = np.random.default_rng(0)
    mu = rng.normal(size=(1, n, outputs))
    var = rng.uniform(0.5, 2, (1, n, outputs))
    y = mu[0] + sd_ratio * np.sqrt(var[0]) * rng.normal(size=(n, outputs))
    names = tuple(f"y{k}" for k in range(outputs))
    return Predictions(names, Places(np.arange(n)), y, mu, 0.25 * var, 0.75 * var)


def test_coverage_counts_the_values_inside_each_interval() -> None:
    made = gaussian(500, sd_ratio=1.3)
    assert made.y is not None
    (found,) = diagnose(made)
    for level, share in zip(*found["coverage"].values(), strict=True):
        low, high = made.quantile(0.5 - level / 2), made.quantile(0.5 + level / 2)
        assert share == pytest.approx(np.mean((made.y >= low) & (made.y <= high)), abs=1e-6)


def test_histograms_count_every_value_and_scatters_are_sampled() -> None:
    (found,) = diagnose(gaussian(5000))
    assert sum(found["pit"]["counts"]) == 5000
    assert sum(found["standardised"]["counts"]) == 5000
    assert len(found["scatter"]["y"]) == POINTS_DRAWN
    assert len(found["band"]["y"]) == ROWS_IN_BAND
    assert found["band"]["mu"] == sorted(found["band"]["mu"])
    assert found["observed"] == 5000


def test_epistemic_share_and_groups_by_spread() -> None:
    made = gaussian(1000)
    (found,) = diagnose(made)
    assert found["epistemic_share"] == pytest.approx(0.25)
    order = np.argsort(made.sd[:, 0])
    assert made.y is not None
    error = (made.y - made.mean)[:, 0]
    expected = [np.sqrt(np.mean(error[order[i : i + 100]] ** 2)) for i in range(0, 1000, 100)]
    np.testing.assert_allclose(found["spread"]["seen"], expected, rtol=1e-6)
    assert found["spread"]["rows"] == [100] * 10


def test_missing_values_take_no_part_and_empty_outputs_are_left_out() -> None:
    made = gaussian(50, outputs=2)
    assert made.y is not None
    made.y[:10, 0] = np.nan
    made.y[:, 1] = np.nan
    (found,) = diagnose(made)
    assert (found["name"], found["observed"]) == ("y0", 40)


def test_only_the_first_outputs_are_drawn() -> None:
    assert [d["name"] for d in diagnose(gaussian(20, outputs=9))] == [
        f"y{k}" for k in range(OUTPUTS_DRAWN)
    ]


def test_nothing_to_say_without_rows_or_targets() -> None:
    made = gaussian(4)
    assert diagnose(made.take(slice(0, 0))) == []
    bare = Predictions(made.names, made.places, None, made.mu, made.var_epistemic, made.var_noise)
    assert diagnose(bare) == []


@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_rows_and_certain_predictions_give_numbers(n: int) -> None:
    made = gaussian(n)
    zero = np.zeros_like(made.mu)
    for case in (made, Predictions(made.names, made.places, made.y, made.mu, zero, zero)):
        assert json.loads(json.dumps(diagnose(case), allow_nan=False))
