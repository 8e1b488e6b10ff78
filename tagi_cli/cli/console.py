"""The console of commands that train: the work outlives whoever reads its output."""

from __future__ import annotations

import os
import sys

from rich.console import Console


class TrainingConsole(Console):
    """When its reader goes away (`tagi train ... | head`), nothing more is shown; work goes on."""

    def on_broken_pipe(self) -> None:
        """Be quiet from now on, and let nothing else be flushed into the pipe."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str = "") -> None:
        """Show one line as it is."""
        self.print(text, markup=False, highlight=False, soft_wrap=True)
