"""What is remarked of 90 % intervals that hold too few or too many of the test values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tagi_cli.experiment import laws, promise
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions


@pytest.mark.parametrize(
    ("inside", "n", "words"),
    [
        (45, 51, ""),
        (40, 51, "too narrow"),
        (51, 51, "too wide"),
        (868, 1000, "too narrow"),
        (932, 1000, "too wide"),
        (870_000, 1_000_000, ""),
    ],
)
def test_remarks_are_due_beyond_the_promise_and_chance(inside: int, n: int, words: str) -> None:
    assert promise.broken(inside / n, n) == words
    if words:
        assert binomtest(inside, n, 0.9).pvalue < 0.07
        assert not 0.87 <= inside / n <= 0.93


def law(spreads: list[float], n: int = 500) -> Predictions:
    """One network that predicts 0 with variance 1, of targets with these standard deviations."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n, len(spreads))) * spreads
    y[0] = np.nan
    names = tuple(f"y{k}" for k in range(len(spreads)))
    ones = np.ones((1, n, len(spreads)))
    return Predictions(names, Places(np.arange(n)), y, 0 * ones, ones / 4, 3 * ones / 4)


def said(spreads: list[float]) -> list[str]:
    made = law(spreads)
    return promise.remarks(made, laws.metrics(made))


def test_each_wrong_output_is_named() -> None:
    narrow, wide = said([2.0, 1.0, 0.2])
    assert narrow.startswith("the 90 % intervals of y0 hold")
    assert "too narrow" in narrow
    assert wide.startswith("the 90 % intervals of y2 hold 100.0 % of 499 test values: they are too")


def test_of_many_wrong_outputs_some_are_named() -> None:
    found = said([3.0] * 8)
    assert len(found) == 6
    assert found[-1] == "so are those of 3 other outputs"


def test_nothing_is_said_without_targets() -> None:
    assert promise.remarks(law([3.0]).without_targets(), {}) == []
