"""Runs that learn labels, from table to report, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tagi_cli
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.model import Classes
from tagi_cli.experiment.report.page import write_report
from tagi_cli.experiment.settings import Settings
from tagi_cli.training.classification import classification_metrics

from .conftest import rows, summary

NAMES = ("ash", "oak", "fir & <pine>")
SMALL = {
    "task": {"kind": "classification"},
    "data.out_components": ["tree"],
    "trainer.max_epochs": 8,
    "ensemble.size": 2,
}


def write_trees(path: Path, n: int = 240, seed: int = 0, labels: tuple[str, ...] = NAMES) -> Path:
    """Three clusters of two columns; the last label is missing."""
    rng = np.random.default_rng(seed)
    k = rng.integers(0, 3, n)
    x = np.array([[0.0, 0], [3, 0], [0, 3]])[k] + rng.normal(size=(n, 2))
    lines = [f"{float(a)!r},{float(b)!r},{labels[i]}" for (a, b), i in zip(x, k, strict=True)]
    lines[-1] = lines[-1].rpartition(",")[0] + ","
    path.write_text("height,girth,tree\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trees(tmp_path_factory.mktemp("data") / "trees.csv")


@pytest.fixture(scope="module")
def grown(
    trees: Path, make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    settings = make_settings(**{"data.path": str(trees)} | SMALL)
    return run.train(settings, "tagi train", tmp_path_factory.mktemp("runs"))


def test_a_run_leaves_metrics_and_probabilities(grown: Path) -> None:
    found = summary(grown)
    entropies = ["entropy", "entropy_epistemic"]
    assert list(found["test"]) == ["error_rate", "nll", "brier", "ece", *entropies]
    assert 0 < found["test"]["entropy_epistemic"] < found["test"]["entropy"] < np.log(3)
    assert found["test"]["error_rate"] < 0.15
    written = rows(grown / "predictions" / "test.csv")
    classes = sorted(NAMES)
    shares = [f"p_{name}" for name in classes]
    assert list(written[0]) == ["row", "label", "predicted", *shares, *entropies]
    p = np.array([[float(line[f"p_{name}"]) for name in classes] for line in written])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert [line["predicted"] for line in written] == [classes[k] for k in p.argmax(axis=1)]
    label = [classes.index(line["label"]) if line["label"] else np.nan for line in written]
    again = classification_metrics(np.array(label), p)
    assert again == {name: pytest.approx(found["test"][name], rel=1e-5) for name in again}
    with (grown / "metrics.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    for column in ("train_nll", "train_error_rate", "valid_nll", "valid_error_rate"):
        assert float(epochs[0][column]) > 0


def test_the_model_predicts_classes(grown: Path, trees: Path) -> None:
    model = tagi_cli.load(str(grown))
    assert model.classes == tuple(sorted(NAMES))
    written = rows(grown / "predictions" / "test.csv")
    x = np.genfromtxt(trees, delimiter=",", skip_header=1, usecols=(0, 1))
    found = model.predict(x[[int(line["row"]) for line in written]])
    assert isinstance(found, Classes)
    assert found.label.tolist() == [line["predicted"] for line in written]
    expected = [[float(line[f"p_{name}"]) for name in found.names] for line in written]
    np.testing.assert_allclose(found.probability, expected, rtol=1e-4, atol=1e-6)
    assert (found.sd_epistemic > 0).all()
    told = [float(line["entropy_epistemic"]) for line in written]
    np.testing.assert_allclose(found.entropy_epistemic, told, rtol=1e-3, atol=1e-6)
    assert (found.entropy >= found.entropy_epistemic).all()
    named = model.predict({"girth": x[:3, 1], "height": x[:3, 0]})
    np.testing.assert_allclose(named.probability, model.predict(x[:3]).probability)
    with pytest.raises(UserError, match="classes have no quantiles"):
        model.quantile(x[:3], 0.5)


def test_other_files_are_scored_and_predicted(grown: Path, tmp_path: Path) -> None:
    other = write_trees(tmp_path / "other.csv", n=100, seed=3)
    found = evaluation.evaluate(grown, data_path=str(other))
    assert found.rows == 100
    assert found.metrics["error_rate"] < 0.2
    bare = tmp_path / "bare.csv"
    bare.write_text("girth,height\n0.1,3.2\n3,0\n", encoding="utf-8")
    path = evaluation.predict(grown, bare, tmp_path / "out.csv")
    lines = rows(path)
    assert list(lines[0])[:3] == ["row", "predicted", f"p_{NAMES[0]}"]
    assert [line["predicted"] for line in lines] == [NAMES[1], NAMES[2]]
    with pytest.raises(UserError, match="has no column tree to compare with"):
        evaluation.evaluate(grown, data_path=str(bare))
    strange = write_trees(tmp_path / "strange.csv", labels=("ash", "oka", "fir & <pine>"))
    with pytest.raises(UserError, match=r"label 'oka' is in no training row.*Did you mean 'oak'"):
        evaluation.evaluate(grown, data_path=str(strange))
    # A label that is not asked for does no harm.
    evaluation.predict(grown, strange, tmp_path / "strange_out.csv")


def test_the_report_tells_what_is_taken_for_what(grown: Path) -> None:
    from tagi_cli.experiment.folder import RunFolder

    folder = RunFolder.open(grown)
    text = write_report(folder).read_text(encoding="utf-8")
    for words in ("Confusion matrix", "Reliability", "labels are predicted right", "recall", "F1",
                  "Brier score", "error rate by epoch"):  # fmt: skip
        assert words in text
    assert "<pine>" not in text
    assert "fir &amp; &lt;pine&gt;" in text
    assert "RMSE" not in text
    stems = {path.stem for path in folder.figures.glob("test_*.png")}
    names = ("confusion", "reliability", "confidence", "entropy")
    assert stems == {f"test_{name}" for name in names}
    assert "are epistemic: more data would take them away" in text
    assert "top-5" not in text


def verdict(right: int, sure: float, n: int = 400) -> str:
    """What a report says of so many right predictions of one confidence."""
    from tagi_cli.experiment.report.classes import ACCOUNT

    table = [{"label": "a", "rows": 300}, {"label": "b", "rows": 100}]
    bins = {"rows": [n], "confidence": [sure], "right": [right / n]}
    return ACCOUNT.verdict("test", {}, [{"reliability": bins, "table": table}])


def test_the_verdict_says_whether_the_model_is_as_sure_as_it_should_be() -> None:
    assert "as sure as it should be" in verdict(360, 0.9)
    assert "alarm" not in verdict(360, 0.9)
    assert "too sure of itself" in verdict(320, 0.9)
    assert "not sure enough" in verdict(390, 0.9)
    assert "alarm" in verdict(390, 0.9)
    assert "<code>a</code> would be right for 75.0 %" in verdict(360, 0.9)


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize("head", ["remax", "closed_form_softmax", "hrc"])
def test_every_head_trains_opens_and_predicts_alike(
    head: str, trees: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(
        **{"data.path": str(trees)} | SMALL | {"task": {"kind": "classification", "head": head}}
    )
    made = run.train(settings, "tagi train", tmp_path)
    score = summary(made)["test"]
    assert score["error_rate"] < 0.3
    again = evaluation.evaluate(made).metrics
    assert again == {name: pytest.approx(value, rel=1e-5) for name, value in score.items()}


@pytest.mark.usefixtures("no_drawing")
def test_an_interrupted_run_of_labels_goes_on_as_it_would_have(
    trees: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    def trained(epochs: int, **more: Any) -> Path:
        changes = {"data.path": str(trees)} | SMALL | {"trainer.max_epochs": epochs} | more
        return run.train(make_settings(**changes), "tagi train", tmp_path)

    whole = trained(6)
    parts = trained(3)
    resumed = trained(6, **{"trainer.resume": str(parts)})
    assert summary(resumed)["test"] == summary(whole)["test"]


WAVES = {
    "task": {"kind": "classification"},
    "data.out_components": ["shape"],
    "data.in_components": ["value"],
    "data.instance": "series",
    "data.time": "t",
    "data.in_chunk": [-15, 0],
    "data.stride": 4,
    "data.split_method": "instance-random",
    "trainer.max_epochs": 4,
    "trainer.refit": False,
    "ensemble.size": 1,
    "viz.enabled": False,
}


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Series that wander, and series that swing."""
    rng = np.random.default_rng(0)
    lines = ["series,t,value,shape"]
    for s in range(30):
        t, name = np.arange(30), ("walk", "swing")[s % 2]
        swing = np.sin(0.8 * t + rng.uniform(0, 6)) + 0.2 * rng.normal(size=30)
        value = swing if s % 2 else np.cumsum(0.4 * rng.normal(size=30))
        lines += [f"s{s},{i},{float(value[i])!r},{name}" for i in t]
    path = tmp_path_factory.mktemp("waves") / "waves.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("arch", ["mlp", "lstm", "cnn1d", "tcn"])
def test_windows_of_series_are_classified(
    arch: str, waves: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    network = {"kind": arch} | ({"width": 12} if arch in ("mlp", "lstm") else {"num_filters": 8})
    settings = make_settings(**{"data.path": str(waves), "arch": network} | WAVES)
    made = run.train(settings, "tagi train", tmp_path)
    assert summary(made)["test"]["error_rate"] < 0.3
    written = rows(made / "predictions" / "test.csv")
    assert list(written[0]) == [
        "instance", "slice", "time", "label", "predicted", "p_swing", "p_walk", "entropy",
        "entropy_epistemic",
    ]  # fmt: skip
    known = {f"s{s}": ("walk", "swing")[s % 2] for s in range(30)}
    assert all(line["label"] == known[line["instance"]] for line in written)
    again = evaluation.evaluate(made).metrics
    assert again["nll"] == pytest.approx(summary(made)["test"]["nll"], rel=1e-5)
    path = evaluation.predict(made, waves, tmp_path / "out.csv")
    by_place = {(one["instance"], one["time"]): one for one in rows(path)}
    for line in written[:10]:
        assert by_place[line["instance"], line["time"]]["predicted"] == line["predicted"]


def test_data_json_says_what_the_task_is(grown: Path) -> None:
    numbers = json.loads((grown / "figures" / "data.json").read_text(encoding="utf-8"))
    assert numbers["task"] == "classification"


def test_labels_that_are_words_are_no_numbers(
    trees: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(**{"data.path": str(trees), "data.out_components": ["tree"]})
    with pytest.raises(UserError, match=r"is not a number \(a target must be\)\..*classification"):
        run.train(settings, "tagi train", tmp_path)
