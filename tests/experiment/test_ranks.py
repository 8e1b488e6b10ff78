"""Ranks of one run: what they agree on, what each of them gets, and who writes."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from thread_ranks import ThreadRanks, on_ranks

from tagi_cli.distributed import ALONE
from tagi_cli.errors import UserError
from tagi_cli.experiment import ranks as agreement
from tagi_cli.experiment import run
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint

from .conftest import rows, summary, write_table

MakeSettings = Callable[..., Settings]
LOCAL = threading.local()


@pytest.fixture
def as_threads(monkeypatch: pytest.MonkeyPatch, no_drawing: None) -> None:
    """Runs find the ranks that their thread has set; an error ends the thread alone."""

    @contextmanager
    def together(ranks: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(run, "connect", lambda *_: getattr(LOCAL, "ranks", ALONE))
    monkeypatch.setattr(run, "together", together)


def trained(ranks: ThreadRanks, settings: Settings, parent: Path) -> Path:
    LOCAL.ranks = ranks
    try:
        return run.train(settings, f"rank {ranks.rank}", parent)
    finally:
        del LOCAL.ranks


@pytest.mark.usefixtures("as_threads")
def test_one_of_them_writes(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(precision="float64")
    alone = run.train(settings, "alone", tmp_path / "alone")
    places = on_ranks(3, lambda ranks: trained(ranks, settings, tmp_path / "ranks"))
    (made,) = (tmp_path / "ranks").iterdir()
    assert places == [made.resolve()] * 3
    found = RunFolder(made).read_environment()
    assert (found["command"], found["world_size"]) == ("rank 0", 3)
    assert len(found["rows_per_rank"]) == 3
    assert sum(found["rows_per_rank"]) == found["data"]["split"]["train"]
    for name, value in summary(alone)["test"].items():
        if name != "components":
            assert summary(made)["test"][name] == pytest.approx(value, rel=1e-6)
    for which, kind in (("best", "model"), ("last", "training")):
        mine, theirs = (
            checkpoint.read(folder / "checkpoints" / f"{which}.safetensors", kind)[0]
            for folder in (made, alone)
        )
        assert mine.keys() == theirs.keys()
        for name, value in theirs.items():
            if name != "history":  # it holds seconds
                np.testing.assert_allclose(mine[name], value, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.usefixtures("as_threads")
def test_another_number_of_them_goes_on(make_settings: MakeSettings, tmp_path: Path) -> None:
    """In the folder of the run; still one of them writes."""
    settings = make_settings(precision="float64", **{"trainer.refit": False})
    whole = run.train(settings, "alone", tmp_path / "alone")
    limited = dataclasses.replace(settings.trainer, max_epochs=2)
    first = dataclasses.replace(settings, trainer=limited)
    (made,) = set(on_ranks(2, lambda ranks: trained(ranks, first, tmp_path / "ranks")))
    resumed = dataclasses.replace(settings.trainer, resume=str(made), max_epochs=6)
    second = dataclasses.replace(first, trainer=resumed)
    assert set(on_ranks(3, lambda ranks: trained(ranks, second, tmp_path / "none"))) == {made}
    assert not (tmp_path / "none").exists()
    found = RunFolder(made).read_environment()
    assert (found["command"], found["earlier_commands"]) == ("rank 0", ["rank 0"])
    assert (found["world_size"], len(found["rows_per_rank"])) == (3, 3)
    assert [row["epoch"] for row in rows(made / "metrics.csv")] == list("123456")
    log = (made / "train.log").read_text()
    assert (log.count("started: "), log.count("resumed: ")) == (1, 1)
    mine, theirs = (
        checkpoint.read(folder / "checkpoints" / "best.safetensors", "model")[0]
        for folder in (made, whole)
    )
    for name, value in theirs.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.usefixtures("as_threads")
def test_no_folder_where_a_rank_cannot_begin(make_settings: MakeSettings, tmp_path: Path) -> None:
    """By a mistake of that rank alone."""
    settings = make_settings()

    def work(ranks: ThreadRanks) -> Path:
        device = "cpu" if ranks.leads else "cuda:77"
        return trained(ranks, dataclasses.replace(settings, device=device), tmp_path)

    with pytest.raises(UserError, match="device: found 'cuda:77'"):
        on_ranks(2, work)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("as_threads")
def test_latent_regression_is_refused_by_all(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(
        arch={
            "kind": "latent_regression",
            "inputs": {"in": {"columns": ["a"], "latents": 1}},
            "outputs": {"out": {"columns": ["y"], "latents": 1}},
        },
        **{"data.in_components": ["a"], "ensemble.size": 1},
    )

    def work(ranks: ThreadRanks) -> str:
        with pytest.raises(UserError, match="latent_regression is trained by one process") as told:
            trained(ranks, settings, tmp_path)
        return str(told.value)

    assert len(set(on_ranks(2, work))) == 1
    assert not list(tmp_path.iterdir())


def disagreement(each: list[tuple[Settings, str]]) -> str:
    """What all ranks are told, the same."""

    def work(ranks: ThreadRanks) -> str:
        with pytest.raises(UserError) as told:
            agreement.check_alike(ranks, *each[ranks.rank])
        return str(told.value)

    (message,) = set(on_ranks(len(each), work))
    return message


def test_different_configs_and_data(make_settings: MakeSettings) -> None:
    one = make_settings()
    assert disagreement([(one, "a"), (one, "a"), (make_settings(**{"arch.width": 9}), "a")]) == (
        "ranks must be started alike, with the same arguments and files: arch.width is 8 on rank 0 "
        "and 9 on rank 2"
    )
    message = disagreement([(one, "a"), (one, "b"), (one, "c")])
    assert "sha256 of the data is a on rank 0 and b on rank 1; sha256" in message
    assert "c on rank 2" in message


def test_what_may_differ_between_machines(make_settings: MakeSettings, tmp_path: Path) -> None:
    there = write_table(tmp_path / "elsewhere.csv")
    each = [make_settings(), make_settings(device="cpu", **{"data.path": str(there)})]
    on_ranks(2, lambda ranks: agreement.check_alike(ranks, each[ranks.rank], "same"))


@pytest.mark.parametrize(
    ("cores", "threads"),
    [
        ([range(6)] * 2, 3),
        ([range(6)] * 4, 1),
        ([range(2)] * 3, 1),
        ([range(4), range(4, 8)], 4),
    ],
)
def test_ranks_of_a_machine_divide_its_cores(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, cores: list[range], threads: int
) -> None:
    """Those that the launcher gave to each of them, where it did."""
    own = threading.local()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(own.cores), raising=False)

    def work(ranks: ThreadRanks) -> int | None:
        own.cores = cores[ranks.rank]
        return agreement.threads_of(ranks, make_settings())

    assert on_ranks(len(cores), work) == [threads] * len(cores)
    asked = make_settings(**{"trainer.threads": 5})
    assert on_ranks(2, lambda ranks: agreement.threads_of(ranks, asked)) == [5, 5]
    assert agreement.threads_of(ALONE, make_settings()) is None


def test_ranks_take_turns_with_gpus(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_cupy.install(monkeypatch, tmp_path, devices=2)
    for device in ("auto", "cuda"):
        settings = make_settings(device=device)
        found = on_ranks(3, lambda ranks, s=settings: agreement.device_of(ranks, s))
        assert found == ["cuda:0", "cuda:1", "cuda:0"]
        assert agreement.device_of(ALONE, settings) == device
    for fixed in ({"device": "cpu"}, {"device": "cuda:1"}, {"kernels": "numpy"}):
        settings = make_settings(**fixed)
        found = on_ranks(2, lambda ranks, s=settings: agreement.device_of(ranks, s))
        assert found == [settings.device] * 2
