"""One command line with several values becomes those of its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from small_schema import REGISTRIES, faults, settings

from tagi_cli import config
from tagi_cli.errors import UserErrors
from tagi_cli.options import Registry, option


def jobs(configs: Path, *arguments: str, multirun: bool = True) -> list[config.Job] | None:
    return config.jobs(REGISTRIES, arguments, multirun, configs)


def overrides(configs: Path, *arguments: str) -> list[dict[str, str]]:
    return [dict(job.overrides) for job in jobs(configs, *arguments) or []]


def test_no_sweep_unless_asked_for(configs: Path) -> None:
    assert jobs(configs, "seed=1", multirun=False) is None
    assert jobs(configs, "seed=1,2", multirun=False) is None


def test_every_combination_the_last_key_fastest(configs: Path) -> None:
    assert overrides(configs, "seed=1,2", "name=x", "shape=box,chain") == [
        {"seed": "1", "shape": "box"},
        {"seed": "1", "shape": "chain"},
        {"seed": "2", "shape": "box"},
        {"seed": "2", "shape": "chain"},
    ]


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("seed=range(0,3)", ["0", "1", "2"]),
        ("seed=range(2)", ["0", "1"]),
        ("seed=range(5,1,-2)", ["5", "3"]),
        ("seed=choice(4,7)", ["4", "7"]),
        ("data.targets=[a],[b,c]", ["[a]", "[b,c]"]),
        ("data.path='a,b.csv',c.csv", ["'a,b.csv'", "c.csv"]),
        ("trainer.seconds=1e-3,null", ["0.001", "null"]),
    ],
)
def test_spellings_of_several_values(configs: Path, argument: str, values: list[str]) -> None:
    assert [list(one.values()) for one in overrides(configs, argument)] == [[v] for v in values]


def test_jobs_compose_like_single_runs(configs: Path, here: Path) -> None:
    (here / "a,b.csv").touch()
    found = jobs(configs, "config=quick", "data.path=a,b.csv", "seed=3,4", "shape.width=1,2") or []
    made = [settings(configs, *job.arguments) for job in found]
    assert [(one.seed, one.shape.width) for one in made] == [(3, 1), (3, 2), (4, 1), (4, 2)]
    assert {one.data.path for one in made} == {str(here / "a,b.csv")}


def test_without_several_values_there_is_one_job(configs: Path) -> None:
    assert jobs(configs, "seed=1") == [config.Job(("seed=1",), {})]


def test_hydra_mode_asks_for_a_sweep(configs: Path) -> None:
    found = jobs(configs, "hydra.mode=MULTIRUN", "seed=1,2", multirun=False) or []
    assert [job.arguments for job in found] == [("seed=1",), ("seed=2",)]


def test_a_file_sweeps_by_itself_and_arguments_replace_its_values(
    configs: Path, here: Path
) -> None:
    Path("my.yaml").write_text(
        "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      seed: range(0,2)\n      shape.width: 4,5\n      trainer.epochs: 9\n"
    )
    found = jobs(configs, "config=my.yaml", "seed=7", multirun=False) or []
    assert [dict(job.overrides) for job in found] == [{"shape.width": "4"}, {"shape.width": "5"}]
    made = [settings(configs, *job.arguments) for job in found]
    assert [(one.seed, one.trainer.epochs, one.shape.width) for one in made] == [
        (7, 9, 4),
        (7, 9, 5),
    ]


def test_a_file_without_the_mode_sweeps_when_asked(configs: Path, here: Path) -> None:
    Path("my.yaml").write_text("hydra: {sweeper: {params: {seed: '1,2'}}}")
    assert jobs(configs, "config=my.yaml", multirun=False) is None
    assert overrides(configs, "config=my.yaml") == [{"seed": "1"}, {"seed": "2"}]


def test_presets_can_be_swept(configs: Path) -> None:
    assert overrides(configs, "config=quick,deep/one") == [
        {"config": "quick"},
        {"config": "deep/one"},
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("seed: 1", ["seed=[1"], "seed: found [1, where a bracket is not closed"),
        (
            "hydra: {sweeper: {params: {seed: '(1'}}}",
            [],
            "hydra.sweeper.params.seed: found (1, which cannot be read.",
        ),
        ("seed: 1", ["seed=range(0,3,0)"], "seed: found range(0,3,0), whose step is 0. Allowed: a"),
        (
            "seed: 1",
            ["seed=range(3,3)"],
            "seed: found range(3,3), which is empty, as the end is le",
        ),
        (
            "seed: 1",
            ["seed=range(1,3,-1)"],
            "seed: found range(1,3,-1), which is empty, as the end",
        ),
        (
            "seed: 1",
            ["seed=range(0,.5,1e-9)"],
            "seed: found range(0,0.5,1e-09). Allowed: at most 1",
        ),
        ("seed: 1", ["seed=range(0,inf)"], "seed: found range(0,inf). Allowed: at most 100000 val"),
        ("seed: 1", ["seed=range(0,nan)"], "seed: found range(0,nan), which is empty"),
        (
            "seed: 1",
            ["seed=range(0,1000)", "shape.width=range(1,102)"],
            "--multirun: found 101000 jobs. Allowed: at most 100000",
        ),
    ],
)
def test_faults(configs: Path, here: Path, text: str, arguments: list[str], message: str) -> None:
    Path("my.yaml").write_text(text)
    (fault,) = faults(config.jobs, REGISTRIES, ["config=my.yaml", *arguments], True, configs)
    assert fault.startswith(message)


def test_an_unreadable_file_is_left_to_composing(configs: Path, here: Path) -> None:
    assert jobs(configs, "config=none.yaml") == [config.Job(("config=none.yaml",), {})]


@dataclass(frozen=True)
class Alone:
    """One after another."""


@dataclass(frozen=True)
class Inner:
    """What a job needs."""

    cores: int = option(1, "Cores.", minimum=1)


@dataclass(frozen=True)
class Pool:
    """Several at a time."""

    n_jobs: int = option(-1, "Jobs at a time.")
    queue: str | None = option(None, "Queue.")
    remote: Inner = field(default_factory=Inner)


LAUNCHERS = Registry("launcher")
LAUNCHERS.register("basic", Alone, Alone)
LAUNCHERS.register("pool", Pool, Pool)


def launcher(configs: Path, *arguments: str) -> object:
    return config.launcher(REGISTRIES, LAUNCHERS, arguments, configs)


def test_a_launcher_takes_its_preset_then_numbers_of_files_then_arguments(
    configs: Path, here: Path
) -> None:
    (configs / "hydra/launcher").mkdir(parents=True)
    (configs / "hydra/launcher/pool.yaml").write_text(
        "{n_jobs: 2, queue: slow, remote: {cores: 3}}"
    )
    Path("my.yaml").write_text("hydra: {launcher: {n_jobs: 4, remote: {cores: 5}}}")
    words = ("config=my.yaml",)
    assert launcher(configs, "seed=1,2") == Alone()
    assert launcher(configs, "hydra/launcher=pool") == Pool(2, "slow", Inner(3))
    assert launcher(configs, *words, "hydra/launcher=pool") == Pool(4, "slow", Inner(5))
    given = ("hydra/launcher=pool", "hydra.launcher.queue=fast", "hydra.launcher.remote.cores=6")
    assert launcher(configs, *words, *given) == Pool(4, "fast", Inner(6))
    assert "hydra" not in config.Catalogue(REGISTRIES, configs).groups()


def test_jobs_know_nothing_of_their_launcher(configs: Path) -> None:
    found = jobs(configs, "hydra/launcher=pool", "hydra.launcher.n_jobs=2", "seed=1,2") or []
    assert [job.arguments for job in found] == [("seed=1",), ("seed=2",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["hydra/launcher=pol"],
            "hydra/launcher: unknown launcher 'pol'. Did you mean 'pool'? Allowed: basic, pool",
        ),
        (["hydra/launcher=[pool]"], "hydra/launcher: unknown launcher ['pool']."),
        (["hydra/launcher=basic,pool"], "hydra/launcher: takes one value for the whole sweep"),
        (
            ["hydra.launcher.n_jobs=2"],
            "hydra.launcher.n_jobs: jobs run one after another, and no launcher takes it. "
            "Choose one by hydra/launcher=<name>: pool",
        ),
        (
            ["hydra/launcher=pool", "hydra.launcher.jobs=2"],
            "hydra.launcher.jobs: unknown option. Did you mean 'n_jobs'? Allowed: n_jobs, queue",
        ),
        (
            ["hydra/launcher=pool", "hydra.launcher.n_jobs=few"],
            "hydra.launcher.n_jobs: found 'few'. Allowed: whole number",
        ),
        (
            ["hydra/launcher=pool", "hydra.launcher.remote.cores=0"],
            "hydra.launcher.remote.cores: found 0. Allowed: whole number, at least 1",
        ),
        (
            ["hydra/launcher=pool", "hydra.launcher.n_jobs=1", "hydra.launcher.n_jobs.x=0"],
            "hydra.launcher.n_jobs.x: n_jobs is 1, which has no options",
        ),
    ],
)
def test_faults_of_launchers(configs: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserErrors) as caught:
        launcher(configs, *arguments)
    assert caught.value.faults[0].startswith(message)


def test_a_launcher_without_a_sweep_is_a_mistake(configs: Path) -> None:
    words = ["hydra/launcher=pool", "hydra.launcher.n_jobs=2"]
    assert faults(config.jobs, REGISTRIES, words, False, configs) == [
        "hydra/launcher: a launcher runs the jobs of a sweep. Add -m (--multirun)",
        "hydra.launcher.n_jobs: a launcher runs the jobs of a sweep. Add -m (--multirun)",
    ]
