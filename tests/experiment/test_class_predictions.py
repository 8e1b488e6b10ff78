"""The table of class probabilities, and the places of predictions in series."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tagi_cli.data.times import Step
from tagi_cli.experiment import class_predictions, predictions
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.laws import diagnose as diagnose_any
from tagi_cli.experiment.laws import metrics
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.report.class_diagnostics import diagnose
from tagi_cli.training.class_entropy import decompose

CLASSES = ("10", 'a "b"', "x,y")


def law(members: int = 3, n: int = 40, classes: tuple[str, ...] = CLASSES) -> ClassPredictions:
    rng = np.random.default_rng(1)
    p = softmax(2 * rng.normal(size=(members, n, len(classes))), axis=2)
    label = rng.integers(0, len(classes), n).astype(float)
    label[::9] = np.nan
    return ClassPredictions(classes, Places(np.arange(5, 5 + n)), label, p, 0.1 * p * (1 - p))


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_line_is_the_mixture_of_the_members(tmp_path: Path) -> None:
    made = law()
    class_predictions.write_csv(tmp_path / "p.csv", made)
    written = lines(tmp_path / "p.csv")
    shares = [f"p_{name}" for name in CLASSES]
    entropies = ["entropy", "entropy_epistemic"]
    assert list(written[0]) == ["row", "label", "predicted", *shares, *entropies]
    total, epistemic = decompose(list(made.p), list(made.var_epistemic))
    assert made.label is not None
    for i, line in enumerate(written):
        p = made.p[:, i].mean(axis=0)
        seen = made.label[i]
        assert line["row"] == str(5 + i)
        assert line["label"] == ("" if np.isnan(seen) else CLASSES[int(seen)])
        assert line["predicted"] == CLASSES[int(p.argmax())]
        np.testing.assert_allclose([float(line[name]) for name in shares], p, rtol=1e-6)
        assert float(line["entropy"]) == pytest.approx(total[i], rel=1e-6)
        assert float(line["entropy_epistemic"]) == pytest.approx(epistemic[i], rel=1e-6)
    spread = np.sqrt(made.var_epistemic.mean(axis=0) + made.p.var(axis=0))
    np.testing.assert_allclose(made.sd_epistemic, spread)


def test_rows_without_targets_have_no_label(tmp_path: Path) -> None:
    class_predictions.write_csv(tmp_path / "p.csv", law().without_targets())
    assert "label" not in lines(tmp_path / "p.csv")[0]


def test_long_tables_are_written_without_seams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_predictions.write_csv(tmp_path / "whole.csv", law())
    monkeypatch.setattr(class_predictions, "_CELLS_PER_WRITE", 20)
    class_predictions.write_csv(tmp_path / "parts.csv", law())
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "parts.csv").read_text()


def test_metrics_are_those_of_the_mixture_over_observed_labels() -> None:
    made = law()
    assert made.label is not None
    known = ~np.isnan(made.label)
    own = made.p.mean(axis=0)[known, made.label[known].astype(int)]
    assert metrics(made)["nll"] == pytest.approx(-np.log(own).mean())
    assert metrics(made)["entropy"] == pytest.approx(made.entropy[known].mean())
    assert metrics(made)["entropy_epistemic"] == pytest.approx(made.entropy_epistemic[known].mean())
    assert metrics(made.without_targets()) == {}


def test_what_is_said_of_each_class() -> None:
    made = law()
    assert made.label is not None
    found = made.by_class()
    assert list(found) == list(CLASSES)
    for k, name in enumerate(CLASSES):
        seen, taken = made.label == k, made.predicted[~np.isnan(made.label)] == k
        assert found[name]["support"] == seen.sum()
        assert found[name]["recall"] == pytest.approx((made.predicted[seen] == k).mean())
        right = (made.label[~np.isnan(made.label)] == k) & taken
        assert found[name]["precision"] == pytest.approx(right.sum() / taken.sum())
    nobody = ClassPredictions(
        CLASSES, made.places.take(slice(1)), np.zeros(1), np.eye(3)[None, :1], np.zeros((1, 1, 3))
    ).by_class()
    assert nobody[CLASSES[0]] == {"precision": 1, "recall": 1, "f1": 1, "support": 1}
    assert nobody[CLASSES[1]] == {"precision": None, "recall": None, "f1": None, "support": 0}


def test_the_confusion_matrix_counts_what_is_taken_for_what() -> None:
    made = law()
    (found,) = diagnose(made)
    assert made.label is not None
    want = np.zeros((3, 3), int)
    for seen, guess in zip(made.label, made.predicted, strict=True):
        if not np.isnan(seen):
            want[int(seen), guess] += 1
    assert found["confusion"] == want.tolist()
    assert found["observed"] == want.sum() == sum(found["reliability"]["rows"])
    for k, row in enumerate(found["table"]):
        assert (row["label"], row["right"]) == (CLASSES[k], want[k, k])
        assert (row["rows"], row["predicted"]) == (want[k].sum(), want[:, k].sum())
    spread = found["confidence"]
    assert sum(spread["right"]) == np.trace(want)
    assert sum(spread["wrong"]) == want.sum() - np.trace(want)
    unsure = found["entropy"]
    known = ~np.isnan(made.label)
    assert unsure["total"] == pytest.approx(made.entropy[known].mean(), rel=1e-6)
    assert unsure["epistemic"] == pytest.approx(made.entropy_epistemic[known].mean(), rel=1e-6)
    assert diagnose_any(made.without_targets()) == []


def test_errors_of_the_surest_rows() -> None:
    made = law()
    assert made.label is not None
    (found,) = diagnose(made)
    known = ~np.isnan(made.label)
    wrong = made.predicted[known] != made.label[known]
    for key, values in (("by_entropy", made.entropy), ("by_epistemic", made.entropy_epistemic)):
        order = np.argsort(values[known])
        assert found["entropy"]["kept"] == [i / 20 for i in range(1, 21)]
        for i, rate in enumerate(found["entropy"][key], 1):
            count = math.ceil(i * known.sum() / 20)
            assert rate == pytest.approx(wrong[order][:count].mean(), rel=1e-6)
    # Rows that are alike have the same errors in the mean, in whatever order they come.
    p = np.full((1, 4, 3), 1 / 3)
    alike = ClassPredictions(CLASSES, Places(np.arange(4)), np.array([1.0, 0, 0, 0]), p, 0 * p)
    assert diagnose(alike)[0]["entropy"]["by_entropy"] == [0.25] * 20


def test_of_many_classes_those_with_most_rows_are_drawn() -> None:
    names = tuple(f"c{k}" for k in range(60))
    (found,) = diagnose(law(1, 500, names))
    assert len(found["table"]) == len(found["confusion"]) == 40
    assert found["classes"] == 60
    rows = [row["rows"] for row in found["table"]]
    assert found["table"] == sorted(found["table"], key=lambda row: int(row["label"][1:]))
    assert sum(rows) > 40 / 60 * found["observed"]


INDEX = np.array([[1, 0, 4], [1, 0, 5], [0, 2, 0]])
DATES = np.array(["2024-01-01T00", "2024-01-01T01:30", "2024-02-01"], "datetime64[us]")


@pytest.mark.parametrize(
    ("time", "cells"),
    [
        (None, ['"b,c",0,4', '"b,c",0,5', "a,2,0"]),
        (np.array([0.1, 2, 1e9]), ['"b,c",0,0.1', '"b,c",0,2', "a,2,1000000000"]),
        (
            DATES,
            [
                '"b,c",0,2024-01-01T00:00:00',
                '"b,c",0,2024-01-01T01:30:00',
                "a,2,2024-02-01T00:00:00",
            ],
        ),
    ],
)
def test_a_place_in_a_series_is_told_by_its_series_slice_and_time(
    time: Any, cells: list[str]
) -> None:
    places = Places(np.arange(3), INDEX, time, ("a", "b,c"))
    assert places.columns == ("instance", "slice", "time")
    assert places.cells() == cells
    assert places.take(np.array([2])).cells() == cells[2:]
    assert Places(np.array([7, 2])).cells() == ["7", "2"]


@pytest.mark.parametrize(
    ("step", "time", "told"),
    [
        (Step("number", 0.5), np.array([1.0, 2, 3]), ["2", "3", "4"]),
        (Step("microsecond", 3_600_000_000), DATES, [
            "2024-01-01T02:00:00", "2024-01-01T03:30:00", "2024-02-01T02:00:00"
        ]),
        (Step("month", 1), DATES.astype("datetime64[M]"), [
            "2024-03-01", "2024-03-01", "2024-04-01"
        ]),
        (Step("microsecond", 86_400_000_000), DATES[[0, 0, 2]], [
            "2024-01-03", "2024-01-03", "2024-02-03"
        ]),
        (Step("microsecond", 86_400_000_000), DATES, [
            "2024-01-03T00:00:00", "2024-01-03T01:30:00", "2024-02-03T00:00:00"
        ]),
    ],
)  # fmt: skip
def test_times_of_rows_that_lie_ahead(step: Step, time: Any, told: list[str]) -> None:
    if time.dtype.kind == "M":
        time = time.astype("datetime64[us]")
    places = Places(np.arange(3), INDEX, time, ("a", "b"), step)
    assert [cells.rsplit(",", 1)[1] for cells in places.cells(2)] == told


def windows(lengths: Any = None) -> Predictions:
    """Two components at three steps, for the three places of INDEX."""
    rng = np.random.default_rng(2)
    shape = (2, 3, 6)
    return Predictions(
        ("u", "v"), Places(np.arange(3), INDEX, None, ("a", "b")), rng.normal(size=shape[1:]),
        rng.normal(size=shape), rng.random(shape), rng.random(shape), (0, 1, 2), lengths,
    )  # fmt: skip


@pytest.mark.parametrize("lengths", [None, np.array([3, 1, 2])])
def test_windows_have_a_line_per_step_that_there_is(tmp_path: Path, lengths: Any) -> None:
    made = windows(lengths)
    predictions.write_csv(tmp_path / "p.csv", made)
    written = lines(tmp_path / "p.csv")
    assert list(written[0])[:5] == ["instance", "slice", "time", "step", "component"]
    expected = [
        (i, t, k)
        for i in range(3)
        for t in range(3 if lengths is None else lengths[i])
        for k in range(2)
    ]
    assert len(written) == len(expected)
    for line, (i, t, k) in zip(written, expected, strict=True):
        assert (line["instance"], line["time"]) == ("ab"[INDEX[i, 0]], str(INDEX[i, 2] + t))
        assert (line["step"], line["component"]) == (str(t), "uv"[k])
        assert float(line["mu"]) == pytest.approx(made.mu[:, i, 2 * t + k].mean())
        assert made.y is not None
        assert float(line["y"]) == pytest.approx(made.y[i, 2 * t + k])


def test_metrics_of_windows_are_those_of_their_steps() -> None:
    made = windows(np.array([3, 1, 2]))
    assert made.y is not None
    error = (made.y - made.mu.mean(axis=0)).reshape(3, 3, 2)
    there = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]], bool)
    found = metrics(made)
    assert found["rmse"] == pytest.approx(np.sqrt((error[there] ** 2).mean()))
    assert found["components"]["v"]["mae"] == pytest.approx(abs(error[there][:, 1]).mean())
    assert [one["name"] for one in diagnose_any(made)] == ["u", "v"]
    assert diagnose_any(made)[0]["observed"] == 6
