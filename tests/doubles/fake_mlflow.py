"""A stand-in for MLflow's client: stores in memory, by address, what runs tell it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest


class MlflowException(Exception):
    pass


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


@dataclass
class Run:
    experiment: str
    name: str
    tags: dict[str, str]
    status: str = "RUNNING"
    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)


@dataclass
class Store:
    experiments: list[str] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    raced: bool = False


STORES: dict[str, Store] = {}


class Client:
    def __init__(self, tracking_uri: str) -> None:
        self.store = STORES.setdefault(tracking_uri, Store())

    def search_experiments(self, max_results: int) -> list[str]:
        return self.store.experiments[:max_results]

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.store.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.store.experiments.append(name)
        if self.store.raced:  # somebody else was faster
            raise MlflowException(f"{name} exists")
        return name

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        number = str(len(self.store.runs))
        self.store.runs[number] = Run(experiment, run_name, tags)
        return SimpleNamespace(info=SimpleNamespace(run_id=number))

    def update_run(self, number: str, status: str) -> None:
        self.store.runs[number].status = status

    def set_terminated(self, number: str, status: str) -> None:
        self.store.runs[number].status = status

    def log_batch(self, number: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.store.runs[number].metrics += metrics
        self.store.runs[number].params |= {one.key: one.value for one in params}


def install(patch: pytest.MonkeyPatch) -> dict[str, Store]:
    """Put the stand-in in the place of the package; returns its stores by address."""
    STORES.clear()
    package, entities, tracking, exceptions = (
        ModuleType(f"mlflow{part}") for part in ("", ".entities", ".tracking", ".exceptions")
    )
    vars(exceptions).update(MlflowException=MlflowException)
    vars(entities).update(Metric=Metric, Param=Param)
    vars(tracking).update(MlflowClient=Client)
    for module in (package, entities, tracking, exceptions):
        patch.setitem(sys.modules, module.__name__, module)
        module.__spec__ = SimpleNamespace(name=module.__name__)  # type: ignore[assignment]
    return STORES
