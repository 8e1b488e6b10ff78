"""`tagi tune`: a search, what it leaves, how it goes on, and the mistakes it tells of."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagi_cli.cli.configuration import settings_from
from tagi_cli.experiment.sweeps.job import JobFiles
from tagi_cli.experiment.sweeps.space import Choice
from tagi_cli.experiment.sweeps.tune import Search
from tagi_cli.experiment.sweeps.tune_options import TuneOptions

optuna = pytest.importorskip("optuna", reason="needs the extra hpo (Optuna)", exc_type=ImportError)

SMALL = "kernels: numpy\nensemble: {size: 1}\ntrainer: {max_epochs: 3}\nviz: {enabled: true}\n"
MINE = (
    "data: {path: my.csv, out_components: y}\n" + SMALL + "tune: {space: {arch.width: [2, 3], "
    "arch.gain_weight: {low: 0.1, high: 1, log: true}}, trials: 2, sampler: random}\n"
)


@pytest.fixture
def mine(here: Path) -> Path:
    path = Path("mine.yaml")
    path.write_text(MINE)
    return path


def folder_of_the_search() -> Path:
    (folder,) = Path("outputs/mine").iterdir()
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_search_ends_in_a_config_and_goes_on_in_its_folder(
    tagi: Callable[..., Any], mine: Path
) -> None:
    answer = tagi("tune", "config=mine.yaml")
    assert (answer.code, answer.err) == (0, "")
    folder = folder_of_the_search()
    trials = rows(folder)
    assert [row["status"] for row in trials] == ["completed", "completed"]
    best = min(trials, key=lambda row: float(row["valid_nll"]))
    assert f"tagi train config={folder}/best.yaml" in answer.out.splitlines()
    config = yaml.safe_load((folder / "best.yaml").read_text())
    assert config["arch"]["width"] == int(best["arch.width"])
    assert config["arch"]["gain_weight"] == float(best["arch.gain_weight"])
    assert (config["trainer"]["refit"], config["viz"]["enabled"]) == (True, True)
    run = folder / best["run"]
    assert not (run / "report.html").exists()
    decided = yaml.safe_load((run / "config.yaml").read_text())["arch"]
    assert config["arch"] | {"activation": "alternating"} == decided

    answer = tagi("tune", f"tune.resume={folder}", "tune.trials=3", "tune.workers=2")
    assert (answer.code, answer.err) == (0, "")
    assert "2 of 3 trials done" in answer.out
    assert rows(folder)[:2] == trials
    assert len({row["arch.gain_weight"] for row in rows(folder)}) == 3
    assert tagi("tune", f"tune.resume={folder}").code == 0
    assert len(rows(folder)) == 3
    assert tagi("compare", str(folder)).code == 0


RUNS = ("bad", "slow", "late")
"""Outcomes of jobs that run until they are stopped."""


class Jobs:
    """Stands for the jobs of a search: the outcome of each by number.

    A number is the validation NLL of a job that completes, which is 1 where nothing else is said.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: str) -> None:
        self.outcomes = outcomes
        self.stopped: list[int] = []
        self.alive: set[int] = set()
        self.at_a_time = 0
        jobs = self

        class Fake:
            def __init__(self, files: JobFiles, threads: int | None = None) -> None:
                self.files = files
                self.outcome = jobs.outcomes[files.number % len(jobs.outcomes)]
                nll = "1.0"
                if self.outcome[0].isdigit():
                    nll, self.outcome = self.outcome, "completed"
                jobs.alive.add(files.number)
                jobs.at_a_time = max(jobs.at_a_time, len(jobs.alive))
                run = files.sweep / f"run-{files.number}"
                run.mkdir()
                values = {"bad": [9.0, 9.0, 9.0], "late": [9.0]}.get(self.outcome, [3.0, 2.0, 1.0])
                lines = [
                    f'{{"phase": "search", "epoch": {i}, "valid_nll": {value}}}\n'
                    for i, value in enumerate(values, 1)
                ]
                (run / "metrics.jsonl").write_text("".join(lines) + '{"phase": "search", "epo')
                status = dict.fromkeys(RUNS, "running").get(self.outcome, self.outcome)
                self.write(status)
                if status == "completed":
                    summary = f'{{"status": "completed", "valid": {{"nll": {nll}}}}}'
                    (run / "summary.json").write_text(summary)
                if self.outcome == "late":
                    summary = '{"status": "interrupted", "valid": {"nll": 0.5}}'
                    (run / "summary.json").write_text(summary)

            def write(self, status: str) -> None:
                self.files.write(status=status, run=f"run-{self.files.number}", message="so")

            def stop(self) -> None:
                jobs.stopped.append(self.files.number)
                self.outcome = "interrupted"
                self.write("interrupted")

            def ended(self) -> bool:
                if self.outcome not in RUNS:
                    jobs.alive.discard(self.files.number)
                return self.outcome not in RUNS

        monkeypatch.setattr("tagi_cli.experiment.sweeps.tune.Process", Fake)


def test_trials_that_look_bad_are_pruned(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(monkeypatch, "completed", "bad")
    words = ("tune.trials=4", "tune.startup_trials=1", "tune.warmup_epochs=0")
    answer = tagi("tune", "config=mine.yaml", *words)
    assert answer.code == 0
    assert [row["status"] for row in rows(folder_of_the_search())] == ["completed", "pruned"] * 2
    assert jobs.stopped == [1, 3]
    study = optuna.load_study(
        study_name="tagi", storage=f"sqlite:///{folder_of_the_search().resolve()}/study.db"
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"] * 2


def test_the_config_of_the_best_trial_has_what_trials_leave_out(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(monkeypatch, "1.5", "0.5", "0.9", "0.7")
    answer = tagi("tune", "config=mine.yaml", "tune.trials=3", "tune.workers=2")
    assert answer.code == 0
    assert jobs.at_a_time == 2
    assert "best: trial 1, valid_nll 0.5" in answer.out.splitlines()
    folder = folder_of_the_search()
    text = (folder / "best.yaml").read_text()
    assert text.startswith("# The best of 3 trials by validation NLL: trial 1, 0.5.\n")
    best = yaml.safe_load(text)
    assert best["arch"]["gain_weight"] == float(rows(folder)[1]["arch.gain_weight"])
    trial = yaml.safe_load((folder / "jobs/1.yaml").read_text())
    for found, whole in ((best, True), (trial, False)):
        assert (found["trainer"]["refit"], found["viz"]["enabled"]) == (whole, whole)
    assert tagi("tune", f"tune.resume={folder}", "tune.trials=5").code == 0
    assert len({row["arch.gain_weight"] for row in rows(folder)}) == 5


@pytest.mark.parametrize(
    ("options", "sampler", "pruner"),
    [
        ({}, "TPESampler", {"_n_startup_trials": 5, "_n_warmup_steps": 5}),
        ({"sampler": "random", "pruner": "none"}, "RandomSampler", {}),
        ({"startup_trials": 2, "warmup_epochs": 3}, "TPESampler", {"_n_startup_trials": 2}),
        ({"warmup_epochs": 3}, "TPESampler", {"_n_warmup_steps": 3}),
        ({"pruner": "hyperband", "warmup_epochs": 7}, "TPESampler", {"_min_resource": 7}),
    ],
)
def test_the_study_is_set_up_as_the_options_say(
    options: dict[str, Any], sampler: str, pruner: dict[str, int], tmp_path: Path
) -> None:
    search = Search(
        tmp_path, TuneOptions(**options), [Choice("seed", ("1", "2"))], settings_from, "tagi tune"
    )
    names = {"median": "MedianPruner", "hyperband": "HyperbandPruner", "none": "NopPruner"}
    assert type(search._study.sampler).__name__ == sampler
    assert type(search._study.pruner).__name__ == names[options.get("pruner", "median")]
    for key, value in pruner.items():
        assert getattr(search._study.pruner, key) == value


def test_failed_trials_are_listed_and_do_not_stop_the_search(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "failed", "completed", "killed")
    answer = tagi("tune", "config=mine.yaml", "tune.trials=4")
    assert answer.code == 0
    assert "3 trials failed; see " in answer.err
    found = [(row["status"], row["message"]) for row in rows(folder_of_the_search())]
    assert found == [("failed", "so"), ("completed", "so"), ("killed", "so"), ("failed", "so")]


def test_a_search_whose_first_trials_all_fail_gives_up(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "failed")
    answer = tagi("tune", "config=mine.yaml", "tune.trials=50")
    assert answer.code == 2
    assert answer.err == "tagi tune: the first 5 trials failed: so\n"


def test_a_search_that_meets_a_bug_is_no_mistake_of_the_user(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "error")
    assert tagi("tune", "config=mine.yaml", "tune.trials=50").code == 1
    Jobs(monkeypatch, "killed", "failed")
    answer = tagi("tune", "config=mine.yaml", "tune.trials=2")
    assert answer.code == 1
    assert "2 trials failed; see " in answer.err
    assert "no trial was completed" in answer.err


def test_a_trial_that_had_its_result_when_it_was_pruned_counts(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "completed", "late")
    words = ("tune.trials=2", "tune.startup_trials=1", "tune.warmup_epochs=0")
    assert tagi("tune", "config=mine.yaml", *words).code == 0
    second = rows(folder_of_the_search())[1]
    assert (second["status"], second["valid_nll"]) == ("completed", "0.5")


def test_the_study_must_be_that_of_the_search(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "completed")
    assert tagi("tune", "config=mine.yaml").code == 0
    folder = folder_of_the_search()
    config = folder / "tune.yaml"
    text = config.read_text()
    for old, new in (("high: 1", "high: 2"), ("    - 2\n", "    - 4\n")):
        assert old in text
        config.write_text(text.replace(old, new))
        answer = tagi("tune", f"tune.resume={folder}", "tune.trials=3")
        assert answer.code == 2
        assert answer.err.startswith(f"tagi tune: {folder.resolve()}/study.db: is the study of ano")
    config.write_text(text)
    (folder / "study.db").write_text("no database")
    answer = tagi("tune", f"tune.resume={folder}", "tune.trials=3")
    assert answer.code == 2
    assert "study.db: is no study that Optuna can read (" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_results_outlive_the_folders_of_their_runs(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "completed")
    assert tagi("tune", "config=mine.yaml").code == 0
    folder = folder_of_the_search()
    for run in folder.glob("run-*"):
        shutil.rmtree(run)
    answer = tagi("tune", f"tune.resume={folder}")
    assert answer.code == 0
    assert "best: trial 0, valid_nll 1" in answer.out.splitlines()


def test_an_interrupted_trial_is_tried_again(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jobs(monkeypatch, "completed", "slow")
    stops = iter([False] * 8)
    with monkeypatch.context() as patch:
        patch.setattr(
            "tagi_cli.training.signals.Interruption.is_requested",
            lambda self: not next(stops, False) and next(stops, None) is None,
        )
        answer = tagi("tune", "config=mine.yaml")
    assert answer.code == 130
    folder = folder_of_the_search()
    assert f"tagi tune tune.resume={folder}" in answer.out.splitlines()
    before = rows(folder)
    assert [row["status"] for row in before] == ["completed", "interrupted"]
    Jobs(monkeypatch, "completed")
    assert tagi("tune", f"tune.resume={folder}").code == 0
    after = rows(folder)
    assert [row["status"] for row in after] == ["completed", "interrupted", "completed"]
    assert after[2]["arch.gain_weight"] == before[1]["arch.gain_weight"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["config=quickstart"], "tune.space: must be set, as <option>: [a, b, c], or"),
        (
            ["config=mine.yaml", "tune.space.arch.wdth=[1,2]"],
            "tune.space: arch.wdth: unknown option of arch kind 'mlp'. Did you mean 'width'?",
        ),
        (
            ["config=mine.yaml", "tune.space.arch.width=[1,0]"],
            "tune.space, arch.width=0: arch.width: found 0. Allowed: whole number, at least 1",
        ),
        (["config=mine.yaml", "tune.space.arch.width={low: 5, high: 2}"], "tune.space.arch.width"),
        (["config=mine.yaml", "tune.trails=3"], "tune.trails: unknown option. Did you mean 'tri"),
        (["config=mine.yaml", "tune.pruner=mean"], "tune.pruner: found 'mean'. Did you mean 'me"),
        (["config=mine.yaml", "seed=-1"], "seed: found -1. Allowed: whole number, at least 0"),
        (["config=mine.yaml", "-m"], "-m: unknown option."),
        (
            ["config=mine.yaml", "hydra/launcher=ray"],
            "hydra/launcher: not taken here. A search run",
        ),
        (
            ["config=mine.yaml", "tune.trials=0"],
            "tune.trials: found 0. Allowed: whole number, at l",
        ),
        (["tune.resume=nowhere"], "tune.resume: folder '"),
        (["tune.resume=."], "tune.resume: '"),
        (["tune.resume=.", "seed=1"], "seed: cannot change while a search is continued. Allowed: "),
        (["config=mine.yaml", "trainer.resume=."], ""),
    ],
)
def test_mistakes(tagi: Callable[..., Any], mine: Path, words: list[str], message: str) -> None:
    answer = tagi("tune", *words)
    assert answer.code == 2
    assert answer.err.startswith(f"tagi tune: {message}")
    assert not Path("outputs").exists()


def test_a_check_looks_through_the_space_with_the_rest(
    tagi: Callable[..., Any], mine: Path
) -> None:
    answer = tagi("check", "config=mine.yaml")
    assert answer.code == 0
    assert "search: 2 trials over arch.width, arch.gain_weight" in answer.out.splitlines()
    words = ("config=mine.yaml", "tune.space.arch.width=[1,0]")
    fault = "tune.space, arch.width=0: arch.width: found 0. Allowed: whole number, at least 1"
    assert tagi("check", *words).err == f"tagi check: {fault}\n"
    assert fault in tagi("check", *words, "-m", "seed=1,2").err
    answer = tagi("check", *words, "tune.trials=0", "seed=-1")
    assert [line.split(":")[0] for line in answer.err.splitlines()[1:]] == [
        "- seed",
        "- tune.trials",
    ]
    assert "search" not in tagi("check", "config=quickstart", "data.limit=30").out
    answer = tagi("check", "config=quickstart", "tune.trials=3")
    assert answer.err.startswith("tagi check: tune.space: must be set")


def test_without_optuna_the_extra_is_named(
    tagi: Callable[..., Any], mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    answer = tagi("tune", "config=mine.yaml")
    assert answer.code == 2
    assert answer.err.startswith("tagi tune: needs the package optuna, which cannot be imported")
    assert 'pip install "tagi-cli[hpo]"' in answer.err


def test_a_file_with_a_search_trains_without_it(tagi: Callable[..., Any], mine: Path) -> None:
    assert tagi("train", "config=mine.yaml", "arch.width=2", "viz.enabled=false").code == 0
