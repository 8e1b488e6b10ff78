"""Opening a trained model: the same predictions as the run wrote, in several ways, or an error."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tagi_cli
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.convert import convert
from tagi_cli.experiment.laws import in_original_units
from tagi_cli.experiment.members import make_backend
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.summary import byte_words, summarise
from tagi_cli.training import checkpoint
from tagi_cli.training.interface import Prediction

from .conftest import write_table


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def columns_of(table: Path) -> dict[str, list[float | str]]:
    lines = rows(table)
    return {"a": [float(r["a"]) for r in lines], "kind": [r["kind"] for r in lines]}


def test_python_predicts_what_the_run_wrote(trained: Path, table: Path) -> None:
    model = tagi_cli.load(str(trained))
    assert (model.inputs, model.outputs) == (("a", "kind"), ("y",))
    assert repr(model) == "<tagi model of 2 networks: a, kind -> y>"
    moments = model.predict(columns_of(table))
    written = rows(trained / "predictions" / "test.csv")
    index = [int(line["row"]) for line in written]
    for column, values in {
        "mu": moments.mean,
        "sd_epistemic": moments.sd_epistemic,
        "sd_noise": moments.sd_noise,
        "sd": moments.sd,
        "lo_90": model.quantile(columns_of(table), 0.05),
        "hi_90": model.quantile(columns_of(table), 0.95),
    }.items():
        expected = [float(line[column]) for line in written]
        np.testing.assert_allclose(values[index, 0], expected, rtol=1e-5, err_msg=column)


def test_moments_are_translated_to_the_units_of_the_data(trained: Path) -> None:
    encoder = Model.load(trained).encoder
    scale = float(encoder.scale_y[0])
    scaled = Prediction(np.array([[-2.0]]), np.array([[0.09]]), np.array([[0.16]]))
    scaler = encoder.center_y[None], encoder.scale_y[None]
    law = in_original_units(encoder, [scaled], Places(np.arange(1)), None, *scaler)
    assert scale > 2
    assert law.mean[0, 0] == pytest.approx(encoder.center_y[0] - 2 * scale)
    assert law.sd_epistemic[0, 0] == pytest.approx(0.3 * scale)
    assert law.sd_noise[0, 0] == pytest.approx(0.4 * scale)
    assert law.sd[0, 0] == pytest.approx(0.5 * scale)


def test_an_array_is_taken_in_the_order_of_the_inputs(trained: Path, table: Path) -> None:
    model = Model.load(trained)
    named = columns_of(table)
    array = np.array([named["a"], named["kind"]], dtype=object).T
    np.testing.assert_array_equal(model.predict(array).mean, model.predict(named).mean)
    with pytest.raises(UserError, match=r"shape \(200, 1\); allowed: \(rows, 2\)"):
        model.predict(array[:, :1])
    with pytest.raises(UserError, match="category 'blue' is in no training row"):
        model.predict({"a": [0.0], "kind": ["blue"]})


def test_no_rows_and_one_row(trained: Path) -> None:
    model = Model.load(trained)
    assert model.predict({"a": np.zeros(0), "kind": []}).mean.shape == (0, 1)
    assert model.predict({"a": [0.0], "kind": ["red"]}).sd.shape == (1, 1)


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, np.nan])
def test_quantiles_need_a_probability(trained: Path, probability: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        Model.load(trained).quantile({"a": [0.0], "kind": ["red"]}, probability)


def test_best_last_and_copies_elsewhere(trained: Path, tmp_path: Path) -> None:
    x = {"a": [0.5], "kind": ["red"]}
    best = Model.load(trained).predict(x)
    for suffix in ("", ".sha256"):
        name = f"best.safetensors{suffix}"
        shutil.copy(trained / "checkpoints" / name, tmp_path / name)
    copy = Model.load(trained, str(tmp_path / "best.safetensors")).predict(x)
    np.testing.assert_array_equal(copy.mean, best.mean)
    assert Model.load(trained, "last").predict(x).mean.shape == (1, 1)


@pytest.mark.usefixtures("no_drawing")
def test_double_precision_is_that_of_the_rows_too(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """Inputs that differ by less than float32 can tell are two inputs, for the model of a run."""
    settings = make_settings(**{"precision": "float64", "trainer.max_epochs": 1})
    near, far = (
        Model.load(run.train(settings, "tagi train", tmp_path)).predict(
            {"a": [1.0, 1.0 + step], "kind": ["red", "red"]}
        )
        for step in (1e-10, 1e-9)
    )
    slopes = [float(np.diff(law.mean[:, 0])[0]) for law in (near, far)]
    assert 0 < abs(slopes[0]) < 1e-8
    assert slopes[1] == pytest.approx(10 * slopes[0], rel=1e-3)


def test_csv_and_back_loses_nothing(trained: Path, tmp_path: Path) -> None:
    x = {"a": [0.5], "kind": ["red"]}
    binary = trained / "checkpoints" / "best.safetensors"
    for name in ("best", "last"):
        source = trained / "checkpoints" / f"{name}.safetensors"
        folder = convert(source, tmp_path / f"{name}-csv")
        back = convert(folder, tmp_path / f"{name}.safetensors")
        assert back.read_bytes() == source.read_bytes()
    assert convert(trained, tmp_path / "of-the-run").is_dir()
    from_csv = Model.load(trained, str(tmp_path / "best-csv")).predict(x)
    np.testing.assert_array_equal(from_csv.mean, Model.load(trained).predict(x).mean)
    with pytest.raises(UserError, match="is there already; nothing is overwritten"):
        convert(binary, tmp_path / "best-csv")
    with pytest.raises(UserError, match="is a binary checkpoint, so the target must be a folder"):
        convert(binary, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="is a CSV folder, so the target must be a file"):
        convert(tmp_path / "best-csv", tmp_path / "x")
    with pytest.raises(UserError, match="no such checkpoint"):
        convert(tmp_path / "nothing", tmp_path / "y")
    with pytest.raises(UserError, match="neither a run folder nor a CSV checkpoint"):
        convert(tmp_path, tmp_path / "x")


@pytest.mark.usefixtures("no_drawing")
def test_a_checkpoint_of_another_network_is_refused(
    trained: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    changes = {"arch.width": 9, "trainer.max_epochs": 1}
    other = run.train(make_settings(**changes), "tagi train", tmp_path)
    with pytest.raises(UserError, match="does not fit the network of its run"):
        Model.load(trained, str(other / "checkpoints" / "best.safetensors"))


def test_a_checkpoint_without_encoder_is_refused(trained: Path, tmp_path: Path) -> None:
    tensors, _ = checkpoint.read(trained / "checkpoints" / "best.safetensors")
    checkpoint.write(tmp_path / "a.safetensors", tensors, {})
    with pytest.raises(UserError, match="holds no encoder"):
        Model.load(trained, str(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_refused(trained: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    path = copy / "checkpoints" / "best.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        del data[-100:]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        Model.load(copy)


def test_a_run_of_another_version_is_refused(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    environment = json.loads((copy / "environment.json").read_text(encoding="utf-8"))
    (copy / "environment.json").write_text(json.dumps(environment | {"format": 2}))
    for use in (Model.load, evaluation.evaluate):
        with pytest.raises(UserError, match="run folder format 2, but this version"):
            use(copy)


def test_evaluation_repeats_the_summary(trained: Path) -> None:
    found = evaluation.evaluate(trained)
    summary = json.loads((trained / "summary.json").read_text(encoding="utf-8"))
    assert found.metrics == summary["test"]
    assert (found.of, found.rows, found.predictions) == ("test", 20, None)


@pytest.mark.usefixtures("no_drawing")
def test_evaluating_the_training_part_leaves_its_predictions(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    made = run.train(make_settings(**{"trainer.max_epochs": 1}), "tagi train", tmp_path)
    found = evaluation.evaluate(made, split="train")
    assert found.predictions == made / "predictions" / "train.csv"
    assert len(rows(found.predictions)) == found.rows == 140
    assert any("were learnt" in notice for notice in found.notices)
    assert evaluation.evaluate(made, split="train").predictions is None


def test_evaluating_another_file(trained: Path, tmp_path: Path) -> None:
    other = write_table(tmp_path / "other.csv", rows=50, seed=9)
    found = evaluation.evaluate(trained, data_path=str(other))
    assert (found.of, found.rows) == ("other.csv", 50)
    lines = [line for line in rows(other) if line["y"]]
    moments = Model.load(trained).predict(columns_of(other))
    error = np.array([float(r["y"]) for r in lines]) - moments.mean[: len(lines), 0]
    assert found.metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_mistakes_in_an_evaluation(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown part 'tset'. Did you mean 'test'\?"):
        evaluation.evaluate(trained, split="tset")
    bare = tmp_path / "bare.csv"
    bare.write_text("a,kind\n1.0,red\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no column y to compare with"):
        evaluation.evaluate(trained, data_path=str(bare))
    bare.write_text("a,kind,y\n1.0,red,\n2.0,red,\n", encoding="utf-8")
    with pytest.raises(UserError, match="no observed target"):
        evaluation.evaluate(trained, data_path=str(bare))
    with pytest.raises(UserError, match=r"data\.path: .*nope\.csv: no such file"):
        evaluation.evaluate(trained, data_path="nope.csv")


@pytest.mark.usefixtures("no_drawing")
def test_an_empty_part_and_changed_data(
    make_settings: Callable[..., Settings], table: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(table, tmp_path / "small.csv"))
    changes = {"data.split_portions": [0.9, 0.1, 0.0], "trainer.max_epochs": 1}
    settings = make_settings(**changes, **{"data.path": str(copy)})
    made = run.train(settings, "tagi train", tmp_path / "runs")
    with pytest.raises(UserError, match="the test part of this run is empty"):
        evaluation.evaluate(made)
    with copy.open("a", encoding="utf-8") as file:
        file.write("0.1,red,41\n")
    with pytest.raises(UserError, match="has changed since this run"):
        evaluation.evaluate(made, split="valid")


def test_predicting_a_file(trained: Path, table: Path, tmp_path: Path) -> None:
    output = evaluation.predict(trained, table, tmp_path / "out.csv")
    lines = rows(output)
    assert list(lines[0]) == [
        "row", "component", "mu", "sd_epistemic", "sd_noise", "sd", "lo_90", "hi_90",
    ]  # fmt: skip
    assert [int(line["row"]) for line in lines] == list(range(200))
    expected = {line["row"]: line for line in rows(trained / "predictions" / "test.csv")}
    for line in lines:
        if line["row"] in expected:
            assert float(line["hi_90"]) == pytest.approx(
                float(expected[line["row"]]["hi_90"]), rel=1e-5
            )


def test_predictions_overwrite_only_when_told(trained: Path, table: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"is there already.*overwrite=true"):
        evaluation.predict(trained, table, output)
    assert output.read_text(encoding="utf-8") == "mine"
    link = tmp_path / "link.csv"
    link.symlink_to(output)
    evaluation.predict(trained, table, link, overwrite=True)
    assert link.is_symlink()
    assert len(rows(output)) == 200


@pytest.mark.usefixtures("no_drawing")
def test_filled_values_of_new_rows_are_told(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    made = run.train(
        make_settings(**{"data.missing": "mean", "trainer.max_epochs": 1}), "", tmp_path
    )
    new = tmp_path / "new.csv"
    new.write_text("a,kind,y\n,red,40\n1.0,,41\n,green,42\n", encoding="utf-8")
    told = "3 missing inputs filled with the mean of the training part: a 2, kind 1"
    notices: list[str] = []
    evaluation.predict(made, new, tmp_path / "out.csv", notices=notices)
    assert notices == [told]
    assert evaluation.evaluate(made, data_path=str(new)).notices == (told,)


def test_mistakes_in_a_prediction(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"input: .*no such file"):
        evaluation.predict(trained, "nope.csv", tmp_path / "out.csv")
    short = tmp_path / "short.csv"
    short.write_text("a\n1.0\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"input: .*no column for the input kind"):
        evaluation.predict(trained, short, tmp_path / "out.csv")
    short.write_text("a,Kind\n1.0,red\n", encoding="utf-8")
    near = r"no column for the input kind\. Did you mean 'Kind'\? Columns: a, Kind$"
    with pytest.raises(UserError, match=near):
        evaluation.predict(trained, short, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    for output, message in {
        "out.parquet": r"output: .*out\.parquet ends in \.parquet, but what is written is CSV",
        "no/out.csv": r"output: there is no folder .*no; make it, or name another",
        "folder": r"output: .*folder is there and is not a plain file",
    }.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=message):
            evaluation.predict(trained, short, tmp_path / output, overwrite=True)


def test_a_summary_counts_parameters_memory_and_arithmetic(trained: Path) -> None:
    model = Model.load(trained)
    found = summarise(model.settings, model.encoder, make_backend(model.settings))
    # 3 features (a, two colours) - 8 hidden units - an output and its noise, biases included.
    assert found.parameters == 3 * 8 + 8 + 8 * 2 + 2
    assert (found.members, found.batch_size) == (2, 16)
    assert found.parameter_bytes == 2 * found.parameters * 4 * 4
    # At least mean and variance of 17 units of 16 rows, in float32, for both members.
    assert found.activation_bytes > 2 * 16 * 17 * 2 * 4
    assert found.flops == 2 * 16 * sum(layer.flops for layer in found.layers)
    assert [row["output"] for row in found.rows()] == ["8", "8", "2", "2"]


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (5e15, "5e+03 TB")],
)
def test_bytes_in_words(count: int, words: str) -> None:
    assert byte_words(count) == words
