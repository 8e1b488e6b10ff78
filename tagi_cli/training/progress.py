"""Showing how training goes: a live display on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tagi_cli.training import progress_text
from tagi_cli.training.events import EpochEnded, Event, Observer, Progress, TrainingEnded

if TYPE_CHECKING:
    from rich.console import Console

_LINES = 20
_SECONDS = 30.0


def progress_observer(console: Console) -> Observer:
    """The display that suits the console: a live one on a terminal, lines anywhere else."""
    if console.is_terminal and not console.is_dumb_terminal:
        from tagi_cli.training.live_progress import LiveProgress

        return LiveProgress(console)
    return PlainProgress(console)


class PlainProgress:
    """Lines: about 20 epochs of a phase, and where training is after 30 s without one."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._last_line = clock()
        self._speed = progress_text.Speed()

    def notify(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, Progress | EpochEnded):
            _, left = self._speed.after(event)
            overdue = self._clock() - self._last_line >= _SECONDS
            if isinstance(event, Progress):
                if overdue:
                    self._print(progress_text.place(event), f"{event.done:.0%}", left)
            elif overdue or _is_drawn(event.epoch, event.epochs):
                self._print(progress_text.place(event), progress_text.metrics(event), left)
        elif isinstance(event, TrainingEnded):
            self._print(progress_text.ending(event))

    def _print(self, *parts: str) -> None:
        self._last_line = self._clock()
        line = "  ".join(part for part in parts if part)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _is_drawn(epoch: int, epochs: int) -> bool:
    """Whether an epoch has a line: the first, the last, and round numbers between."""
    step = 1
    while epochs > _LINES * step:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return epoch in (1, epochs) or epoch % step == 0
