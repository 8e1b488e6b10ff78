"""Runs in MLflow, through its client: nothing of its global state is touched."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tagi_cli import config
from tagi_cli.experiment.folder import from_here
from tagi_cli.experiment.trackers.options import MlflowOptions
from tagi_cli.experiment.trackers.tracker import TrackedRun
from tagi_cli.training.events import COMPLETED, INTERRUPTED

_SECONDS = 1.0
# What one request takes (MLflow's limits), and how long a parameter may be.
_METRICS, _PARAMETERS, _LONGEST = 1000, 100, 6000
_OURS = Path("outputs", "mlflow.db")
_FILE = "sqlite:///"
_STATUS = {COMPLETED: "FINISHED", INTERRUPTED: "KILLED"}


class MlflowSink:
    """Metrics by epoch, settings as parameters; sent once a second, as each request takes 30 ms."""

    def __init__(self, options: MlflowOptions, run: TrackedRun) -> None:
        # A run that is kept on this machine tells nobody else that there is one.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("mlflow", "alembic"):  # which say how they make tables
            logging.getLogger(name).setLevel(logging.WARNING)
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric, self._param = Metric, Param
        uri, artifacts = _uri(options, run)
        self._uri = uri
        with _alone(uri):  # a new file gets its tables from the first request
            self._client = MlflowClient(tracking_uri=uri)
            self._client.search_experiments(max_results=1)
        self._waiting: list[Metric] = []
        self._sent = time.monotonic()
        if run.record is not None and run.record["store"] == _shown(uri):
            self._id = run.record["run"]
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._begin(options, run, artifacts)

    def _begin(self, options: MlflowOptions, run: TrackedRun, artifacts: str | None) -> str:
        project = config.reveal(options.project or run.name)
        experiment = self._experiment(project, artifacts)
        own = {"tagi.folder": str(run.folder.path)} | (
            {"tagi.sweep": run.group} if run.group else {}
        )
        tags = own | {name: config.reveal(text) for name, text in (options.tags or {}).items()}
        title = config.reveal(options.run or run.title)
        made = self._client.create_run(experiment, run_name=title, tags=tags)
        parameters = [
            self._param(_name(key), str(value)[:_LONGEST]) for key, value in run.flat().items()
        ]
        for begin in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(made.info.run_id, params=parameters[begin : begin + _PARAMETERS])
        return str(made.info.run_id)

    def _experiment(self, project: str, artifacts: str | None) -> str:
        """The experiment of that name, which other runs may be making at this moment."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(project)
        if found is None:
            try:
                made = self._client.create_experiment(project, artifact_location=artifacts)
                return str(made)
            except MlflowException:
                found = self._client.get_experiment_by_name(project)
                if found is None:
                    raise
        return str(found.experiment_id)

    @property
    def record(self) -> Mapping[str, Any]:
        """The run's id, and where it is kept."""
        return {"run": self._id, "store": _shown(self._uri)}

    @property
    def place(self) -> str:
        """The command, or the address, that shows it."""
        if self._uri.startswith(_FILE):
            path = from_here(Path(self._uri.removeprefix(_FILE)))
            return f"mlflow ui --backend-store-uri sqlite:///{path}"
        return f"{_shown(self._uri)}, run {self._id}"

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.epoch`."""
        now = int(time.time() * 1000)
        self._waiting += [self._metric(_name(k), v, now, step) for k, v in values.items()]
        if time.monotonic() - self._sent >= _SECONDS or len(self._waiting) >= _METRICS:
            self._send()

    def result(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.result`."""
        self.epoch(step, values)

    def close(self, status: str) -> None:
        """See `Sink.close`."""
        self._send()
        self._client.set_terminated(self._id, _STATUS.get(status, "FAILED"))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for begin in range(0, len(waiting), _METRICS):
            self._client.log_batch(self._id, metrics=waiting[begin : begin + _METRICS])
        self._sent = time.monotonic()


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """While entered, no other process enters for the same file, whose tables two would spoil."""
    if not uri.startswith(_FILE):
        yield
        return
    with open(f"{uri.removeprefix(_FILE)}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uri(options: MlflowOptions, run: TrackedRun) -> tuple[str, str | None]:
    """Where runs are kept, and files of a new experiment; the latter None where a server says."""
    if options.uri is not None:
        return config.reveal(options.uri), None
    if "MLFLOW_TRACKING_URI" in os.environ:
        return os.environ["MLFLOW_TRACKING_URI"], None
    if run.record is not None and run.record["store"].startswith(_FILE):
        return run.record["store"], None
    path = _OURS.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}", str(path.with_name("mlflow-artifacts"))


def _shown(uri: str) -> str:
    """The address without name and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _name(name: str) -> str:
    """A name of the characters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)
