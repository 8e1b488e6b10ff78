"""Options: defaults, ranges, and that reading them needs no NumPy."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import pytest

from tagi_cli.nn.rules import RULES
from tagi_cli.options import Limits
from tagi_cli.training import options
from tagi_cli.training.options import CheckpointOptions, EnsembleOptions, TrainerOptions


def test_defaults() -> None:
    trainer = TrainerOptions()
    assert (trainer.max_epochs, trainer.max_seconds, trainer.refit) == (200, None, True)
    assert trainer.early_stopping.enabled
    assert (trainer.early_stopping.patience, trainer.early_stopping.min_delta) == (40, 0.0)
    assert trainer.update_rule == "information_capped"
    assert (trainer.nan_policy, trainer.resume, trainer.threads) == ("raise", None, None)
    assert EnsembleOptions().size == 8
    assert (CheckpointOptions().csv, CheckpointOptions().every) == (False, 1)


def limits(path: str) -> Limits:
    trainer = {field.name: field for field in dataclasses.fields(TrainerOptions)}
    stopping = {field.name: field for field in dataclasses.fields(options.EarlyStoppingOptions)}
    found = (stopping if path in stopping else trainer)[path].metadata["limits"]
    assert isinstance(found, Limits)
    return found


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [
        ("max_epochs", 0, 1),
        ("max_seconds", 0.0, 0.1),
        ("patience", 0, 1),
        ("min_delta", -0.1, 0.0),
        ("cap", 0.0, 0.1),
        ("threads", 0, 1),
        ("threads", 10**20, 64),
        ("update_rule", "adam", "site"),
        ("nan_policy", "ignore", "stop"),
    ],
)
def test_ranges(path: str, bad: object, good: object) -> None:
    assert not limits(path).accepts(bad)
    assert limits(path).accepts(good)
    assert limits(path).doc


@pytest.mark.parametrize("rule", options.UPDATE_RULES)
def test_a_cap_that_no_step_meets_is_remarked(rule: str) -> None:
    uncapped = rule in ("sum", "information", "site")
    message = f"trainer.cap has no effect beside trainer.update_rule={rule}"
    assert TrainerOptions(update_rule=rule, cap=2.0).remarks() == [message] * uncapped
    assert TrainerOptions(update_rule=rule).remarks() == []


@pytest.mark.parametrize("enabled", [False, True])
def test_patience_that_is_never_tried_is_remarked(enabled: bool) -> None:
    stopping = options.EarlyStoppingOptions(enabled=enabled, patience=5)
    found = TrainerOptions(early_stopping=stopping).remarks()
    assert [text.split()[0] for text in found] == ["trainer.early_stopping.patience"] * (
        not enabled
    )
    assert not TrainerOptions(early_stopping=options.EarlyStoppingOptions(enabled)).remarks()


def test_update_rules_are_those_of_the_network() -> None:
    assert set(options.UPDATE_RULES) == set(RULES)


def test_reading_the_options_imports_no_numpy() -> None:
    program = "import sys, tagi_cli.training.options; print('numpy' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.strip() == "False"
