"""A stand-in for Weights & Biases: keeps what runs are begun with and told."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Run:
    step = 0
    url = "https://example.org/run"

    def __init__(self, **begun: Any) -> None:
        self.begun = begun
        self.dir = f"{begun['dir']}/wandb/offline-run-{begun['id']}/files"
        self.history: list[tuple[int, dict[str, float]]] = []
        self.summary: dict[str, float] = {}
        self.metrics: list[tuple[str, str | None]] = []
        self.exit_code: int | None = None

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.metrics.append((name, step_metric))

    def log(self, values: dict[str, float], step: int) -> None:
        assert not self.history or step > self.history[-1][0]
        self.history.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def install(patch: pytest.MonkeyPatch, key: bool = False) -> list[Run]:
    """Put the stand-in in the place of the package; returns the list of its runs.

    Args:
        patch: undoes it.
        key: whether somebody is logged in.
    """
    runs: list[Run] = []

    def init(**begun: Any) -> Run:
        runs.append(Run(**begun))
        return runs[-1]

    module = ModuleType("wandb")
    vars(module).update(init=init, login=lambda prompt: key, Settings=SimpleNamespace)
    module.__spec__ = SimpleNamespace(name="wandb")  # type: ignore[assignment]
    patch.setitem(sys.modules, "wandb", module)
    return runs
