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
    assert (trainer.early_stopping.patience, trainer.early_stopping.min_delta) == (20, 0.0)
    assert trainer.update_rule == "information_capped"
    assert (trainer.nan_policy, trainer.resume, trainer.threads) == ("raise", None, None)
    assert EnsembleOptions().size == 5
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
