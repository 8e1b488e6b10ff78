"""The live display of training on a terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from tagi_cli.training import progress_text
from tagi_cli.training.events import EpochEnded, Event, Progress, TrainingEnded, TrainingStarted


class LiveProgress:
    """A bar per phase with epoch, speed and time left, and the metrics of the last epoch below."""

    def __init__(self, console: Console) -> None:
        # What a narrow terminal has no room for would be cut to a letter or two.
        more = [
            TextColumn(f"{{task.fields[{field}]:<{wide}}}")
            for field, wide, least in (("rate", 13, 72), ("left", 14, 56))
            if console.width >= least
        ]
        self._bars = Bars(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[epoch]}/{task.total:.0f} epochs"),
            *more,
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._below = ""
        self._speed = progress_text.Speed()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def notify(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, TrainingStarted):
            self._live.start()
        elif isinstance(event, Progress):
            self._move(event, event.epoch - 1 + event.done)
        elif isinstance(event, EpochEnded):
            self._below = progress_text.metrics(event)
            self._move(event, event.epoch)
        elif isinstance(event, TrainingEnded):
            self._below = progress_text.ending(event)
            self._leave_bar()
            self._live.stop()

    def _move(self, event: Progress | EpochEnded, done: float) -> None:
        if event.phase not in self._tasks:
            self._leave_bar()
            task = self._bars.add_task(event.phase, total=event.epochs, epoch=0, rate="", left="")
            self._tasks[event.phase] = task
        rate, left = self._speed.after(event)
        self._bars.update(
            self._tasks[event.phase], completed=done, epoch=event.epoch, rate=rate, left=left
        )

    def _leave_bar(self) -> None:
        """No time is left of a phase that early stopping ended before its last epoch."""
        for task in self._tasks.values():
            self._bars.update(task, left="")

    def _render(self) -> Group:
        return Group(*([self._bars] if self._tasks else []), Text(self._below))
