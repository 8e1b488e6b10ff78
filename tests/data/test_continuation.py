"""Windows fed with the truth are the windows that come next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import DataOptions, Encoder, Table, load
from tagi_cli.data.continuation import Continuation
from tagi_cli.data.reference import last_season

LENGTHS = {"a": 40, "b": 31}
COLUMNS: dict[str, Any] = {
    "series": [name for name, n in LENGTHS.items() for _ in range(n)],
    "t": [t for n in LENGTHS.values() for t in range(n)],
    "u": np.cumsum(np.random.default_rng(0).normal(size=71)) + 100 * np.repeat([1, 9], [40, 31]),
    "v": np.random.default_rng(1).normal(size=71),
    "c": np.random.default_rng(2).normal(size=71),
}


def encoder_of(folder: Path, season: int | None = 3, **options: Any) -> Encoder:
    rows = zip(*COLUMNS.values(), strict=True)
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in rows)]
    path = folder / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    given: dict[str, Any] = {"out_components": ("u", "v"), "in_chunk": (-5, 0), "out_chunk": (1, 2)}
    made = DataOptions(path=str(path), **(given | options))
    return load(made, horizon=4, season=season, dtype="float64").encoder


WAYS: list[dict[str, Any]] = [
    {},
    {"scaling_by": "instance"},
    {"scaling_by": "window"},
    {"scaling_by": "window", "reference": "none"},
    {"in_components": ("v", "u"), "padding_method": "edge"},
]


@pytest.mark.parametrize("options", WAYS)
@pytest.mark.parametrize("before", [0, 7])
def test_windows_fed_with_the_truth_are_those_that_come_next(
    tmp_path: Path, options: dict[str, Any], before: int
) -> None:
    encoder = encoder_of(tmp_path, **options)
    whole = encoder.windows(Table.from_columns(COLUMNS))
    assert whole.index is not None
    ends = [i for i, (_, _, place) in enumerate(whole.index.tolist()) if place in (4, 20)]
    part = whole.take(np.array(ends))
    windows = Continuation(encoder, part, 4, before)
    windows.feed(0, part.target.reshape(-1, 2, 2))
    later = whole.take(np.array(ends) + 2)
    windows.feed(2, later.target.reshape(-1, 2, 2))
    for offset, right in ((0, part), (2, later), (4, whole.take(np.array(ends) + 4))):
        found = windows.ahead(offset)
        np.testing.assert_allclose(np.asarray(found.x), np.asarray(right.x), rtol=1e-9, atol=1e-12)
        shape = (len(ends), 4)
        for one, other in ((found.center, right.center), (found.scale, right.scale)):
            np.testing.assert_allclose(
                np.broadcast_to(one, shape), np.broadcast_to(other, shape), rtol=1e-9
            )
        np.testing.assert_array_equal(found.places, right.index)
        assert not np.asarray(found.var_x).any()


def test_variances_are_on_the_scale_of_inputs_and_of_what_targets_count_from(
    tmp_path: Path,
) -> None:
    encoder = encoder_of(tmp_path, scaling_by="window")
    part = encoder.windows(Table.from_columns(COLUMNS)).take(np.array([20, 50]))
    windows = Continuation(encoder, part, 4)
    var = np.random.default_rng(3).uniform(1, 2, (2, 2, 2))
    windows.feed(0, part.target.reshape(2, 2, 2), var)
    found = windows.ahead(2)
    # Inputs are u, v and c, as targets without an order of their own come first.
    order = [encoder.features.index(name) for name in ("u", "v")]
    original = np.zeros((2, 6, 2))
    original[:, 4:] = var
    assert found.x.scale is not None
    windowing = encoder.windowing
    assert windowing is not None
    for k, feature in enumerate(order):
        own = windowing.scalers["uv"[k]].take(part.index[:, 0]).scale[:, None]  # type: ignore[index]
        scale = own * found.x.scale[:, [feature]]
        np.testing.assert_allclose(
            np.asarray(found.var_x)[..., feature], original[..., k] / scale**2, rtol=1e-9
        )
        naive = last_season(original[..., k], 3)[:, :2]
        np.testing.assert_allclose(found.var_center[:, k::2], naive, rtol=1e-9)


def test_repeated_windows_are_fed_by_themselves(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    part = encoder.windows(Table.from_columns(COLUMNS)).take(np.array([20, 50]))
    one = Continuation(encoder, part, 2)
    two = one.repeated(2)
    two.feed(0, np.arange(16.0).reshape(4, 2, 2))
    assert np.asarray(two.ahead(2).x)[:, -2:, 0].std(axis=0).min() > 0
    np.testing.assert_array_equal(np.asarray(one.ahead(0).x), np.asarray(part.x))
    np.testing.assert_array_equal(two.ahead(0).places, np.repeat(part.index, 2, axis=0))
