"""Explanations of models: finite differences, a linear law's coefficients, units and lags."""

from __future__ import annotations

import csv
import errno
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.data import read_table
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.explain import figures, of_run, tables
from tagi_cli.experiment.explain.explanation import Explanation
from tagi_cli.experiment.explain.of_run import Place, Source
from tagi_cli.experiment.model import Model, Moments
from tagi_cli.experiment.settings import Settings, registries

BASE: dict[str, Any] = {
    "task": "regression",
    "kernels": "numpy",
    "precision": "float64",
    "noise": "auto",
    "data": {"out_components": ["y"], "batch_size": 8, "split_method": "chronological"},
    "arch": {"kind": "mlp", "width": 12, "depth": 1, "activation": "tanh"},
    "trainer": {"max_epochs": 12},
    "ensemble": {"size": 2},
    "viz": {"enabled": False},
}


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(json.dumps(BASE))
    for path, value in changes.items():
        *groups, name = path.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return tree


def trained(folder: Path, header: str, lines: Sequence[str], **changes: Any) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    made = config.check(Settings, registries(), merged({"data.path": str(path), **changes}))
    return run.train(made, "", folder / "runs")


def lines_of(rows: int, *, curved: bool, seed: int = 0) -> list[str]:
    """y = 3 a - 2 b + (5 for red), or with curves instead."""
    rng, lines = np.random.default_rng(seed), []
    for _ in range(rows):
        a, b, kind = rng.normal(4, 2), rng.normal(-1, 0.5), rng.choice(["blue", "green", "red"])
        y = 3 * a - 2 * b + 5 * (kind == "red") + 0.05 * rng.normal()
        if curved:
            y = 5 * math.sin(a / 2) + b * b + 2 * (kind == "red")
        lines.append(f"{float(a)!r},{float(b)!r},{kind},{float(y)!r}")
    return lines


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bayesian linear regression of a linear law."""
    lines = lines_of(200, curved=False)
    return trained(
        tmp_path_factory.mktemp("linear"), "a,b,kind,y", lines,
        **{"arch.depth": 0, "trainer.update_rule": "information"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def curved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("curved"), "a,b,kind,y", lines_of(200, curved=True))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def mean_at(model: Model, a: Any, b: Any, kind: Any) -> Any:
    found = model.predict({"a": a, "b": b, "kind": kind})
    assert isinstance(found, Moments)
    return found.mean[:, 0]


def test_a_linear_law_gives_its_coefficients(linear: Path, tmp_path: Path) -> None:
    place = Place(str(tmp_path / "out"))
    of_run.explain_run(linear, Source(), place, notices=[])
    found = {
        (row["column"], row["category"]): row
        for row in read(tmp_path / "out" / tables.SENSITIVITIES)
    }
    for name, coefficient in (("a", 3.0), ("b", -2.0)):
        row = found[name, ""]
        error, sd = float(row["derivative"]) - coefficient, float(row["sd"])
        assert abs(error) <= max(3 * sd, 0.03 * abs(coefficient))
        assert sd <= 0.1 * abs(coefficient)
    effect = {kind: float(found["kind", kind]["derivative"]) for kind in ("blue", "green", "red")}
    assert effect["red"] - effect["blue"] == pytest.approx(5, rel=0.05)
    assert effect["green"] == pytest.approx(effect["blue"], abs=0.15)


def test_what_is_not_known_of_a_coefficient_is_that_of_its_weight(linear: Path) -> None:
    """One layer: the derivative is the weight itself, in units of the table; an equal mixture."""
    model = Model.load(linear)
    found = model.explain({"a": [4.0], "b": [-1.0], "kind": ["red"]})
    weights = [network.layer[0].weight for network in model.learners]
    mean = np.mean([w.mu[0] for w in weights], axis=0)
    var = np.mean([w.var[0] for w in weights], axis=0) + np.var([w.mu[0] for w in weights], axis=0)
    np.testing.assert_allclose(found.slope[0, 0], mean)
    np.testing.assert_allclose(found.slope_sd[0, 0], np.sqrt(var))
    scale = model.encoder.scale_y[0] / model.encoder.columns[0].scale
    assert found.derivative_sd[0, 0, 0] == pytest.approx(math.sqrt(var[0]) * scale)


@pytest.mark.parametrize("activation", ["tanh", "mixture_relu"])
def test_derivatives_are_differences_of_predictions(activation: str, tmp_path: Path) -> None:
    made = trained(
        tmp_path, "a,b,kind,y", lines_of(120, curved=True), **{"arch.activation": activation}
    )
    model = Model.load(made)
    a, b, kind = np.linspace(1, 7, 9), np.linspace(-2, 0, 9), ["red", "blue", "green"] * 3
    found = model.explain({"a": a, "b": b, "kind": kind})
    step = 1e-3
    for i, (da, db) in enumerate(((step, 0), (0, step))):
        up, down = (mean_at(model, a + s * da, b + s * db, kind) for s in (1, -1))
        slope = (up - down) / (2 * step)
        np.testing.assert_allclose(
            found.derivative[:, 0, i], slope, atol=0.01 * np.abs(slope).max()
        )
    assert found.method == "derivative"


def test_contributions_lead_from_the_baseline_to_the_prediction(linear: Path) -> None:
    """Of a linear model they do so without remainder, each by the difference of its column."""
    model = Model.load(linear)
    rows = {"a": [1.0, 9.0], "b": [0.0, -3.0], "kind": ["red", "green"]}
    found = model.explain(rows)
    np.testing.assert_allclose(found.prediction[:, 0], mean_at(model, **rows))
    assert np.abs(found.remainder).max() <= 1e-9 * np.abs(found.prediction).max()
    facts = {fact["name"]: fact for fact in model.statistics}
    added = (np.array(rows["a"]) - facts["a"]["mean"]) * found.derivative[:, 0, 0]
    np.testing.assert_allclose(found.contribution[:, 0, 0, 0], added)
    # Shares: squares of coefficients times variances of columns.
    p = np.array(list(facts["kind"]["categories"].values()), float) / sum(
        facts["kind"]["categories"].values()
    )
    kinds = found.derivative[0, 0, 2:]
    parts = np.array([
        (found.derivative[0, 0, 0] * facts["a"]["sd"]) ** 2,
        (found.derivative[0, 0, 1] * facts["b"]["sd"]) ** 2,
        p @ kinds**2 - (p @ kinds) ** 2,
    ])  # fmt: skip
    np.testing.assert_allclose(found.share[0, 0], parts / parts.sum(), rtol=1e-9)


def test_the_other_method_says_the_same_of_smooth_networks(curved: Path, tmp_path: Path) -> None:
    one, other = (
        Model.load(curved).explain({"a": [2.0, 5.0], "b": [0.0, -1.0], "kind": ["red"] * 2}, m)
        for m in ("derivative", "covariance")
    )
    np.testing.assert_allclose(one.slope, other.slope, rtol=1e-8)
    assert (one.method, other.method) == ("derivative", "covariance")
    # Of the other, networks alone disagree.
    assert (other.slope_sd <= one.slope_sd + 1e-12).all() or np.isnan(other.slope_sd).all()


WINDOWS = {
    "data.in_components": ["x", "z"],
    "data.in_chunk": [-3, 0],
    "data.out_chunk": [0, 0],
    "data.time": "t",
    "arch.depth": 0,
}


def wave(rows: int = 200) -> list[str]:
    """y(t) = 2 x(t - 1) - x(t - 3); z has no part in it."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(10, 3, rows), rng.normal(size=rows)
    y = 2 * np.roll(x, 1) - np.roll(x, 3) + 0.05 * rng.normal(size=rows)
    return [f"{t},{float(x[t])!r},{float(z[t])!r},{float(y[t])!r}" for t in range(3, rows)]


@pytest.fixture(scope="module")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("windowed"), "t,x,z,y", wave(), **WINDOWS)


def test_windows_are_explained_lag_by_lag(windowed: Path, tmp_path: Path) -> None:
    paths = of_run.explain_run(windowed, Source(rows=5), Place(str(tmp_path / "o")), notices=[])
    found = {
        (row["column"], int(row["lag"])): float(row["derivative"])
        for row in read(tmp_path / "o" / tables.SENSITIVITIES)
    }
    expected = {("x", -1): 2.0, ("x", -3): -1.0}
    for key, value in found.items():
        assert value == pytest.approx(expected.get(key, 0.0), abs=0.06), key
    shares = {
        (row["column"], int(row["lag"])): float(row["share"])
        for row in read(tmp_path / "o" / tables.CONTRIBUTIONS)
    }
    assert shares["x", -1] == pytest.approx(0.8, abs=0.03)
    assert sum(shares.values()) == pytest.approx(1)
    rows = read(tmp_path / "o" / tables.ROWS)
    assert len(rows) == 5
    assert list(rows[0])[:5] == ["instance", "slice", "time", "step", "component"]
    for row in rows:
        whole = sum(float(row[n]) for n in ("baseline", "from_x", "from_z", "remainder"))
        assert whole == pytest.approx(float(row["mu"]), rel=1e-5)
    assert [path.name for path in paths[3:]] == [
        "explanation_1_sensitivity.svg", "explanation_1_share.svg",
    ]  # fmt: skip


def test_series_with_scalers_of_their_own_are_told_in_their_units(tmp_path: Path) -> None:
    """One series is ten times the other, and so are both its input and its output."""
    lines = []
    for name, factor in (("u", 1.0), ("v", 10.0)):
        for line in wave(120):
            t, x, z, y = line.split(",")
            lines.append(f"{name},{t},{factor * float(x)!r},{z},{factor * float(y)!r}")
    made = trained(
        tmp_path, "id,t,x,z,y", lines,
        **WINDOWS, **{"data.instance": "id", "data.scaling_by": "instance"},
    )  # fmt: skip
    model = Model.load(made)
    part = model.part_of(read_table(tmp_path / "table.csv"))
    of = [np.flatnonzero(part.index[:, 0] == code)[:2] for code in (0, 1)]
    found = model.explain(read_table(tmp_path / "table.csv"))
    flat = 2 * 2  # x at the step before the last of four, of two columns each
    for rows in of:
        np.testing.assert_allclose(found.derivative[rows, 0, flat], 2, atol=0.15)
        z = found.derivative[rows, 0, flat + 1] / (1 if rows is of[0] else 10)
        assert np.abs(z).max() <= 0.15


def test_layers_without_a_rule_are_told_by_their_own_inference(tmp_path: Path) -> None:
    made = trained(
        tmp_path, "t,x,z,y", wave(80),
        **{**WINDOWS, "arch": {"kind": "lstm", "width": 3}, "trainer.max_epochs": 1},
    )  # fmt: skip
    notices: list[str] = []
    of_run.explain_run(made, Source(), Place(), notices=notices)
    assert any("no rule for the moments of derivatives through LSTM(2,3)" in n for n in notices)
    rows = read(made / figures.FOLDER / tables.SENSITIVITIES)
    assert {row["sd"] for row in rows} == {""}
    with pytest.raises(UserError, match=r"method: there is no rule .* LSTM\(2,3\)\. Allowed: meth"):
        of_run.explain_run(
            made, Source(), Place(str(tmp_path / "x")), method="derivative", notices=[]
        )


def test_the_means_of_a_varying_noise_are_explained(tmp_path: Path) -> None:
    lines = [
        f"{line},{7.0 - 2 * float(line.split(',')[1])!r}" for line in lines_of(100, curved=True)
    ]
    made = trained(
        tmp_path, "a,b,kind,y,w", lines,
        **{"noise": "heteroscedastic", "data.out_components": ["y", "w"]},
    )  # fmt: skip
    model = Model.load(made)
    a, b, kind = np.array([3.0, 5.0]), np.array([-1.0, 0.0]), ["red", "blue"]
    found = model.explain({"a": a, "b": b, "kind": kind})
    means = []
    for step in (1e-3, -1e-3):
        law = model.predict({"a": a, "b": b + step, "kind": kind})
        assert isinstance(law, Moments)
        means.append(law.mean)
    np.testing.assert_allclose(found.derivative[:, :, 1], (means[0] - means[1]) / 2e-3, rtol=1e-4)


def test_windows_scaled_by_themselves_keep_their_scalers(tmp_path: Path) -> None:
    """In units of the table, with the spread of each window as it is."""
    changes = WINDOWS | {"data.scaling_by": "window", "trainer.max_epochs": 1}
    made = trained(tmp_path, "t,x,z,y", wave(60), **changes)
    found = Model.load(made).explain(read_table(tmp_path / "table.csv"))
    x = np.array([float(line.split(",")[1]) for line in wave(60)])
    for row in (10, 20):
        last = found.places.rows[row] + 1
        assert found.scale_x[row, 0] == pytest.approx(x[last - 4 : last].std(), rel=1e-3)


def test_the_report_shows_it(curved: Path) -> None:
    of_run.explain_run(curved, Source("valid"), Place(), notices=[])
    section = figures.section(run.RunFolder.open(curved))
    assert "<h2>Explanation</h2>" in section.html
    assert "40 rows of the valid part" in section.html
    assert section.html.count("<figure") == 2
    from tagi_cli.experiment.report import page

    text = page.write_report(run.RunFolder.open(curved)).read_text()
    assert "<h2>Explanation</h2>" in text
    with pytest.raises(UserError, match=r"sensitivities\.csv is there already.*overwrite=true"):
        of_run.explain_run(curved, Source(), Place(), notices=[])
    of_run.explain_run(curved, Source(), Place(overwrite=True), notices=[])


def test_a_folder_that_cannot_be_made_is_told(
    curved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **options: bool) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    place = Place(str(curved.parent / "elsewhere"))
    told = r"elsewhere: cannot be written \(Permission denied\)\. Start from a folder"
    with pytest.raises(UserError, match=told):
        of_run.explain_run(curved, Source(), place, notices=[])
    with pytest.raises(UserError, match=told):
        of_run.find_input(curved, "0", place, source=Source(), notices=[])


def test_fewer_rows_are_explained_of_many_outputs(
    windowed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_run, "_VALUES", 7)
    notices: list[str] = []
    of_run.explain_run(windowed, Source(), Place(str(tmp_path / "o")), notices=notices)
    assert notices == ["7 of 20 rows are explained, spread evenly"]


def numbers(found: Explanation) -> dict[str, Any]:
    return tables.numbers_of(found, "a file")


def test_many_inputs_are_drawn_as_far_as_there_is_room(curved: Path) -> None:
    found = numbers(Model.load(curved).explain({"a": [2.0], "b": [0.0], "kind": ["red"]}))
    one = found["outputs"][0]
    many = found | {
        "features": [f"f{i}" for i in range(40)],
        "columns": [f"f{i}" for i in range(40)],
        "outputs": [
            one | {k: [list(range(40))] for k in ("slope", "sd", "share", "mean_abs")}
        ] * 5,
    }  # fmt: skip
    drawn = figures.drawings(many)
    assert len(drawn) == 2 * figures.OUTPUTS_DRAWN
    assert "the 16 largest of 40 inputs" in drawn[0].caption
    assert "f39" in drawn[0].svg
    assert "f10<" not in drawn[0].svg


def test_what_cannot_be_explained(tmp_path: Path) -> None:
    lines = lines_of(60, curved=True)
    for head in ("hrc", "remax", "softmax"):
        task = {"kind": "classification", "head": head}
        made = trained(
            tmp_path, "a,b,kind,y", lines,
            **{"task": task, "data.out_components": ["kind"], "trainer.max_epochs": 1},
        )  # fmt: skip
        if head != "softmax":
            with pytest.raises(UserError, match=r"have no log-odds.*task\.head=softmax"):
                of_run.explain_run(made, Source(), Place(), notices=[])
    with pytest.raises(UserError, match="target: this model predicts classes"):
        of_run.find_input(made, "0", Place(), source=Source(), notices=[])
    tracking = {"kind": "lstm", "width": 3, "internal_state": {"tracking": True}}
    made = trained(
        tmp_path, "t,x,z,y", wave(80), **{**WINDOWS, "arch": tracking, "trainer.max_epochs": 1}
    )
    with pytest.raises(UserError, match="carry states from row to row"):
        of_run.explain_run(made, Source(), Place(), notices=[])


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (Source("tset"), r"split: unknown part 'tset'\. Did you mean 'test'\?"),
        (Source(input="none.csv"), r"input: .*no such file"),
    ],
)
def test_rows_that_are_not_there(source: Source, match: str, curved: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=match):
        of_run.explain_run(curved, source, Place(str(tmp_path / "o")), notices=[])
    with pytest.raises(UserError, match="method: found 'shap'"):
        of_run.explain_run(curved, Source(), Place(str(tmp_path / "o")), method="shap", notices=[])
    with pytest.raises(UserError, match="output: there is no folder"):
        of_run.explain_run(curved, Source(), Place(str(tmp_path / "no" / "o")), notices=[])
