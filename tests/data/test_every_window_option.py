"""No option of windows is without effect: changing any of them changes the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import DataOptions, load

Options = dict[str, Any]

BASE: Options = {
    "instance": "who",
    "time": "when",
    "in_components": ("a", "y"),
    "out_components": ("y",),
    "in_chunk": (-3, 0),
    "out_chunk": (1, 2),
    "padding_method": "constant",
}

# What an option is changed to, and beside what, if the rest is not as in BASE.
CHANGED: dict[str, tuple[Any, Options]] = {
    "instance": (None, {"time": None}),
    "time": (None, {}),
    "time_delta": ("12h", {"in_chunk": (-1, 0), "out_chunk": (0, 0)}),
    "time_covariates": (("day_of_week",), {}),
    "in_chunk": ((-2, 0), {}),
    "out_chunk": ((2, 3), {}),
    "padding_method": ("edge", {}),
    "min_in_portion": (1.0, {}),
    "min_slice": (12, {}),
    "stride": (3, {}),
    "missing": ("ffill", {"in_components": ("gaps",), "missing": "split"}),
    "limit": (60, {}),
    "split_method": ("instance-random", {}),
    "split_gap": (4, {}),
    "split_seed": (1, {"split_method": "slice-random"}),
    "split_portions": ((0.5, 0.2, 0.3), {}),
    "split_column": ("part", {}),
    "valid_portion": (0.3, {"split_column": "part"}),
    "scaling_by": ("instance", {}),
    "reference": ("last", {"scaling_by": "window", "padding_method": "edge"}),
    "scaling_tag": ("in_only", {}),
    "scaling_method": ("zero-one", {}),
    "batch_sampling_mode": ("inference", {"out_components": ("rare",), "out_chunk": (1, 1)}),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects, day by day, each with a gap."""
    rng = np.random.default_rng(0)
    lines = ["who,when,a,gaps,rare,part,y"]
    for who, days in (("u", 20), ("v", 30), ("w", 40)):
        for day in range(days):
            if day == 9:
                continue
            when = np.datetime64("2024-01-01") + day
            gap = "" if day % 8 == 3 else day
            rare = day if day % 7 == 0 else ""
            part = "test" if day > 15 else "train"
            y = rng.normal() + days
            lines.append(f"{who},{when},{rng.normal()},{gap},{rare},{part},{y}")
    path = tmp_path_factory.mktemp("days") / "days.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def outcome(table: Path, options: Options, **purpose: Any) -> list[Any]:
    dataset = load(DataOptions(path=str(table), **options), **purpose)
    parts = (dataset.train, dataset.valid, dataset.test)
    arrays = [np.asarray(getattr(part, name)) for part in parts for name in ("x", "y", "rows")]
    return [array.tolist() for array in arrays]


@pytest.mark.parametrize("option", CHANGED)
def test_changing_it_changes_the_data(table: Path, option: str) -> None:
    value, beside = CHANGED[option]
    before = outcome(table, BASE | beside)
    assert str(before) != str(outcome(table, BASE | beside | {option: value}))


def test_segments_are_cut_at_their_limit(table: Path) -> None:
    options = {key: BASE[key] for key in ("instance", "time", "out_components")}
    options |= {"in_components": ("a",), "split_method": "slice-random"}
    before = outcome(table, options, variable_length=True)
    limited = options | {"variable_sequence_length_limit": 6}
    after = outcome(table, limited, variable_length=True)
    assert (len(before[0][0]), len(after[0][0])) == (30, 6)
