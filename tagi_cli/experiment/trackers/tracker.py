"""One way to tell any tracker how a run goes: an observer, and what stands behind it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tagi_cli import atomic
from tagi_cli.backend.notes import say_once
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.experiment.trackers.options import missing, registry
from tagi_cli.training.events import COMPLETED, FAILED, EpochEnded, Event
from tagi_cli.training.history import REFIT, Row

RECORD = "tracker.json"
"""File in the run folder that says which run of which tracker is told, for when it goes on."""

_PARTS = ("train", "valid")


class Sink(Protocol):
    """A run as a tracker keeps it. Steps are epochs, those of a refit after those of the search."""

    @property
    def record(self) -> Mapping[str, Any]:
        """What finds the tracker's run again, without secrets."""

    @property
    def place(self) -> str:
        """Where to look, in words for the user."""

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the metrics of an epoch, finite numbers."""

    def result(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the metrics of the finished run."""

    def close(self, status: str) -> None:
        """Write what is left; `status` is that of summary.json."""


@dataclass(frozen=True)
class TrackedRun:
    """What a sink begins with.

    Attributes:
        folder: the run's.
        name: the run's `name`.
        group: name of the sweep or search that the run belongs to; None for a single one.
        config: its settings, as nested plain mappings.
        text: the same as YAML.
        done: epochs told before, where the run is continued.
        record: what the sink left about them; None where the tracker does not know the run yet.
    """

    folder: RunFolder
    name: str
    group: str | None
    config: Mapping[str, Any]
    text: str
    done: int = 0
    record: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """What to call the run where there are many: its folder."""
        return self.folder.path.name

    def flat(self) -> dict[str, str | float | bool]:
        """The settings by dotted path; lists and mappings of names as JSON, null as text."""
        return dict(_flat(self.config, ""))


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str | float | bool]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | float | int):
            yield f"{prefix}{key}", value
        else:
            yield f"{prefix}{key}", json.dumps(value)


@dataclass
class Tracker:
    """An observer that passes on to a sink what it can keep: numbers by epoch.

    A sink that does not open is an error; one that fails later is let go with a note, as the run's
    own files have all of it.

    Attributes:
        options: those of the tracker's kind.
        run: what the sink begins with.
        say: told where to look, and what went wrong.
    """

    options: Any
    run: TrackedRun
    say: Callable[[str], None] = say_once
    _sink: Sink | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)

    def notify(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, EpochEnded):
            self._tell(event.row)

    def open(self, history: Sequence[Row]) -> None:
        """Start the tracker, and tell it the epochs so far that it does not know.

        Raises:
            UserError: it cannot be started.
        """
        kind = registry.of(self.options).name
        at = self.run.folder.path / RECORD
        record = read_json(at) if at.is_file() else {}
        known = record.get("tracker") == kind
        begun = dataclasses.replace(
            self.run,
            group=self.run.group or record.get("group"),
            done=len(history) if known else 0,
            record=record if known else None,
        )
        try:
            self._sink = registry.of(self.options).build(self.options, begun)
        except UserError:
            raise
        except ImportError as error:
            raise missing(kind, error) from None
        except Exception as error:
            raise UserError(
                f"tracker: {kind} could not be started ({_told(error)}). Mend it, or set "
                "tracker=none; the run folder keeps all metrics either way"
            ) from error
        if self._sink is None:
            return
        self.run = begun
        self._leave_record()
        self._steps = begun.done
        for row in history[begun.done :]:
            self._tell(row)

    @property
    def place(self) -> str | None:
        """Where to look; None where nothing is tracked."""
        return None if self._sink is None else self._sink.place

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Pass on the metrics of a run that has ended, and close."""
        values = dict(_results(summary))
        if values and summary["status"] == COMPLETED:
            self._try(lambda sink: sink.result(self._steps, values))
        self._close(str(summary["status"]))

    def fail(self) -> None:
        """Close, as the run ends by an error."""
        self._close(FAILED)

    def _tell(self, row: Row) -> None:
        self._steps += 1
        values = dict(_epoch(row))
        self._try(lambda sink: sink.epoch(self._steps, values))

    def _close(self, status: str) -> None:
        if self._sink is not None:
            self._try(lambda sink: sink.close(status))
        if self._sink is not None:
            self._leave_record()

    def _leave_record(self) -> None:
        assert self._sink is not None
        group = {"group": self.run.group} if self.run.group else {}
        kind = registry.of(self.options).name
        path = self.run.folder.path / RECORD
        atomic.write_json(path, {"tracker": kind, **group, **self._sink.record})

    def _try(self, tell: Callable[[Sink], None]) -> None:
        if self._sink is None:
            return
        try:
            tell(self._sink)
        except Exception as error:
            self._sink = None
            self.say(
                f"the tracker is no longer told anything, as it failed ({_told(error)}); the run "
                "goes on, and its folder keeps all metrics"
            )


def _told(error: Exception) -> str:
    """The first line of an error; names and passwords in addresses are left out."""
    first = re.sub(r"//[^/@\s]+@", "//", (str(error).strip().splitlines() or [""])[0])
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _epoch(row: Row) -> Iterator[tuple[str, float]]:
    """`train/nll`, `valid/nll`, ...; `refit/nll` of the refit; `seconds`."""
    for key, value in row.items():
        part, _, metric = key.partition("_")
        if isinstance(value, str) or key == "epoch" or value is None or not math.isfinite(value):
            continue
        if part in _PARTS and metric:
            part = "refit" if row.get("phase") == REFIT else part
            yield f"{part}/{metric}", float(value)
        else:
            yield key, float(value)


def _results(summary: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """`final/test/rmse`, and of several outputs `final/test/<output>/rmse`."""

    def below(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from below(value, prefix if key == "components" else f"{prefix}{key}/")
            elif isinstance(value, int | float) and math.isfinite(value):
                yield f"{prefix}{key}", float(value)

    for part in ("prequential", "valid", "test"):
        found = summary.get(part) or {}
        one = len(found.get("components", {})) < 2
        kept = {key: value for key, value in found.items() if not (one and key == "components")}
        yield from below(kept, f"final/{part}/")


def free_folder(path: Path, run: TrackedRun, option: str) -> Path:
    """A folder that no other run has written to.

    Raises:
        UserError: there are files in it already.
    """
    if run.record is None and path.is_dir() and any(path.iterdir()):
        raise UserError(
            f"{option}: {path} holds another run already, and would draw both as one; choose "
            "another, or leave it out"
        )
    return path
