from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tagi_cli.data import BUNDLED, DataOptions, load
from tagi_cli.data.bundled import sine_table
from tagi_cli.data.bundled.missing import sine_missing_table
from tagi_cli.errors import UserError


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_every_bundled_set_loads_with_its_usual_target(name: str) -> None:
    # One of them has nothing besides its target but times.
    options: dict[str, Any] = {}
    if name == "sine_missing":
        options = {"time": "date_time", "time_covariates": ("hour_of_day",)}
    dataset = load(DataOptions(name=name, **options), classify=BUNDLED[name].labels)
    assert dataset.name == name
    assert dataset.encoder.outputs == BUNDLED[name].outputs
    assert len(dataset.sha256) == 64
    assert BUNDLED[name].summary


def test_yacht_is_the_published_table() -> None:
    table, _ = BUNDLED["yacht"].read()
    assert len(table) == 308
    assert len(table.columns) == 7
    # First and last published rows; 14 hull forms at 14 speeds and more.
    assert [table[name][0] for name in table.columns] == [
        -2.3,
        0.568,
        4.78,
        3.99,
        3.17,
        0.125,
        0.11,
    ]
    assert [table[name][-1] for name in table.columns] == [-2.3, 0.6, 4.34, 4.23, 2.73, 0.45, 46.66]
    assert (
        sorted(set(table["froude_number"].tolist()))
        == np.arange(0.125, 0.46, 0.025).round(3).tolist()
    )


def test_sine_is_a_noisy_sine() -> None:
    table = sine_table()
    residual = table["y"] - np.sin(table["x"])
    assert len(table) == 500
    assert np.array_equal(table["y"], sine_table()["y"])
    # Standard errors of a standard deviation and a mean of 500 normal values.
    assert residual.std() == pytest.approx(0.1, abs=5 * 0.1 / np.sqrt(2 * 500))
    assert residual.mean() == pytest.approx(0, abs=5 * 0.1 / np.sqrt(500))


def test_the_series_with_missing_stretches() -> None:
    table = sine_missing_table()
    missing = np.isnan(table["sin"])
    assert np.flatnonzero(missing).tolist() == [*range(48), *range(150, 174)]
    residual = (table["sin"] + np.sin(2 * np.pi * np.arange(240) / 24))[~missing]
    assert residual.std() == pytest.approx(0.05, abs=5 * 0.05 / np.sqrt(2 * 168))
    assert table["date_time"][[0, 239]].tolist() == ["2024-01-01T00:00:00", "2024-01-10T23:00:00"]


def test_another_target_may_be_chosen() -> None:
    dataset = load(DataOptions(name="yacht", out_components=("froude_number",)))
    assert "residuary_resistance" in dataset.encoder.inputs


def test_an_unknown_set() -> None:
    with pytest.raises(UserError, match=r"data\.name: .* 'yaht'\. Did you mean 'yacht'\? Bundled"):
        load(DataOptions(name="yaht"))
