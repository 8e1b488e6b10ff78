"""What a run that failed leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.records import Log
from tagi_cli.training.events import FAILED, INTERRUPTED
from tagi_cli.training.history import SEARCH


def record(
    folder: RunFolder,
    error: BaseException | str,
    seconds: float | None = None,
    found: Mapping[str, Any] | None = None,
) -> None:
    """Leave a summary that says how a run ended, with the metrics if they were already found.

    Where even that fails, the first error counts.

    Args:
        folder: of the run.
        error: what ended it, or the line that tells of it.
        seconds: of training; None takes them from the last epoch that was recorded.
        found: the summary, if it was written already.
    """
    status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    cause = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    with suppress(UserError):
        Log(folder).write(f"{status}: {cause}")
    with suppress(UserError):
        epochs, until = _recorded(folder)
        bare = {
            "epochs": epochs,
            "seconds": round(until if seconds is None else seconds, 3),
            "valid": {},
            "test": {},
        }
        summary = {"status": status} | bare | dict(found or {})
        atomic.write_json(folder.summary, summary | {"status": status})


def _recorded(folder: RunFolder) -> tuple[int, float]:
    """Epochs of the search in metrics.jsonl, and the seconds of the last line there."""
    epochs, seconds = 0, 0.0
    with suppress(OSError, ValueError, KeyError):
        for line in folder.metrics_jsonl.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            seconds = row["seconds"]
            epochs += row["phase"] == SEARCH
    return epochs, seconds
