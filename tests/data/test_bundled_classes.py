"""The generated labels that come with the package."""

from __future__ import annotations

import numpy as np

from tagi_cli.data.bundled.classes import SHAPES, moons_table, shapes_table


def test_moons_are_half_circles() -> None:
    table = moons_table(rows=2000, noise=0.0)
    x, y, upper = table["x"], table["y"], table["moon"] == "upper"
    np.testing.assert_allclose(np.hypot(x, y)[upper], 1, atol=1e-3)
    np.testing.assert_allclose(np.hypot(x - 1, y - 0.5)[~upper], 1, atol=1e-3)
    assert (y[upper] >= 0).all()
    assert (y[~upper] <= 0.5).all()
    assert 0.45 < upper.mean() < 0.55
    noisy = moons_table()
    assert len(noisy) == 600
    assert np.array_equal(noisy["x"], moons_table()["x"])


def test_shapes_repeat() -> None:
    table = shapes_table(noise=0.0)
    names = table["series"].astype(str)
    for number, shape in enumerate(SHAPES):
        mine = names == f"s{number + 1}"
        value = table["value"][mine]
        assert set(table["shape"][mine]) == {shape}
        assert table["t"][mine].tolist() == list(range(80))
        assert abs(value).max() <= 1
        if shape == "square":
            assert set(value) <= {-1.0, 0.0, 1.0}
        if shape == "saw":
            steps = np.diff(value)
            # Straight up, and down at once.
            assert np.ptp(steps[steps > 0]) < 1e-3
            assert (steps[steps < 0] < -1.5).all()
    assert len(np.unique(names)) == 60
