"""The words in which progress is told, and how long a phase will still take."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from tagi_cli.training.events import EpochEnded, Progress, TrainingEnded
from tagi_cli.training.history import SEARCH

_CAUSES = {
    "early_stopping": "stopped early",
    "max_epochs": "all epochs done",
    "max_seconds": "stopped by the time limit",
    "divergence": "stopped because the moments ran out of range",
}


class Speed:
    """How fast a phase has been since it began in this process, and how long it will still take."""

    def __init__(self) -> None:
        self._origin: tuple[str, float, float] | None = None

    def after(self, event: Progress | EpochEnded) -> tuple[str, str]:
        """`3.2 epochs/s` and `ETA 0:01:20`; empty if unknown, and the latter where nothing is left.

        `<=` stands before the time while early stopping may come first.
        """
        done = float(event.epoch)
        if isinstance(event, Progress):
            done += event.done - 1
        if self._origin is None or self._origin[0] != event.phase:
            self._origin = (event.phase, done, event.seconds)
        _, done_before, seconds_before = self._origin
        if done <= done_before or event.seconds <= seconds_before:
            return "", ""
        speed = (done - done_before) / (event.seconds - seconds_before)
        if done >= event.epochs:
            return rate(speed), ""
        left = duration((event.epochs - done) / speed)
        return rate(speed), f"ETA {'<= ' if event.phase == SEARCH else ''}{left}"


def rate(speed: float) -> str:
    """`3.2 epochs/s`, or below one in a second `4.1 s/epoch`."""
    if speed < 1:
        return f"{1 / speed:.3g} s/epoch" if speed > 1e-3 else f"{1 / speed:,.0f} s/epoch"
    return f"{speed:.3g} epochs/s" if speed < 1000 else f"{speed:,.0f} epochs/s"


def duration(seconds: float) -> str:
    """`h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def place(event: Progress | EpochEnded) -> str:
    """`search epoch  12/200`."""
    return f"{event.phase} epoch {event.epoch:>{len(str(event.epochs))}}/{event.epochs}"


def metrics(event: EpochEnded) -> str:
    """`train nll 0.31 rmse 0.42 | valid nll 0.35 rmse 0.44 | best epoch 9`."""
    parts = [f"train {_pairs(event.train)}"]
    if event.valid:
        parts += [f"valid {_pairs(event.valid)}", f"best epoch {event.best_epoch}"]
    return " | ".join(parts)


def ending(event: TrainingEnded) -> str:
    """One sentence on how training ended; the error itself is told by others."""
    if event.status == "failed":
        return f"training failed after {counted(event.epochs, 'epoch')}"
    if event.status == "interrupted":
        return f"interrupted after {counted(event.epochs, 'epoch')}; what was reached is saved"
    after = f"{_CAUSES[event.stopped_by]} after {counted(event.epochs, 'epoch')}"
    words = f"{after}, best epoch {event.best_epoch}"
    if event.refitted:
        words += ", refitted on training and validation rows"
    return f"{words} ({duration(event.seconds)})" + (f"; {event.remark}" if event.remark else "")


def counted(count: int, thing: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count} {thing}{'s' * (count != 1)}"


def short(value: float) -> str:
    """Four digits, or all before the point: `0.1235`, `42,766`, `1.2e+07`."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _pairs(values: Mapping[str, float]) -> str:
    """The first two metrics, which is what 80 columns hold; the tables have them all."""
    return " ".join(f"{name} {short(value)}" for name, value in islice(values.items(), 2))
