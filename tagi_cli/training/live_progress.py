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
    """A bar per phase with epoch and time left, and the metrics of the last epoch below."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[epoch]}/{task.total:.0f} epochs"),
            TextColumn("{task.fields[left]:<14}"),
            console=console,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._below = ""
        self._time_left = progress_text.TimeLeft()
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
            task = self._bars.add_task(event.phase, total=event.epochs, epoch=0, left="")
            self._tasks[event.phase] = task
        left = self._time_left.after(event)
        self._bars.update(self._tasks[event.phase], completed=done, epoch=event.epoch, left=left)

    def _leave_bar(self) -> None:
        """No time is left of a phase that early stopping ended before its last epoch."""
        for task in self._tasks.values():
            self._bars.update(task, left="")

    def _render(self) -> Group:
        return Group(*([self._bars] if self._tasks else []), Text(self._below))
