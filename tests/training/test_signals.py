"""Signals: the first asks, the second stops, and other threads are left alone."""

from __future__ import annotations

import signal
import threading

import pytest
from linear_learner import interrupt

from tagi_cli.training.signals import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted(number: int) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.is_requested()
        interrupt(number)
        assert interruption.is_requested()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_raises(second: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption():
        interrupt(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupt(second)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with Interruption() as interruption:
            seen.extend([signal.getsignal(signal.SIGINT), interruption.is_requested()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, False]
