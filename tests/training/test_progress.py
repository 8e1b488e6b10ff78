"""The display: lines that stay few, and a live one on a terminal."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import sys

import pytest
from linear_learner import FakeClock, trainer
from rich.console import Console

from tagi_cli.training.events import EpochEnded, Progress, TrainingEnded, TrainingStarted
from tagi_cli.training.progress import PlainProgress, progress_observer
from tagi_cli.training.progress_text import rate, short

STARTED = TrainingStarted(2, 37, 11, 200, True, ())


def epoch(number: int, phase: str = "search", epochs: int = 200) -> EpochEnded:
    return EpochEnded(
        phase=phase,
        epoch=number,
        epochs=epochs,
        seconds=2.0 * number,
        epoch_seconds=2.0,
        train={"nll": 0.123456, "rmse": 2.0},
        valid={"nll": 0.5, "rmse": 2.5, "mae": 2.25} if phase == "search" else {},
        improved=True,
        best_epoch=number,
        health=(),
    )


def ended(status: str = "completed", cause: str = "early_stopping", **changes: object) -> object:
    fields = {"refitted": True, "remark": "", **changes}
    return TrainingEnded(status, cause, 43, 23, seconds=75.4, **fields)  # type: ignore[arg-type]


def console(*, terminal: bool, width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    made = Console(file=out, force_terminal=terminal, width=width, _environ={"TERM": "xterm"})
    return made, out


def lines(events: list[object], clock: FakeClock | None = None) -> list[str]:
    to, out = console(terminal=False, width=40)
    observer = PlainProgress(to, clock or FakeClock())
    for event in events:
        observer.notify(event)  # type: ignore[arg-type]
    return out.getvalue().splitlines()


def test_a_short_run_has_a_line_per_epoch() -> None:
    found = lines([STARTED, *(epoch(i, epochs=5) for i in range(1, 6))])
    assert found[0] == (
        "search epoch 1/5  train nll 0.1235 rmse 2 | valid nll 0.5 rmse 2.5 | best epoch 1"
    )
    assert found[1].endswith("best epoch 2  ETA <= 0:00:06")
    assert [line.split()[2] for line in found] == ["1/5", "2/5", "3/5", "4/5", "5/5"]


@pytest.mark.parametrize("epochs", [21, 200, 1000, 30_000])
def test_a_long_run_has_some_twenty_lines(epochs: int) -> None:
    found = lines([STARTED, *(epoch(i, epochs=epochs) for i in range(1, epochs + 1))])
    assert 10 <= len(found) <= 22
    assert f"search epoch {epochs}/{epochs} " in found[-1]
    numbers = [int(re.search(r"epoch +(\d+)/", line)[1]) for line in found]  # type: ignore[index]
    step = numbers[2] - numbers[1]
    assert numbers[1:-1] == list(range(numbers[1], epochs, step))[: len(numbers) - 2]


def test_slow_epochs_are_told_every_half_minute() -> None:
    clock = FakeClock()
    to, out = console(terminal=False)
    observer = PlainProgress(to, clock)
    for step in range(1, 10):
        clock.now += 10
        observer.notify(Progress("search", 3, 200, step / 10, 10.0 * step))
    found = out.getvalue().splitlines()
    assert len(found) == 3
    assert found[0].startswith("search epoch   3/200  30%  ETA <= ")


def test_time_left_of_the_refit_is_exact() -> None:
    found = lines([epoch(i, "refit", 12) for i in (1, 2, 3)])
    assert found[2] == "refit epoch  3/12  train nll 0.1235 rmse 2  ETA 0:00:18"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            ended(),
            "stopped early after 43 epochs, best epoch 23, refitted on training and validation "
            "rows (0:01:15)",
        ),
        (
            ended(cause="max_epochs", refitted=False),
            "all epochs done after 43 epochs, best epoch 23 (0:01:15)",
        ),
        (
            ended(cause="max_seconds", refitted=False, remark="so it is"),
            "stopped by the time limit after 43 epochs, best epoch 23 (0:01:15); so it is",
        ),
        (
            ended("interrupted", "interruption"),
            "interrupted after 43 epochs; what was reached is saved",
        ),
        (ended("failed", ""), "training failed after 43 epochs"),
    ],
)
def test_how_it_ended(event: object, line: str) -> None:
    assert lines([event]) == [line]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (9999.4, "9999"),
        (-42766.1, "-42,766"),
        (9_999_999.2, "9,999,999"),
        (1.23456e12, "1.235e+12"),
    ],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_one_epoch_is_no_plural() -> None:
    event = dataclasses.replace(ended(cause="max_epochs", refitted=False), epochs=1, best_epoch=1)
    assert lines([event])[0].startswith("all epochs done after 1 epoch, best epoch 1 (")


def test_lines_have_no_control_codes_off_a_terminal() -> None:
    to, out = console(terminal=False)
    trainer(observers=[progress_observer(to)], max_epochs=3).fit()
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("search epoch") == 3


def test_live_display_on_a_terminal() -> None:
    to, out = console(terminal=True)
    result = trainer(observers=[progress_observer(to)], max_epochs=30, patience=2).fit()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert f"{result.epochs}/30 epochs" in text
    assert f"{result.best_epoch}/{result.best_epoch} epochs" in text
    last = text.splitlines()[-2:]
    assert "stopped early" in " ".join(last)
    assert max(len(line) for line in text.splitlines()) <= 80


def test_live_display_leaves_the_terminal_in_order_after_an_error() -> None:
    """The cursor that it hid is shown again."""
    to, out = console(terminal=True)

    def fail(*_: object) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        trainer(observers=[progress_observer(to)], before_rows=fail).fit()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    to = Console(file=out, force_terminal=True, width=80)
    trainer(observers=[progress_observer(to)], max_epochs=3).fit()
    assert not re.search(r"\x1b\[[0-9;]*3[0-8]", out.getvalue())


def test_a_dumb_terminal_gets_lines() -> None:
    to = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(progress_observer(to), PlainProgress)


def test_rich_is_imported_only_when_drawn() -> None:
    program = "import sys, tagi_cli.training.progress; print('rich' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


@pytest.mark.parametrize("width", [80, 60, 40])
def test_no_line_of_the_live_display_is_broken(width: int) -> None:
    to, out = console(terminal=True, width=width)
    observer = progress_observer(to)
    observer.notify(STARTED)
    for number in range(1, 4):
        observer.notify(Progress("search", number, 200, 0.5, 2.0 * number - 1))
        observer.notify(epoch(number))
    observer.notify(ended())  # type: ignore[arg-type]
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    bars = [line for line in re.split(r"[\r\n]+", text) if line.startswith("search")]
    assert bars
    assert max(map(len, bars)) <= width
    if width == 80:
        assert "3/200 epochs 2 s/epoch" in re.sub(" +", " ", bars[-1])


@pytest.mark.parametrize(
    ("speed", "text"),
    [
        (3.24159, "3.24 epochs/s"),
        (1234.5, "1,234 epochs/s"),
        (0.2, "5 s/epoch"),
        (1e-4, "10,000 s/epoch"),
    ],
)
def test_how_fast_it_is(speed: float, text: str) -> None:
    assert rate(speed) == text
