"""Inputs handed over as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import DataOptions, Encoder, load
from tagi_cli.data.table import Table
from tagi_cli.errors import UserError

RNG = np.random.default_rng(1)
COLUMNS: dict[str, Any] = {
    "who": ["u"] * 40 + ["v"] * 40,
    "day": [str(np.datetime64("2024-01-01") + i % 40) for i in range(80)],
    "a": RNG.normal(3, 2, 80),
    "y": np.concatenate([RNG.normal(0, 1, 40), RNG.normal(50, 9, 40)]),
}


def encoder_of(folder: Path, **options: Any) -> Encoder:
    path = folder / "t.csv"
    rows = zip(*COLUMNS.values(), strict=True)
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    base: dict[str, Any] = {
        "instance": "who",
        "time": "day",
        "in_components": ("a", "y"),
        "out_components": ("y",),
        "in_chunk": (-4, 0),
        "out_chunk": (1, 2),
        "min_in_portion": 1.0,
    }
    return load(DataOptions(path=str(path), **(base | options)), dtype="float64").encoder


def windows_of(encoder: Encoder) -> tuple[Any, np.ndarray]:
    """The windows of the table, and the raw values in each of them."""
    found = encoder.windows(Table.from_columns(COLUMNS, "t.csv"))
    raw = np.stack([COLUMNS["a"], COLUMNS["y"]], axis=1)
    return found, raw[found.rows[:, None] + np.arange(-4, 1)]


@pytest.mark.parametrize("scaling_by", ["column", "window"])
def test_windows_in_an_array_are_those_of_a_table(tmp_path: Path, scaling_by: str) -> None:
    encoder = encoder_of(tmp_path, scaling_by=scaling_by)
    found, raw = windows_of(encoder)
    part = encoder.examples(raw)
    assert len(part) == len(found)
    np.testing.assert_allclose(encoder.encode_array(raw), np.asarray(found.x), atol=1e-9)
    for name in ("center", "scale"):
        shown = np.broadcast_to(getattr(part, name), (len(part), encoder.units))
        np.testing.assert_allclose(shown - getattr(found, name), 0, atol=1e-9)
    assert np.isnan(part.target).all()
    assert part.target.shape == (len(part), 2)


def test_rows_of_a_plain_table_come_with_its_scalers() -> None:
    encoder = load(DataOptions(name="yacht")).encoder
    part = encoder.examples(np.zeros((3, 6)))
    assert part.x.shape == (3, 6)
    assert part.center.tolist() == [encoder.center_y.tolist()]
    assert part.y.shape == part.target.shape == (3, 1)


def test_windows_of_one_row_may_be_rows(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, in_chunk=(0, 0))
    raw = np.ones((4, 2))
    assert np.array_equal(encoder.encode_array(raw), encoder.encode_array(raw[:, None]))
    assert encoder.encode_array(raw).shape == (4, 1, 2)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        (
            {},
            (3, 4, 2),
            r"input array: shape \(3, 4, 2\); allowed: \(windows, 5, 2\), the columns a",
        ),
        ({}, (3, 2), r"input array: shape \(3, 2\); allowed: \(windows, 5, 2\)"),
        (
            {"scaling_by": "instance"},
            (3, 5, 2),
            r"depend on the series; give a table with the colu",
        ),
        (
            {"time_covariates": ("month",)},
            (3, 5, 2),
            r"need dates; give a table with the column 'da",
        ),
    ],
)
def test_arrays_that_do_not_tell_enough(
    tmp_path: Path, options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        encoder_of(tmp_path, **options).examples(np.zeros(shape))


def test_classes_of_an_array_are_not_known(tmp_path: Path) -> None:
    path = tmp_path / "k.csv"
    path.write_text("a,k\n" + "".join(f"{i},{'uv'[i % 2]}\n" for i in range(30)), encoding="utf-8")
    options = DataOptions(path=str(path), out_components=("k",))
    part = load(options, classify=True).encoder.examples(np.zeros((3, 1)))
    assert part.y.shape == (3, 2)
    assert part.target.shape == (3, 1)
