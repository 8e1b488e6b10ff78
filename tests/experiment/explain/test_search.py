"""Inputs for a wanted output: closed forms of a linear model, and predictions at what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment.explain import of_run
from tagi_cli.experiment.explain.of_run import Place, Source
from tagi_cli.experiment.explain.search import Found, search
from tagi_cli.experiment.model import Model, Moments

from .test_explanation import WINDOWS, lines_of, read, trained, wave


def inputs_of(found: Found) -> dict[str, Any]:
    mean = found.in_units(found.mean)
    kind = found.features.categories[2 + int(found.mean[2:].argmax())]
    return {"a": [mean[0]], "b": [mean[1]], "kind": [kind]}


def predicted(model: Model, found: Found) -> Moments:
    law = model.predict(inputs_of(found))
    assert isinstance(law, Moments)
    return law


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory.mktemp("linear"), "a,b,kind,y", lines_of(200, curved=False),
        **{"arch.depth": 0, "trainer.update_rule": "information", "ensemble.size": 1},
    )  # fmt: skip


@pytest.fixture(scope="module")
def curved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory.mktemp("curved"), "a,b,kind,y", lines_of(200, curved=True),
        **{"arch.activation": "mixture_relu"},
    )  # fmt: skip


def test_a_linear_model_gives_the_posterior_of_its_inputs(linear: Path) -> None:
    """The Gaussian posterior given one linear observation: `m + P h (h P h)^-1 (y - h m)`."""
    model = Model.load(linear)
    found = search(model, model.statistics, np.array([20.0]))
    network = model.learners[0]
    h = np.array(network.layer[0].weight.mu[0], float)
    h[2:] = 0  # categories stay
    P = np.where(h != 0, found.features.var, 0)
    start = network.predict(found.start[None]).mu[0, 0]
    goal = (20.0 - model.encoder.center_y[0]) / model.encoder.scale_y[0]
    expected = found.start + P * h * (goal - start) / (h * P @ h)
    np.testing.assert_allclose(found.mean, expected, atol=1e-6)
    there = network.predict(found.mean[None])
    variance = P - (P * h) ** 2 / (h * P @ h + there.var_epistemic[0, 0])
    np.testing.assert_allclose(found.sd, np.sqrt(variance), rtol=1e-6)
    assert found.reached
    assert not found.at_bound.any()


@pytest.mark.parametrize("wanted", [-3.0, 0.0, 4.0])
def test_the_wanted_output_is_predicted_at_what_is_found(curved: Path, wanted: float) -> None:
    model = Model.load(curved)
    found = search(model, model.statistics, np.array([wanted]))
    assert found.reached
    law = predicted(model, found)
    assert law.mean[0, 0] == pytest.approx(wanted, abs=2e-3 * model.encoder.scale_y[0])
    np.testing.assert_allclose(law.mean[0], found.prediction, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(law.sd_epistemic[0], found.sd_epistemic)
    np.testing.assert_allclose(law.sd_noise[0], found.sd_noise)
    low, high = found.features.low, found.features.high
    assert ((found.mean >= low - 1e-9) & (found.mean <= high + 1e-9)).all()
    assert (found.sd[:2] > 0).all()
    assert (found.sd[:2] <= np.sqrt(found.features.var[:2]) + 1e-12).all()
    assert (found.sd[2:] == 0).all()


def test_no_other_input_is_nearer(curved: Path) -> None:
    """Among points on the same level, found by brute force, none is nearer to the start."""
    model = Model.load(curved)
    found = search(model, model.statistics, np.array([3.0]))
    kind = inputs_of(found)["kind"][0]
    a, b = (
        axis.ravel() for axis in np.meshgrid(np.linspace(-1, 9, 300), np.linspace(-2.5, 0.5, 300))
    )
    law = model.predict({"a": a, "b": b, "kind": [kind] * len(a)})
    assert isinstance(law, Moments)
    level = np.abs(law.mean[:, 0] - 3.0) < 0.02
    start, units = found.in_units(found.start)[:2], found.features.scale[:2]
    near = np.hypot((a[level] - start[0]) / units[0], (b[level] - start[1]) / units[1])
    own = np.hypot(*((found.in_units(found.mean)[:2] - start) / units))
    assert own <= near.min() + 0.03


def test_what_cannot_be_reached_ends_at_the_range(linear: Path) -> None:
    model = Model.load(linear)
    found = search(model, model.statistics, np.array([1e4]))
    assert not found.reached
    assert found.at_bound.tolist() == [True, True, False, False, False]
    np.testing.assert_allclose(found.mean[0], found.features.high[0])
    np.testing.assert_allclose(found.mean[1], found.features.low[1])


def test_inputs_at_the_end_of_their_range_leave_the_rest_to_others(linear: Path) -> None:
    model = Model.load(linear)
    highest = max(fact["maximum"] for fact in model.statistics if fact["name"] == "a")
    wanted = 3 * highest + 2.0
    found = search(model, model.statistics, np.array([wanted]))
    assert found.reached
    assert predicted(model, found).mean[0, 0] == pytest.approx(wanted, abs=0.02)


def test_a_search_from_a_row_of_the_data(curved: Path, tmp_path: Path) -> None:
    place = Place(str(tmp_path / "o"))
    found, path = of_run.find_input(
        curved, "1.5", place, start="3", source=Source("train"), notices=[]
    )
    rows = read(path)
    assert [row["column"] for row in rows] == ["a", "b", "kind", "kind", "kind"]
    table = read(curved.parents[1] / "table.csv")[3]
    assert float(rows[0]["start"]) == pytest.approx(float(table["a"]), rel=1e-6)
    assert float(rows[0]["found"]) == pytest.approx(found.in_units(found.mean)[0], rel=1e-6)
    (own,) = [row["category"] for row in rows if row["column"] == "kind" and row["found"] == "1"]
    assert own == table["kind"]
    assert found.reached


def test_windows_are_searched_lag_by_lag(tmp_path: Path) -> None:
    made = trained(tmp_path, "t,x,z,y", wave(), **WINDOWS)
    found, path = of_run.find_input(made, "25", Place(), source=Source(), notices=[])
    rows = {(row["column"], row["lag"]): row for row in read(path)}
    moved = {key: float(r["found"]) - float(r["start"]) for key, r in rows.items()}
    # 2 x(t - 1) - x(t - 3): the nearest input shares the way 2 to -1.
    assert moved["x", "-1"] / moved["x", "-3"] == pytest.approx(-2, rel=0.1)
    assert abs(moved["x", "0"]) <= 0.1
    assert found.prediction[0] == pytest.approx(25, abs=0.05)


def test_several_outputs_at_once(tmp_path: Path) -> None:
    lines = [f"{line},{float(line.split(',')[0])!r}" for line in lines_of(150, curved=False)]
    made = trained(
        tmp_path, "a,b,kind,y,w", lines, **{"data.out_components": ["y", "w"], "arch.depth": 0}
    )
    model = Model.load(made)
    start = search(model, model.statistics, np.array([10.0, np.nan]))
    there = inputs_of(start) | {"a": [5.0], "b": [-1.3]}
    law = model.predict(there)
    assert isinstance(law, Moments)
    target = json.dumps(law.mean[0].tolist())
    both, _ = of_run.find_input(made, target, Place(), source=Source(), notices=[])
    assert both.reached
    np.testing.assert_allclose(both.in_units(both.mean)[:2], [5.0, -1.3], atol=0.02)
    one, _ = of_run.find_input(
        made, "18", Place(overwrite=True), component="y", source=Source(), notices=[]
    )
    assert one.prediction[0] == pytest.approx(18, abs=0.02)
    same, _ = of_run.find_input(
        made, "[18, null]", Place(overwrite=True), source=Source(), notices=[]
    )
    np.testing.assert_array_equal(one.mean, same.mean)
    with pytest.raises(UserError, match=r"target: found 1 numbers for 2 outputs \(y, w\)"):
        of_run.find_input(made, "18", Place(str(tmp_path / "o")), source=Source(), notices=[])
    with pytest.raises(UserError, match=r"component: no output 'yy'\. Did you mean 'y'\?"):
        of_run.find_input(
            made, "18", Place(str(tmp_path / "o")), component="yy", source=Source(), notices=[]
        )


@pytest.mark.parametrize(
    ("target", "start", "match"),
    [
        ("high", "mean", r"target: found 'high'\. Allowed: a number"),
        ("null", "mean", r"target: found 'null'"),
        ("[null]", "mean", r"target: found '\[null\]'"),
        ("true", "mean", r"target: found 'true'"),
        ("3", "first", r"start: found 'first'\. Allowed: mean, or 0 to 19"),
        ("3", "20", r"start: found '20'"),
    ],
)
def test_mistaken_searches(
    target: str, start: str, match: str, linear: Path, tmp_path: Path
) -> None:
    place = Place(str(tmp_path / "o"))
    with pytest.raises(UserError, match=match):
        of_run.find_input(linear, target, place, start=start, source=Source(), notices=[])


def test_windows_with_scalers_of_their_own_have_no_units(tmp_path: Path) -> None:
    made = trained(tmp_path, "t,x,z,y", wave(80), **{**WINDOWS, "data.scaling_by": "window"})
    with pytest.raises(UserError, match=r"target: series or windows have scalers of their own"):
        of_run.find_input(made, "3", Place(), source=Source(), notices=[])
