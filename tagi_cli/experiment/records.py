"""What a run writes down while it trains: metrics.csv, metrics.jsonl and train.log."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tagi_cli import atomic
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.training.events import EpochEnded, Event, TrainingEnded, TrainingStarted
from tagi_cli.training.history import Row


class MetricsTable:
    """An observer that keeps metrics.csv and metrics.jsonl: one row per epoch.

    When a run is resumed, both begin with the epochs of the checkpoint that it continues from, so
    that an epoch which was trained but not saved does not appear twice.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._rows: list[Row] = []
        self._columns: list[str] = []

    def notify(self, event: Event) -> None:
        """Take in an event.

        Raises:
            UserError: a file cannot be written.
        """
        if isinstance(event, TrainingStarted):
            self._rows = [dict(row) for row in event.history]
            self._rewrite()
        elif isinstance(event, EpochEnded):
            self._rows.append(event.row)
            if event.row.keys() <= set(self._columns):
                self._append(event.row)
            else:
                self._rewrite()

    def _rewrite(self) -> None:
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        head = [",".join(self._columns) + "\n"] if self._columns else []
        atomic.write_text(
            self._folder.metrics_csv, "".join([*head, *(self._csv(row) for row in self._rows)])
        )
        atomic.write_text(self._folder.metrics_jsonl, "".join(_json(row) for row in self._rows))

    def _append(self, row: Row) -> None:
        for path, line in (
            (self._folder.metrics_csv, self._csv(row)),
            (self._folder.metrics_jsonl, _json(row)),
        ):
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:
                raise atomic.cannot_write(path, error) from error

    def _csv(self, row: Row) -> str:
        out = io.StringIO()
        cells = [row.get(name) for name in self._columns]
        csv.writer(out, lineterminator="\n").writerow(
            "" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells
        )
        return out.getvalue()


def _json(row: Row) -> str:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    return json.dumps(finite) + "\n"


class Log:
    """train.log: lines with the time, kept from one resumption to the next; also an observer."""

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.log

    def write(self, text: str) -> None:
        """Append each line of `text`.

        Raises:
            UserError: the file cannot be written.
        """
        time = datetime.now().isoformat(sep=" ", timespec="seconds")
        lines = [f"{time}  {line}\n" for line in text.splitlines() if line.strip()]
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            raise atomic.cannot_write(self._path, error) from error

    def notify(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TrainingStarted):
            known = f", {len(event.history)} epochs already done" if event.history else ""
            self.write(
                f"training {event.members} networks on {event.train_rows} rows, validating on "
                f"{event.valid_rows}, at most {event.max_epochs} epochs{known}"
            )
        elif isinstance(event, EpochEnded):
            metrics = [f"train {_pairs(event.train)}"]
            metrics += [f"valid {_pairs(event.valid)}"] if event.valid else []
            mark = ", best so far" if event.improved else ""
            self.write(f"{event.phase} epoch {event.epoch}: {', '.join(metrics)}{mark}")
        elif isinstance(event, TrainingEnded):
            self._write_result(event)

    def _write_result(self, event: TrainingEnded) -> None:
        cause = f" by {event.stopped_by.replace('_', ' ')}" if event.stopped_by else ""
        self.write(
            f"training {event.status}{cause} after {event.epochs} epochs and "
            f"{event.seconds:.1f} s; best epoch {event.best_epoch}"
        )
        self.write(event.remark)


def _pairs(metrics: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {value:.5g}" for name, value in metrics.items())


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values)
    return mean if math.isfinite(mean) else None


class LastEpoch:
    """An observer that keeps what the last epoch said about the variances of each tensor, and about
    its course along the rows.
    """

    def __init__(self) -> None:
        self._last: EpochEnded | None = None

    def notify(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, EpochEnded):
            self._last = event

    def health(self) -> list[dict[str, Any]]:
        """Per tensor: variances that hit the floor so far (all members), the share of them that
        shrank below half the prior's, and the signal-to-noise ratio (means over members; null
        where it is infinite).
        """
        if self._last is None or not self._last.health:
            return []
        members = self._last.health
        return [
            {
                "tensor": name,
                "floored": sum(int(member[name].floored) for member in members),
                "shrunk": _mean([member[name].shrunk for member in members]),
                "signal": _mean([member[name].signal for member in members]),
            }
            for name in members[0]
        ]

    def curve(self) -> list[dict[str, float | None]]:
        """Points of `EpochEnded.curve`, null where a metric is not finite."""
        points = [] if self._last is None else self._last.curve
        return [{n: v if math.isfinite(v) else None for n, v in one.items()} for one in points]
