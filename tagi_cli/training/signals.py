"""Ctrl-C and SIGTERM ask the training to save and stop; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from tagi_cli.distributed import ALONE, Communicator


class Interruption:
    """While entered, SIGINT and SIGTERM are noted instead of ending the process.

    The second signal raises KeyboardInterrupt wherever the program is. Python only lets the main
    thread handle signals; in any other one, entering does nothing.

    Args:
        ranks: a signal to any of them counts for all; they ask together.
    """

    def __init__(self, ranks: Communicator = ALONE) -> None:
        self._ranks = ranks
        self._requested = False
        self._before: dict[signal.Signals, Any] = {}

    def is_requested(self) -> bool:
        """Whether a signal came."""
        return self._ranks.any(self._requested)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
