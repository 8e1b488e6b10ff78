"""Runs that go on from others with new rows: nothing is lost by cutting, or learnt twice."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import config
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment import run
from tagi_cli.experiment.evaluation import evaluate
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.report.page import write_report
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.training import checkpoint
from tagi_cli.training.learner import Learner
from tagi_cli.training.pace import Pace

from .conftest import merged, summary

BATCH = 16
PLAIN: dict[str, Any] = {
    "task": "regression",
    "kernels": "numpy",
    "data": {"out_components": ["y"], "batch_size": BATCH},
    "arch": {"kind": "mlp", "width": 6, "depth": 1},
    "noise": "auto",
    "trainer": {"max_epochs": 2},
    "ensemble": {"size": 2},
    "viz": {"enabled": False},
}
Tensors = dict[str, np.ndarray[Any, Any]]


def settings(**changes: Any) -> Settings:
    return config.check(Settings, registries(), merged(PLAIN, changes))


def update(parent: Path, table: Path, **changes: Any) -> Path:
    """`tagi update run=<parent> data.path=<table>`, without the command line."""
    own = config.load(Settings, registries(), parent / "config.yaml")
    tree = config.dump(own, registries())
    import yaml

    given = {"data.path": str(table), "trainer.parent": str(parent), "trainer.online": True}
    made = config.check(Settings, registries(), merged(yaml.safe_load(tree), given | changes))
    return run.train(made, "tagi update", parent.parent)


def tensors(folder: Path) -> Tensors:
    return checkpoint.read(folder / "checkpoints" / "best.safetensors")[0]


def assert_same(one: Path, other: Path, skipped: Sequence[str] = ()) -> None:
    """Every number that the networks have, to 1e-6 of its array's largest."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        if any(part in name for part in ("history", *skipped)):
            continue
        scale = np.abs(value).max(initial=1e-30)
        np.testing.assert_allclose(second[name], value, rtol=0, atol=1e-6 * scale, err_msg=name)


def write(path: Path, header: str, lines: Sequence[str]) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def table_lines(rows: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(rows):
        a, kind = float(rng.uniform(-2, 2)), str(rng.choice(["red", "green"]))
        y = 40 + 5 * math.sin(a) + 2 * (kind == "red") + 0.3 * float(rng.normal())
        lines.append(f"{a!r},{kind},{y!r}")
    return lines


@pytest.fixture
def plain(tmp_path: Path) -> tuple[Path, list[str]]:
    """A finished run, and lines of new rows."""
    lines = table_lines(160 + 8 * BATCH)
    first = write(tmp_path / "first.csv", "a,kind,y", lines[:160])
    made = run.train(settings(**{"data.path": str(first)}), "tagi train", tmp_path / "runs")
    return made, lines[160:]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"noise": {"kind": "decay", "decay": 0.7}},
        {"noise": "heteroscedastic"},
        {"task": "classification", "data.out_components": ["kind"]},
        {"trainer.update_rule": "site", "ensemble.size": 1},
    ],
    ids=["learned", "decay", "heteroscedastic", "classes", "site"],
)
def test_two_updates_give_what_one_gives(changes: dict[str, Any], tmp_path: Path) -> None:
    lines = table_lines(160 + 6 * BATCH)
    files = {
        name: write(tmp_path / f"{name}.csv", "a,kind,y", lines[part])
        for name, part in {
            "first": slice(0, 160),
            "half": slice(160, 160 + 2 * BATCH),
            "rest": slice(160 + 2 * BATCH, None),
            "whole": slice(160, None),
        }.items()
    }
    start = run.train(settings(**{"data.path": str(files["first"])}, **changes), "", tmp_path / "r")
    before = tensors(start)
    whole = update(start, files["whole"])
    halves = update(update(start, files["half"]), files["rest"])
    assert_same(whole, halves)
    moved = [name for name in before if name.endswith("weight.mu")]
    assert any(not np.array_equal(before[name], tensors(whole)[name]) for name in moved)
    assert all(np.array_equal(before[name], value) for name, value in tensors(start).items())
    assert Model.load(whole).encoder.to_json() == Model.load(start).encoder.to_json()
    for name in before:
        if name.endswith("noise.var_v"):
            np.testing.assert_allclose(tensors(whole)[name], before[name], rtol=1e-6)
            assert tensors(whole)[name][0] < 1


def test_an_update_equals_going_on_with_an_online_run(tmp_path: Path) -> None:
    """Without scaling, what is learnt does not depend on where the first run ends."""
    lines = table_lines(12 * BATCH)
    files = [
        write(tmp_path / f"{name}.csv", "a,kind,y", part)
        for name, part in (
            ("half", lines[: 4 * BATCH]), ("rest", lines[4 * BATCH :]), ("whole", lines),
        )
    ]  # fmt: skip
    online = {
        "trainer.online": True,
        "data.scaling_method": "none",
        "data.split_method": "chronological",
        "data.split_portions": [0.8, 0.2, 0.0],
    }
    half, whole = (
        run.train(settings(**{"data.path": str(path)}, **online), "", tmp_path / "r")
        for path in (files[0], files[2])
    )
    assert summary(half)["prequential"]["rows"] == 4 * BATCH
    assert_same(whole, update(half, files[1]))


def course(made: Path) -> list[dict[str, float]]:
    """The points of its curve."""
    return list(json.loads((made / "figures" / "data.json").read_text())["prequential"])


def test_one_pass_scores_each_batch_before_it_is_learnt(tmp_path: Path) -> None:
    """The metrics are those of predictions by networks that have learnt the batches before."""
    lines = table_lines(3 * BATCH)
    path = write(tmp_path / "all.csv", "a,kind,y", lines)
    # A pass scores as it learns, without the factors of a calibration.
    alone = {"data.path": str(path), "ensemble.size": 1, "trainer.calibrate": False}
    start = run.train(settings(**alone), "", tmp_path / "runs")
    new = table_lines(3 * BATCH, seed=5)
    made = update(start, write(tmp_path / "new.csv", "a,kind,y", new))
    found, points = summary(made), course(made)
    assert [point["rows"] for point in points] == [BATCH, 2 * BATCH, 3 * BATCH]
    nll = squared = 0.0
    for k in range(3):
        part = new[k * BATCH : (k + 1) * BATCH]
        batch = write(tmp_path / f"batch{k}.csv", "a,kind,y", part)
        metrics = evaluate(start, data_path=str(batch)).metrics
        nll, squared = nll + metrics["nll"] / 3, squared + metrics["rmse"] ** 2 / 3
        for name in ("nll", "rmse"):
            assert points[k][name] == pytest.approx(metrics[name], rel=1e-4)
        start = update(start, batch)
    assert found["prequential"]["rows"] == 3 * BATCH
    assert found["prequential"]["nll"] == pytest.approx(nll, rel=1e-5)
    assert found["prequential"]["rmse"] == pytest.approx(math.sqrt(squared), rel=1e-5)
    assert (found["epochs"], found["valid"], found["test"]) == (1, {}, {})


def test_rows_keep_their_order_and_less_than_a_batch_is_enough(
    plain: tuple[Path, list[str]], tmp_path: Path
) -> None:
    start, lines = plain
    there = update(start, write(tmp_path / "a.csv", "a,kind,y", lines[:5]))
    back = update(start, write(tmp_path / "b.csv", "a,kind,y", lines[:5][::-1]))
    assert summary(there)["prequential"]["rows"] == 5
    one = update(start, write(tmp_path / "c.csv", "a,kind,y", lines[:1]))
    assert summary(one)["status"] == "completed"
    # One batch is one sum; which row comes first shows only from the second batch on.
    assert_same(there, back)
    order = update(start, write(tmp_path / "d.csv", "a,kind,y", lines[: 2 * BATCH]))
    other = update(start, write(tmp_path / "e.csv", "a,kind,y", lines[: 2 * BATCH][::-1]))
    with pytest.raises(AssertionError):
        assert_same(order, other)


def test_the_record_names_the_parent_and_the_config_gives_the_run_again(
    plain: tuple[Path, list[str]], tmp_path: Path
) -> None:
    start, lines = plain
    made = update(start, write(tmp_path / "new.csv", "a,kind,y", lines))
    environment = json.loads((made / "environment.json").read_text())
    digest = (start / "checkpoints" / "best.safetensors.sha256").read_text().split()[0]
    first = json.loads((start / "environment.json").read_text())["data"]["statistics"]
    assert environment["parent"] == {
        "run": str(start), "checkpoint_sha256": digest, "statistics": first,
    }  # fmt: skip
    assert environment["data"]["split"] == {
        "method": "in order", "seed": 0, "train": len(lines), "valid": 0, "test": 0,
    }  # fmt: skip
    last = update(made, write(tmp_path / "one.csv", "a,kind,y", lines[:1]))
    assert Model.load(last).statistics == Model.load(start).statistics == first
    again = config.load(Settings, registries(), made / "config.yaml")
    assert_same(made, run.train(again, "tagi train", tmp_path / "again"))
    found = evaluate(made, split="train")
    assert found.rows == len(lines)
    assert any("were learnt" in notice for notice in found.notices)


def bad(match: str, header: str, *lines: str) -> Any:
    return pytest.param(header, lines, match, id=match[:40])


@pytest.mark.parametrize(
    ("header", "lines", "match"),
    [
        bad(r"data\.path: new\.csv: no column for the input kind", "a,y", "1,40", "1,41"),
        bad(r"data\.path: new\.csv: no column for the target 'y'\. Columns:", "a,kind", "1,red"),
        bad(r"category 'blue' is in no training row.*Known: green, red", "a,kind,y", "1,blue,40"),
        bad(r"new\.csv, row 3, column 'a': no value", "a,kind,y", "1,red,40", ",red,40"),
        bad(r"data\.path: new\.csv has no row with a target to learn", "a,kind,y", "1,red,"),
        bad(r"row 2, column 'y': 'high' is not a number", "a,kind,y", "1,red,high"),
    ],
)
def test_rows_that_do_not_fit(
    header: str, lines: Sequence[str], match: str, plain: tuple[Path, list[str]], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=match):
        update(plain[0], write(tmp_path / "new.csv", header, lines))


def test_a_label_that_is_new(tmp_path: Path) -> None:
    first = write(tmp_path / "first.csv", "a,kind,y", table_lines(80))
    made = settings(
        **{"data.path": str(first), "task": "classification", "data.out_components": ["kind"]}
    )
    start = run.train(made, "", tmp_path / "runs")
    with pytest.raises(UserError, match=r"label 'blue' is in no training row"):
        update(start, write(tmp_path / "new.csv", "a,kind,y", ["1,blue,3"]))


def test_what_cannot_change_and_what_cannot_go_on(
    plain: tuple[Path, list[str]], tmp_path: Path
) -> None:
    start, lines = plain
    new = write(tmp_path / "new.csv", "a,kind,y", lines)
    with pytest.raises(UserErrors, match=r"arch\.width: cannot differ.*found 9.*has 6"):
        update(start, new, **{"arch.width": 9})
    with pytest.raises(UserErrors, match="noise: cannot differ"):
        update(start, new, noise={"kind": "constant"})
    with pytest.raises(UserError, match=r"trainer\.parent: run folder '.*' does not exist"):
        update(start, new, **{"trainer.parent": str(tmp_path / "none")})
    with pytest.raises(UserErrors, match=r"trainer\.parent: needs trainer\.online=true"):
        settings(**{"trainer.parent": str(start)})
    latent = {
        "kind": "latent_regression",
        "inputs": {"x": {"columns": ["a"], "latents": 1}},
        "outputs": {"z": {"columns": ["y"], "latents": 1}},
    }
    changes = {"trainer.online": True, "data.path": str(new), "arch": latent}
    with pytest.raises(UserErrors, match=r"trainer\.online: arch latent_regression"):
        settings(**changes)
    (start / "checkpoints" / "best.safetensors").unlink()
    with pytest.raises(UserError, match=r"trainer\.parent: .*best\.safetensors does not exist"):
        update(start, new)


def test_rows_in_one_pass_are_all_but_the_test_part(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,kind,y", table_lines(100))
    made = run.train(
        settings(**{"data.path": str(path), "trainer.online": True, "trainer.max_epochs": 7}),
        "", tmp_path / "runs",
    )  # fmt: skip
    environment = json.loads((made / "environment.json").read_text())
    assert environment["data"]["split"]["train"] == 90
    assert environment["data"]["split"]["valid"] == 0
    found = summary(made)
    assert (found["epochs"], found["prequential"]["rows"]) == (1, 90)
    assert found["test"]["rmse"] > 0
    assert "trainer.max_epochs has no effect" in (made / "train.log").read_text()


def test_batches_of_one_pass_are_as_large_as_all_its_rows_allow(tmp_path: Path) -> None:
    """Of 16 rows 12 are to train and 2 to validate; a pass learns these 14."""
    path = write(tmp_path / "t.csv", "a,kind,y", table_lines(16))
    changes = {"data.path": str(path), "trainer.online": True, "data.batch_size": None}
    made = run.train(settings(**changes), "", tmp_path / "runs")
    assert "batch_size: 14" in (made / "config.yaml").read_text()
    assert evaluate(made).metrics["rmse"] == summary(made)["test"]["rmse"]
    with pytest.raises(UserError, match=r"data\.batch_size: found 15.* the 14 rows of .*one pass"):
        run.train(settings(**changes | {"data.batch_size": 15}), "", tmp_path / "runs")


def test_an_update_that_was_interrupted_goes_on(
    plain: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, lines = plain
    new = write(tmp_path / "new.csv", "a,kind,y", lines)
    whole = update(start, new)
    end, train, calls = Pace.end, Learner.train, []

    def short(self: Pace, begin: int, rows: int) -> int:
        return min(begin + 2 * BATCH, end(self, begin, rows))

    def interrupted(self: Learner, *arguments: Any) -> None:
        train(self, *arguments)
        calls.append(arguments[1:3])
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Pace, "end", short)
        patch.setattr(Learner, "train", interrupted)
        made = update(start, new)
    assert summary(made)["status"] == "interrupted"
    own = config.load(Settings, registries(), made / "config.yaml")
    trainer = dataclasses.replace(own.trainer, resume=str(made))
    assert run.train(dataclasses.replace(own, trainer=trainer), "resume", tmp_path) == made
    assert_same(whole, made)
    assert summary(made)["prequential"] == pytest.approx(summary(whole)["prequential"])
    for mine, theirs in zip(course(made), course(whole), strict=True):
        assert mine == pytest.approx(theirs)
    assert [point["rows"] for point in course(made)] == list(range(BATCH, len(lines) + 1, BATCH))


def test_the_report_shows_the_course_of_one_pass(tmp_path: Path) -> None:
    """Forty points at most, at whole batches."""
    path = write(tmp_path / "all.csv", "a,kind,y", table_lines(50 * BATCH + 3))
    whole = {"data.path": str(path), "data.split_portions": [1.0, 0.0, 0.0]}
    made = run.train(settings(**whole, **{"trainer.online": True}), "", tmp_path / "runs")
    rows = [point["rows"] for point in course(made)]
    assert rows == [*range(2 * BATCH, 50 * BATCH + 1, 2 * BATCH), 50 * BATCH + 3]
    page = write_report(run.RunFolder.open(made)).read_text()
    assert "NLL along the rows" in page
    assert "by epoch" not in page
