"""What is drawn of smoothed series."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from tagi_cli import atomic
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.smoothing import figures as smoothing_figures
from tagi_cli.experiment.smoothing.figures import POINTS_DRAWN, drawn_series, missing_stretches


def law(index: Any, y: Any, *, steps: int = 1, names: tuple[str, ...] = ("y",), **more: Any) -> Any:
    """One network that says the number of the value, with unit variance in all."""
    y = np.asarray(y, float).reshape(len(index), -1)
    mu = np.arange(y.size, dtype=float).reshape(1, *y.shape)
    rows = np.arange(len(index))
    series = tuple("abcdefg"[: int(np.max(np.asarray(index)[:, 0])) + 1])
    places = Places(rows, np.asarray(index), more.pop("time", None), series)
    half = np.full_like(mu, 0.5)
    return Predictions(names, places, y, mu, half, half, tuple(range(steps)), **more)


def test_the_numbers_are_those_of_the_law() -> None:
    index = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    time = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-01"], "datetime64[us]")
    one, other = drawn_series(law(index, [1.5, np.nan, 2.5, 3.5], time=time))
    assert (one["name"], one["series"], one["rows"]) == ("y", "a", 3)
    # A series that is cut has a row of nulls between its slices.
    assert one["y"] == [1.5, None, None, 2.5]
    assert one["mu"] == [0, 1, None, 2]
    assert [t[:10] for t in one["time"]] == ["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-05"]
    assert other["mu"] == [3]
    assert other["sd_epistemic"] == other["sd_noise"] == [pytest.approx(0.5**0.5)]
    for key, probability in (("lo_90", 0.05), ("lo_50", 0.25), ("hi_50", 0.75), ("hi_90", 0.95)):
        assert other[key] == [pytest.approx(3 + norm.ppf(probability), rel=1e-5)]


def test_each_row_is_drawn_once_where_windows_overlap_or_end_early() -> None:
    overlapping = law([(0, 0, 0), (0, 0, 1)], [[0, 1, 2], [3, 4, 5]], steps=3)
    (one,) = drawn_series(overlapping)
    # Place 1 and 2 are predicted twice; the least step counts.
    assert (one["time"], one["mu"], one["rows"]) == ([0, 1, 2, 3], [0, 3, 4, 5], 4)
    segments = law([(0, 0, 0), (0, 0, 2)], [[0, 1], [2, np.nan]], steps=2, lengths=np.array([2, 1]))
    assert drawn_series(segments)[0]["mu"] == [0, 1, 2]


def test_of_many_outputs_and_series_the_first_are_drawn() -> None:
    index = [(code, 0, 0) for code in range(6)]
    names = ("u", "v", "w", "x")
    found = drawn_series(law(index, np.zeros((6, 4)), names=names))
    assert [(one["series"], one["name"]) for one in found] == [
        (series, name) for series in "abcd" for name in "uvw"
    ]


@pytest.mark.parametrize(
    ("gap", "first"), [((1500, 1600), 1250), ((0, 50), 0), ((1980, 2000), 1400)]
)
def test_of_a_long_series_what_is_missing_is_drawn(gap: tuple[int, int], first: int) -> None:
    y = np.zeros(2000)
    y[slice(*gap)] = y[700:710] = np.nan
    (one,) = drawn_series(law([(0, 0, k) for k in range(2000)], y))
    assert one["rows"] == 2000
    assert one["time"] == list(range(first, first + POINTS_DRAWN))
    complete = law([(0, 0, k) for k in range(2000)], np.zeros(2000))
    assert drawn_series(complete)[0]["time"] == list(range(1400, 2000))


@given(st.lists(st.booleans()))
def test_missing_stretches_are_the_runs(missing: list[bool]) -> None:
    found = missing_stretches(np.array(missing, bool))
    rebuilt = [False] * len(missing)
    for begin, end in found:
        assert begin < end
        rebuilt[begin:end] = [True] * (end - begin)
    assert rebuilt == missing
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(found))


@pytest.mark.parametrize("dates", [True, False])
def test_the_section_of_the_report(tmp_path: Path, *, dates: bool) -> None:
    folder = RunFolder(tmp_path)
    folder.figures.mkdir()
    assert smoothing_figures.section(folder) == ([], "")
    time = np.datetime64("2024-01-01", "us") + 10**6 * np.arange(4)
    series = drawn_series(
        law([(0, 0, k) for k in range(4)], [1, np.nan, 2, 3], time=time if dates else None)
    )
    facts = {"values": 4, "observed": 3, "state_variances": 1200, "negative_variances": 7}
    numbers = facts | {"drawable": 5, "series": series}
    atomic.write_json(folder.figures / smoothing_figures.NUMBERS, numbers)
    drawn, text = smoothing_figures.section(folder)
    assert [figure.name for figure in drawn] == ["smoothed_1", "smoothed_1_sd"]
    assert "4 values, of which 3 are observed. Of 1,200 variances" in text
    assert "7 came out negative" in text
    assert "1 of 5 series and outputs are drawn" in text
    assert "<svg" in text
