"""Runs on images: from files to reports, and back by the verbs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_files import drawn, write_mnist, write_png

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, run, tasks
from tagi_cli.experiment.model import Classes, Model, Moments
from tagi_cli.experiment.report import images as image_report
from tagi_cli.experiment.report import page as report
from tagi_cli.experiment.settings import Settings, registries

from .conftest import merged, rows, summary

TREE: dict[str, Any] = {
    "name": "images",
    "task": "classification",
    "kernels": "numpy",
    "data": {"batch_size": 20},
    "arch": {"kind": "mlp", "width": 12, "depth": 1},
    "noise": "auto",
    "trainer": {"max_epochs": 4},
    "ensemble": {"size": 1},
}


def settings(**changes: Any) -> Settings:
    return config.check(Settings, registries(), merged(TREE, changes))


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "mnist"
    write_mnist(folder, 200, 60)
    return folder


@pytest.fixture(scope="module")
def classified(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tells images apart by how bright they are, drawn with its report."""
    chosen = settings(**{"data.path": str(mnist), "data.image": {"shift": 1, "flip": True}})
    return run.train(chosen, "tagi train", tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def rebuilt(mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an autoencoder."""
    chosen = settings(
        **{
            "data.path": str(mnist),
            "task": "reconstruction",
            "arch": {"kind": "autoencoder", "units": [16], "code": 4},
            "predictor.splits": ["test"],
        }
    )
    return run.train(chosen, "tagi train", tmp_path_factory.mktemp("runs"))


def test_a_run_leaves_its_metrics_and_predictions(classified: Path) -> None:
    found = summary(classified)
    assert found["status"] == "completed"
    assert found["test"]["error_rate"] < 0.3
    table = rows(classified / "predictions" / "test.csv")
    assert [row["label"] for row in table] == [str(k) for k in drawn(60, 1)[1]]
    shares = [sum(float(row[f"p_{k}"]) for k in range(4)) for row in table]
    np.testing.assert_allclose(shares, 1, atol=1e-5)
    environment = json.loads((classified / "environment.json").read_text())
    assert environment["data"]["image"] == {"shape": [1, 6, 5], "whole": [1, 6, 5]}
    assert environment["data"]["rows"] == 260


def test_the_report_shows_images_taken_for_another_class(classified: Path) -> None:
    numbers = json.loads((classified / "figures" / "data.json").read_text())["images"]
    table = rows(classified / "predictions" / "test.csv")
    wrong = [row for row in table if row["label"] != row["predicted"]]
    assert numbers["count"] == len(wrong) > 0
    images, _ = drawn(60, 1)
    for one in numbers["wrong"]:
        row = table[one["row"]]
        assert (one["label"], one["predicted"]) == (row["label"], row["predicted"])
        pixels = np.frombuffer(base64.b64decode(one["pixels"]), np.uint8)
        np.testing.assert_array_equal(pixels.reshape(6, 5), images[one["row"]])
    sure = [one["probability"] for one in numbers["wrong"]]
    assert sure == sorted(sure, reverse=True)
    page = (classified / "report.html").read_text(encoding="utf-8")
    assert "images of 1 x 6 x 5" in page
    assert "were taken for another class" in page
    assert (classified / "figures" / "test_wrong_images.svg").is_file()


def test_the_report_shows_reconstructions(rebuilt: Path) -> None:
    numbers = json.loads((rebuilt / "figures" / "data.json").read_text())["images"]
    assert len(numbers["rebuilt"]) == image_report.REBUILT
    first = np.frombuffer(base64.b64decode(numbers["rebuilt"][0]["pixels"]), np.uint8)
    np.testing.assert_array_equal(first.reshape(6, 5), drawn(60, 1)[0][0])
    mean = np.frombuffer(base64.b64decode(numbers["rebuilt"][-1]["mean"]), np.uint8)
    predicted = Model.load(rebuilt).predict(drawn(60, 1)[0][-1:])
    assert isinstance(predicted, Moments)
    np.testing.assert_allclose(mean, np.clip(predicted.mean[0], 0, 255), atol=0.51)
    assert "<h2>Reconstructions</h2>" in (rebuilt / "report.html").read_text(encoding="utf-8")


def test_metrics_of_reconstructions_are_those_of_all_pixels(rebuilt: Path) -> None:
    images, _ = drawn(60, 1)
    moments = Model.load(rebuilt).predict(images)
    assert isinstance(moments, Moments)
    error = moments.mean - images.reshape(60, 30)
    found = summary(rebuilt)["test"]
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert list(found["components"]) == ["pixel"]
    table = rows(rebuilt / "predictions" / "test.csv")
    own = np.sqrt(np.mean(error**2, axis=1))
    np.testing.assert_allclose([float(row["rmse"]) for row in table], own, rtol=1e-6)
    nll = np.mean(0.5 * np.log(2 * np.pi * moments.sd**2) + 0.5 * (error / moments.sd) ** 2, axis=1)
    np.testing.assert_allclose([float(row["nll"]) for row in table], nll, rtol=1e-5)
    sd = np.sqrt(np.mean(moments.sd_epistemic**2, axis=1))
    np.testing.assert_allclose([float(row["sd_epistemic"]) for row in table], sd, rtol=1e-5)


def test_eval_of_the_runs_own_data_and_of_others(
    classified: Path, rebuilt: Path, mnist: Path, tmp_path: Path
) -> None:
    own = evaluation.evaluate(classified)
    assert own.metrics == pytest.approx(summary(classified)["test"])
    images, labels = drawn(40, 7)
    np.savez(tmp_path / "new.npz", x=images, y=labels)
    other = evaluation.evaluate(classified, data_path=str(tmp_path / "new.npz"))
    assert other.rows == 40
    model = Model.load(classified).predict(images)
    assert isinstance(model, Classes)
    wrong = np.mean(model.label != labels.astype(str))
    assert other.metrics["error_rate"] == pytest.approx(wrong)
    np.savez(tmp_path / "bare.npz", x=images)
    assert evaluation.evaluate(rebuilt, data_path=str(tmp_path / "bare.npz")).rows == 40
    with pytest.raises(UserError, match="no observed target"):
        evaluation.evaluate(classified, data_path=str(tmp_path / "bare.npz"))
    with pytest.raises(UserError, match=r"data\.path: .*no such file"):
        evaluation.evaluate(classified, data_path=str(tmp_path / "nothing"))


def test_predict_of_a_folder_names_the_files(classified: Path, tmp_path: Path) -> None:
    images, labels = drawn(6, 9)
    for k in range(6):
        # A label that training did not know is of no interest here.
        write_png(tmp_path / "new" / f"kind{labels[k]}" / f"{k}.png", images[k])
    written = evaluation.predict(classified, tmp_path / "new", tmp_path / "out.csv")
    table = rows(written)
    assert [row["file"] for row in table] == [
        "kind0/0.png", "kind0/4.png", "kind1/1.png", "kind1/5.png", "kind2/2.png", "kind3/3.png",
    ]  # fmt: skip
    assert "label" not in table[0]
    expected = Model.load(classified).predict(images[[0, 4, 1, 5, 2, 3]])
    assert isinstance(expected, Classes)
    assert [row["predicted"] for row in table] == expected.label.tolist()


def test_predict_of_reconstructions(rebuilt: Path, mnist: Path, tmp_path: Path) -> None:
    table = rows(evaluation.predict(rebuilt, mnist, tmp_path / "out.csv"))
    assert len(table) == 260
    assert list(table[0]) == ["row", "rmse", "nll", "sd_epistemic", "sd_noise"]


def test_predict_of_what_does_not_fit(classified: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", x=drawn(4, 0, 7, 7)[0])
    with pytest.raises(UserError, match=r"input: .*images of 1 x 7 x 7\. Allowed: 1 x 6 x 5"):
        evaluation.predict(classified, tmp_path / "new.npz", tmp_path / "out.csv")
    with pytest.raises(UserError, match="takes images of 1 x 6 x 5, not a table"):
        Model.load(classified).predict({"a": np.zeros(3)})


def test_a_config_reproduces_its_run(classified: Path, tmp_path: Path, no_drawing: None) -> None:
    again = config.load(Settings, registries(), classified / "config.yaml")
    found = summary(run.train(again, "tagi train", tmp_path))
    before = summary(classified)
    assert (found["valid"], found["test"]) == (before["valid"], before["test"])


def test_a_mapped_file_and_a_packed_one_train_alike(tmp_path: Path, no_drawing: None) -> None:
    results = []
    for packed in (True, False):
        folder = tmp_path / str(packed)
        write_mnist(folder, 100, 20, packed=packed)
        varied = {"data.path": str(folder), "data.image": {"shift": 1}}
        found = summary(run.train(settings(**varied), "tagi train", tmp_path / "runs"))
        results.append((found["valid"], found["test"]))
    assert results[0] == results[1]


def test_an_interrupted_run_goes_on_with_the_same_variations(
    mnist: Path, tmp_path: Path, no_drawing: None
) -> None:
    changes = {"data.path": str(mnist), "data.image": {"shift": 2, "flip": True}}
    whole = summary(run.train(settings(**changes), "tagi train", tmp_path / "whole"))
    short = settings(**changes, **{"trainer.max_epochs": 2})
    first = run.train(short, "tagi train", tmp_path / "first")
    more = settings(**changes, **{"trainer.resume": str(first), "trainer.max_epochs": 4})
    found = summary(run.train(more, "tagi train"))
    assert (found["valid"], found["test"]) == (whole["valid"], whole["test"])


def test_noise_of_each_pixel_is_remarked(mnist: Path) -> None:
    found = {}
    for noise in ("auto", "learned", "constant"):
        changes = {"data.path": str(mnist), "task": "reconstruction", "noise": noise}
        notices: list[str] = []
        tasks.load_data(settings(**changes), notices)
        found[noise] = "a variance is learnt for each pixel" in " ".join(notices)
    assert found == {"auto": True, "learned": True, "constant": False}


def test_large_images_are_thinned_in_reports() -> None:
    thin = image_report._thinned(np.zeros((2, 3, 300, 200), np.uint8))
    assert thin.shape[0:2] == (2, 3)
    assert thin.shape[2] * thin.shape[3] <= image_report._LARGEST


def test_a_report_without_images_has_no_part_for_them() -> None:
    assert image_report.section({"splits": {}}) == image_report.Section([], "")


def test_reports_are_drawn_again_from_the_folder_alone(rebuilt: Path) -> None:
    before = (rebuilt / "figures" / "test_reconstructions.svg").read_bytes()
    report.write_report(run.RunFolder.open(rebuilt))
    assert (rebuilt / "figures" / "test_reconstructions.svg").read_bytes() == before
