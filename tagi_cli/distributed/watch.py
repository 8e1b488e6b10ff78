"""A thread that ends the process where it waits for others too long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from tagi_cli.launcher import say_last

# Seconds between two looks.
_PERIOD = 1.0


class Watch:
    """While entered, the process waits for others: for `timeout` seconds at most.

    Then it says so on standard error and in the run folder, and exits with code 1, from which the
    launcher ends the other processes: whoever waits inside a library cannot be asked to raise an
    error.

    Args:
        timeout: seconds; None waits for ever.
        describe: the line to say, given the seconds waited.
        leave: ends the process.
    """

    def __init__(
        self,
        timeout: float | None,
        describe: Callable[[float], str],
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self.timeout = timeout
        self._describe = describe
        self._leave = leave
        self._since: float | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()
        if self._thread is None and self.timeout is not None:
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._since = None

    def _look(self) -> None:
        while (timeout := self.timeout) is not None:
            time.sleep(min(_PERIOD, timeout / 4))
            since = self._since
            if since is not None and time.monotonic() - since > timeout:
                say_last(self._describe(time.monotonic() - since))
                self._leave(1)
                break
        self._thread = None
