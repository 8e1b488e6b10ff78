"""The section `tune` of files and command lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_schema import REGISTRIES, faults, settings

from tagi_cli import config


def section(configs: Path, *arguments: str) -> tuple[dict[str, Any], list[str]]:
    return config.tune_section(REGISTRIES, arguments, configs)


def test_files_come_first_and_arguments_are_laid_over(configs: Path, here: Path) -> None:
    Path("one.yaml").write_text("tune: {trials: 3, space: {shape.width: {low: 1, high: 9}}}")
    Path("two.yaml").write_text("seed: 4\ntune: {trials: 5, seed: 1}")
    words = ["config=[one.yaml,two.yaml]", "seed=2", "tune.seed=7", "tune.space.seed=[1,2]"]
    tree, rest = section(configs, *words)
    assert tree == {
        "trials": 5,
        "seed": 7,
        "space": {"shape.width": {"low": 1, "high": 9}, "seed": [1, 2]},
    }
    assert rest == words[:2]
    assert settings(configs, *rest).seed == 2


def test_a_whole_section_may_be_an_argument(configs: Path) -> None:
    tree, rest = section(configs, "tune.space={shape.width: {low: 1, high: 9, log: true}}")
    assert tree == {"space": {"shape.width": {"low": 1, "high": 9, "log": True}}}
    assert rest == []


def test_faults_of_other_arguments_are_left_to_composing(configs: Path) -> None:
    assert section(configs, "seed=[1", "tune.trials=2") == ({"trials": 2}, ["seed=[1"])


@pytest.mark.parametrize(
    ("text", "argument", "message"),
    [
        ("tune: 3", "seed=1", "tune: found 3. Allowed: a mapping of options"),
        ("seed: 1", "tune.space.seed=1,2", "tune.space.seed: found several values, 1,2. Write a "),
        ("seed: 1", "tune.space=[1", "tune.space: found [1, where a bracket is not closed"),
        ("tune: {trials: 3}", "tune.trials.x=1", "tune.trials.x: tune.trials is 3, which has no"),
    ],
)
def test_faults(configs: Path, here: Path, text: str, argument: str, message: str) -> None:
    Path("my.yaml").write_text(text)
    (fault,) = faults(config.tune_section, REGISTRIES, ["config=my.yaml", argument], configs)
    assert fault.startswith(message)
