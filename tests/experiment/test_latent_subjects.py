"""Latent regressions of several subjects, from a table with a column that names them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_map import D_IN, D_OUT, NOISE, Subject, draw_subjects
from subject_runs import CHAIN, NAMES, SIZES, TRUTH, UNITS, settings, trained, write, write_subjects

from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.evaluation import evaluate, predict
from tagi_cli.experiment.latent.findings import findings, network_of, subjects_of
from tagi_cli.experiment.latent.generation import generate
from tagi_cli.experiment.latent.networks import make
from tagi_cli.experiment.latent.projection import angles, project
from tagi_cli.experiment.members import make_backend
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.tasks import load_data
from tagi_cli.training.signals import Interruption

from .conftest import rows, summary


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_subjects(tmp_path_factory.mktemp("t") / "t.csv")


@pytest.fixture(scope="module")
def together(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of subjects that take turns."""
    return trained(table, tmp_path_factory.mktemp("run"), {"viz.enabled": True})


def shared(model: Model, subject: int) -> np.ndarray:
    """The map of a subject."""
    (weight,) = network_of(model.learners[0], subject).model.core.parameters("shared_m")
    return np.array(weight.mu)


def test_each_subject_has_its_own_modes_and_all_have_one_map(together: Path) -> None:
    model = Model.load(together)
    assert subjects_of(model.learners[0]) == NAMES
    for s in range(3):
        found = findings(model.settings.arch, model.encoder, model.learners[0], s)
        assert principal_angles(found.spaces["p.x"], TRUTH.p[s]).max() < 6
        assert principal_angles(found.spaces["u.y"], TRUTH.u[s]).max() < 6
        np.testing.assert_array_equal(shared(model, s), shared(model, 0))
    scores = summary(together)["test"]["subjects"]
    assert list(scores) == list(NAMES)
    for name, unit in zip(NAMES, UNITS, strict=True):
        assert scores[name]["rmse"] < 1.3 * 0.2 * unit
        assert 0.8 < scores[name]["coverage_90"] < 0.97


def test_rows_are_predicted_by_the_network_of_their_subject(together: Path, table: Path) -> None:
    model = Model.load(together)
    x = {f"x{i}": np.tile(TRUTH.x[0][:4, i], 3) for i in range(5)}
    found = model.predict({**x, "who": np.repeat(NAMES, 4)})
    order = [7, 0, 11, 4]
    again = model.predict(
        {**{k: v[order] for k, v in x.items()}, "who": np.repeat(NAMES, 4)[order]}
    )
    np.testing.assert_allclose(again.mean, found.mean[order], rtol=1e-6)  # type: ignore[union-attr]
    mean = found.mean.reshape(3, 4, 4)  # type: ignore[union-attr]
    want = [unit * TRUTH.x[0][:4] @ p @ TRUTH.m @ u.T
            for p, u, unit in zip(TRUTH.p, TRUTH.u, UNITS, strict=True)]  # fmt: skip
    for s in range(3):
        assert np.abs(mean[s] - want[s]).max() < 0.35 * np.abs(want[s]).max()


def test_a_run_is_scored_and_reported_by_subject(together: Path) -> None:
    found = evaluate(together).metrics["subjects"]
    for name in NAMES:
        assert found[name]["rmse"] == pytest.approx(
            summary(together)["test"]["subjects"][name]["rmse"], rel=1e-6
        )
    page = (together / "report.html").read_text()
    assert all(f"<h3>Subject {name}</h3>" in page for name in NAMES)
    assert "Test rows by subject" in page
    figures = json.loads((together / "figures" / "data.json").read_text())["latent"]
    assert [one["subject"] for one in figures] == list(NAMES)
    assert len(list((together / "figures").glob("latent_*.png"))) == 6


def test_a_file_is_scored_by_subject(together: Path, table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([lines[0], *lines[1:60]]) + "\n")
    found = evaluate(together, data_path=str(tmp_path / "few.csv")).metrics["subjects"]
    assert set(found) == {line.split(",")[0] for line in lines[1:60]}


def test_commands_know_the_subjects(together: Path, table: Path, tmp_path: Path) -> None:
    latents = rows(project(together, None, tmp_path / "latents.csv"))
    assert len(latents) == 2 * sum(n + 50 for n in SIZES)
    first = latents[0]
    who = table.read_text().splitlines()[1 + int(first["row"])].split(",")
    assert first["subject"] == who[0]
    s = NAMES.index(who[0])
    model = Model.load(together)
    (p,) = network_of(model.learners[0], s).model.moments("p")
    assert p is not None
    x = [(float(cell) - c.center) / c.scale  # type: ignore[union-attr]
         for cell, c in zip(who[2:7], model.encoder.columns, strict=False)]  # fmt: skip
    assert float(first["mu"]) == pytest.approx(x @ p.mu[:, 0], rel=1e-4)
    found = angles(together, together)
    assert list(found) == [f"{name}.{side}" for name in NAMES for side in ("p.x", "u.y")]
    assert max(max(values) for values in found.values()) < 1e-3
    written = rows(predict(together, table, tmp_path / "out.csv"))
    assert len(written) == 4 * sum(n + 50 for n in SIZES)


def test_trajectories_are_of_one_subject(together: Path, tmp_path: Path) -> None:
    lines = [("eve", "", TRUTH.x[2][i], [0.0] * 4) for i in range(40)]
    drawn = rows(generate(together, write(tmp_path / "in.csv", lines, 5, 4), tmp_path / "o.csv"))
    y = np.array([float(line["y"]) for line in drawn]).reshape(40, 4)
    want = UNITS[2] * TRUTH.x[2][:40] @ TRUTH.p[2] @ TRUTH.m @ TRUTH.u[2].T
    assert np.sqrt(np.mean((y - want) ** 2)) < 2 * 0.2 * UNITS[2]
    lines[3] = ("bob", *lines[3][1:])
    mixed = write(tmp_path / "mixed.csv", lines, 5, 4)
    with pytest.raises(UserError, match=r"input: the rows are of bob, eve. Allowed: rows of one"):
        generate(together, mixed, tmp_path / "no.csv")


def test_a_chain_goes_through_the_subjects_in_turn(table: Path, tmp_path: Path) -> None:
    maps = {}
    for release in (0, 1):
        changes = CHAIN | {"arch.subjects.release": release, "arch.restarts": 2}
        folder = trained(table, tmp_path, changes)
        assert summary(folder)["epochs"] == 9 + 2 * release
        maps[release] = shared(Model.load(folder), 2)
        np.testing.assert_array_equal(shared(Model.load(folder), 0), maps[release])
    assert not np.array_equal(maps[0], maps[1])
    every = trained(table, tmp_path, CHAIN | {"arch.subjects.passes": 8, "arch.restarts": 3})
    for name, unit in zip(NAMES, UNITS, strict=True):
        assert summary(every)["test"]["subjects"][name]["rmse"] < 1.4 * 0.2 * unit
    hurt = {"arch.subjects.mode": "chain", "arch.subjects.damage": True, "arch.subjects.passes": 3}
    assert summary(trained(table, tmp_path, hurt))["epochs"] == 9


def test_a_chain_begins_with_the_subject_of_most_rows(tmp_path: Path) -> None:
    numbers = {"ann": 2, "bob": 0, "eve": 1}
    lines = [
        (name, "train", TRUTH.x[s][i], TRUTH.y[s][i] / UNITS[s])
        for name, s in numbers.items()
        for i in range(SIZES[s])
    ]
    made = settings(write(tmp_path / "t.csv", lines, 5, 4), CHAIN | {"arch.restarts": 2})
    train = load_data(made).train
    chain = make(made, load_data(made).encoder, np.random.default_rng(0), make_backend(made))
    chain.bind(train.x, train.y)
    order = np.arange(len(train))
    learnt = []
    for epoch in range(3 + 3 + 1 + 3):
        chain.start_epoch(epoch)
        chain.train(order, 0, len(order))
        learnt.append(int(chain.scores()["count"][0]))
    assert learnt == [200] * 3 + [150] * 4 + [60] * 3


def test_a_new_subject_begins_with_the_map_of_a_run(
    together: Path, table: Path, tmp_path: Path
) -> None:
    """Aligned with it, it leaves the map as it is, and is opened without that run."""
    lines = [line.split(",") for line in table.read_text().splitlines()]
    eve = ["eva" + ",".join(["", *line[1:]]) for line in lines if line[0] == "eve"]
    (tmp_path / "eva.csv").write_text("\n".join([",".join(lines[0]), *eve]) + "\n")
    source = tmp_path / "source"
    shutil.copytree(together, source)
    changes = CHAIN | {"arch.subjects.map_from": str(source), "arch.subjects.release": 0}
    changes |= {"arch.subjects.passes": 12, "arch.restarts": 4}
    folder = trained(tmp_path / "eva.csv", tmp_path, changes)
    assert summary(folder)["epochs"] == 12
    shutil.rmtree(source)
    given, model = Model.load(together), Model.load(folder)
    np.testing.assert_array_equal(shared(model, 0), shared(given, 0))
    assert summary(folder)["test"]["subjects"]["eva"]["rmse"] < 1.4 * 0.2 * UNITS[2]


def test_subjects_that_share_nothing_are_fits_of_their_own(table: Path, tmp_path: Path) -> None:
    """One of them alone, with the same rows in the same order, is the same network."""
    changes: dict[str, Any] = {"arch.subjects.share": "nothing", "arch.restarts": 2}
    model = Model.load(trained(table, tmp_path, changes))
    assert not np.array_equal(shared(model, 0), shared(model, 1))


@pytest.mark.parametrize("mode", ["interleave", "align-chain", "nothing"])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_run_is_continued_to_the_bit(
    table: Path, tmp_path: Path, mode: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"arch.restarts": 2, "trainer.max_epochs": 8}
    if mode == "align-chain":
        changes |= CHAIN | {"arch.subjects.passes": 2, "trainer.max_epochs": 8}
    if mode == "nothing":
        changes |= {"arch.subjects.share": "nothing"}
    whole = trained(table, tmp_path / "whole", changes)
    asked = iter(range(10_000))
    monkeypatch.setattr(Interruption, "is_requested", lambda self: next(asked) >= stop)
    part = trained(table, tmp_path / "part", changes)
    assert summary(part)["status"] == "interrupted"
    monkeypatch.undo()
    again = run.train(settings(table, {**changes, "trainer.resume": str(part)}), "tagi train")
    assert summary(again)["test"] == summary(whole)["test"]


def test_parts_of_a_map(table: Path, tmp_path: Path) -> None:
    """The specific part is each subject's own, and latents are told before it or behind it."""
    parts = {"kind": "parts", "specific": "matrices", "shared": "linear"}
    folder = trained(table, tmp_path, {"arch.m": parts})
    model = Model.load(folder)
    own = [network_of(model.learners[0], s).model.core.parameters("specific_m") for s in range(3)]
    assert not np.array_equal(own[0][0].mu, own[1][0].mu)
    np.testing.assert_array_equal(shared(model, 0), shared(model, 2))
    behind = rows(project(folder, None, tmp_path / "a.csv"))
    before = rows(project(folder, None, tmp_path / "b.csv", apply_specific_m=False))
    for line, plain in zip(behind[::2], before[::2], strict=True):
        s = NAMES.index(line["subject"])
        assert plain["group"] == line["group"] == "x"
        assert s < 3
    s = NAMES.index(behind[0]["subject"])
    z = [float(line["mu"]) for line in before[:2]]
    want = np.array(own[s][0].mu) @ z
    np.testing.assert_allclose([float(line["mu"]) for line in behind[:2]], want, rtol=1e-4)
    wide, narrow = (
        {"kind": "layers", "layers": [{"kind": "linear", "output_size": n}]} for n in (3, 2)
    )
    parts = {"kind": "parts", "specific": wide, "shared": narrow}
    folder = trained(table, tmp_path, {"arch.m": parts})
    groups = {line["group"] for line in rows(project(folder, None, tmp_path / "c.csv"))}
    assert groups == {"specific_m"}


def test_subjects_scaled_by_themselves_are_told_in_their_units(table: Path, tmp_path: Path) -> None:
    changes = {"data.in_chunk": [0, 0], "data.scaling_by": "instance", "data.split_gap": 0}
    changes |= {"data.min_slice": None}
    folder = trained(table, tmp_path, changes)
    model = Model.load(folder)
    for s, unit in enumerate(UNITS):
        found = findings(model.settings.arch, model.encoder, model.learners[0], s)
        assert np.median(found.psi["y"]) == pytest.approx((0.2 * unit) ** 2, rel=0.3)
        assert principal_angles(found.spaces["p.x"], TRUTH.p[s]).max() < 6
    lines = [("eve", "", TRUTH.x[2][i], [0.0] * 4) for i in range(40)]
    drawn = rows(generate(folder, write(tmp_path / "in.csv", lines, 5, 4), tmp_path / "o.csv"))
    y = np.array([float(line["y"]) for line in drawn]).reshape(40, 4)
    want = UNITS[2] * TRUTH.x[2][:40] @ TRUTH.p[2] @ TRUTH.m @ TRUTH.u[2].T
    assert np.sqrt(np.mean((y - want) ** 2)) < 2 * 0.2 * UNITS[2]


def test_subjects_may_have_variables_of_their_own(tmp_path: Path) -> None:
    """What is empty in all rows of a subject takes no part, and is not told of."""
    lines = []
    for s, name in enumerate(NAMES):
        for i in range(SIZES[s] + 50):
            x, y = TRUTH.x[s][i].copy(), TRUTH.y[s][i] / UNITS[s]
            if name == "bob":
                x[4], y[3] = np.nan, np.nan
            lines.append((name, "train" if i < SIZES[s] else "test", x, y))
    changes = {"data.missing": "mean", "arch.outputs.y.latents": 2}
    folder = trained(write(tmp_path / "t.csv", lines, 5, 4), tmp_path, changes)
    model = Model.load(folder)
    learner = model.learners[0]
    found = [findings(model.settings.arch, model.encoder, learner, s) for s in range(2)]
    assert found[0].inputs["x"] == ("x0", "x1", "x2", "x3", "x4")
    assert found[1].inputs["x"] == ("x0", "x1", "x2", "x3")
    assert found[1].outputs["y"] == ("y0", "y1", "y2")
    assert found[1].spaces["p.x"].shape == (4, 2)
    assert found[1].psi["y"].shape == (3,)
    # Its modes are as they were drawn.
    (p,) = network_of(learner, 1).model.moments("p")
    (other,) = network_of(learner, 0).model.moments("p")
    assert p is not None
    assert other is not None
    assert (p.var[4] > 3 * p.var[:4].max()).all()
    assert (other.var[4] < 3 * other.var[:4].max()).all()


def test_a_subject_without_test_rows_is_told(tmp_path: Path) -> None:
    lines = [
        (name, "test" if i < 20 and name == "bob" else "train", TRUTH.x[s][i], TRUTH.y[s][i])
        for s, name in enumerate(NAMES)
        for i in range(60)
    ]
    folder = trained(write(tmp_path / "t.csv", lines, 5, 4), tmp_path)
    assert list(summary(folder)["test"]["subjects"]) == ["bob"]
    assert "the test part has no row of ann, eve; data.split" in (folder / "train.log").read_text()


def test_options_without_effect_are_told(table: Path, tmp_path: Path) -> None:
    folder = trained(table, tmp_path, {"arch.subjects.passes": 3, "arch.subjects.damage": True})
    log = (folder / "train.log").read_text()
    for name in ("passes", "damage"):
        assert f"arch.subjects.{name} has no effect beside arch.subjects.mode=interleave" in log
    log = (trained(table, tmp_path, CHAIN) / "train.log").read_text()
    assert "trainer.max_epochs: 11, as arch.subjects.mode 'align-chain' takes 11 epochs" in log


def write_drawn(path: Path, subjects: list[Subject]) -> Path:
    lines = [
        (name, part, a, b)
        for name, one in zip(NAMES, subjects, strict=False)
        for part, x, y in (("train", one.x, one.y), ("test", one.x_new, one.y_new))
        for a, b in zip(x, y, strict=True)
    ]
    return write(path, lines, D_IN, D_OUT)


@pytest.mark.slow
def test_alignment_helps_a_small_subject_and_leaves_the_others(tmp_path: Path) -> None:
    """Subjects of 3000, 3000 and 250 rows; the median over five seeds of the small one's gain."""
    gains = []
    for seed in range(5):
        path = write_drawn(tmp_path / "t.csv", draw_subjects(seed, (3000, 3000, 250)))
        changes: dict[str, Any] = {
            "seed": seed,
            "arch.m": {
                "kind": "layers",
                "layers": [
                    {"kind": "linear", "output_size": 30},
                    "mixture_relu",
                    {"kind": "linear", "output_size": 2},
                ],
            },
            "arch.outputs.y.offsets": {"source": "learn"},
            "arch.restarts": 8,
            "trainer.max_epochs": 15,
        }
        alone, chain = (
            summary(trained(path, tmp_path, changes | more))["test"]["subjects"]
            for more in (
                {"arch.subjects.share": "nothing"},
                {**CHAIN, "arch.subjects.passes": 15},
            )
        )
        for name in NAMES[:2]:
            assert chain[name]["rmse"] < 1.05 * alone[name]["rmse"]
            assert chain[name]["rmse"] < 1.05 * NOISE
        gains.append(alone["eve"]["rmse"] / chain["eve"]["rmse"])
    assert np.median(gains) > 1.01
