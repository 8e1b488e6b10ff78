"""Options of the group `tracker`, its kinds, and whether what a kind needs is installed."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tagi_cli.errors import UserError
from tagi_cli.options import Registry, option

if TYPE_CHECKING:
    from tagi_cli.experiment.trackers.tracker import Sink, TrackedRun


@dataclass(frozen=True)
class NoTracker:
    """Metrics lie in the run folder alone: metrics.csv and metrics.jsonl."""


@dataclass(frozen=True)
class TensorboardOptions:
    """Event files for TensorBoard. Needs the extra `tensorboard`."""

    folder: str | None = option(
        None,
        "Folder of the event files of many runs, each below a folder of its own. null: "
        "`tensorboard` in the run folder.",
        path=True,
    )
    run: str | None = option(None, "The run's folder below `folder`. null: `<name>/<run folder>`.")

    def faults(self) -> list[str]:
        """A name leads to a place below the folder, and only there."""
        if self.run is None:
            return []
        if self.folder is None:
            return [".run: has no effect without `tracker.folder`"]
        if self.run.startswith("/") or ".." in self.run.split("/") or not self.run.strip("./ "):
            return [f".run: found '{self.run}'. Allowed: a path below `tracker.folder`"]
        return []


@dataclass(frozen=True)
class MlflowOptions:
    """A run of MLflow, in a file or on a server. Needs the extra `mlflow`."""

    uri: str | None = option(
        None,
        "Where runs are kept: `sqlite:////path/to/file.db`, or the address of a server. null: "
        "what MLFLOW_TRACKING_URI says, else `outputs/mlflow.db`.",
    )
    project: str | None = option(None, "The experiment. null: the run's `name`.")
    run: str | None = option(None, "The run's name. null: that of its folder.")
    tags: dict[str, str] | None = option(None, "Tags of the run, as {name: text}.")

    def faults(self) -> list[str]:
        """An address must not hold a password, which config.yaml would show."""
        if self.uri is None:
            return []
        if not self.uri:
            return [".uri: found nothing. Allowed: an address, or null"]
        password = urlsplit(self.uri).password
        if password and "${" not in password:
            return [
                ".uri: holds a password, which config.yaml would show. Put it into the environment "
                "as MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or write "
                "${oc.env:<variable>} in its place"
            ]
        return []


@dataclass(frozen=True)
class WandbOptions:
    """A run of Weights & Biases, offline unless asked for. Needs the extra `wandb`."""

    mode: str = option(
        "offline",
        "offline: nothing leaves this machine, and `wandb sync` uploads it later; online: with the "
        "key from `wandb login` or WANDB_API_KEY.",
        choices=("offline", "online"),
    )
    folder: str | None = option(
        None, "Where its folder `wandb` lies. null: in the run folder.", path=True
    )
    project: str | None = option(None, "The project. null: the run's `name`.")
    entity: str | None = option(None, "User or team. null: the one logged in.")
    run: str | None = option(None, "The run's name. null: that of its folder.")
    tags: tuple[str, ...] = option((), "Tags of the run.")


def _no_sink(options: NoTracker, run: TrackedRun) -> None:
    """There is nobody to tell."""


def _tensorboard(options: TensorboardOptions, run: TrackedRun) -> Sink:
    from tagi_cli.experiment.trackers.tensorboard import TensorboardSink

    return TensorboardSink(options, run)


def _mlflow(options: MlflowOptions, run: TrackedRun) -> Sink:
    from tagi_cli.experiment.trackers.mlflow import MlflowSink

    return MlflowSink(options, run)


def _wandb(options: WandbOptions, run: TrackedRun) -> Sink:
    from tagi_cli.experiment.trackers.wandb import WandbSink

    return WandbSink(options, run)


registry = Registry("tracker")
registry.register("none", NoTracker, _no_sink)
registry.register("tensorboard", TensorboardOptions, _tensorboard)
registry.register("mlflow", MlflowOptions, _mlflow)
registry.register("wandb", WandbOptions, _wandb)

_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}


def check(options: Any) -> None:
    """Make sure that a tracker's package is installed, without importing it.

    Raises:
        UserError: it is not; the message names the extra that brings it.
    """
    kind = registry.of(options).name
    package = _PACKAGES.get(kind)
    if package is not None and importlib.util.find_spec(package) is None:
        raise missing(kind, f"the package {package} is not installed")


def missing(kind: str, reason: object) -> UserError:
    """What is said where a tracker's package, or one that it needs, is not there."""
    return UserError(
        f"tracker: {kind} cannot be used, as {reason}. Install it with "
        f"pip install 'tagi-cli[{kind}]', or set tracker=none"
    )
