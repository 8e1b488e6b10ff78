"""An error on some rank, or on all of them: one message, and nobody waits."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from contextlib import redirect_stderr

import pytest

from tagi_cli.distributed import ALONE, Communicator, together
from tagi_cli.distributed.communicator import Alone
from tagi_cli.distributed.watch import Watch
from tagi_cli.errors import UserError


class Failing(Alone):
    """Rank `rank` of 2; the other says `other`, or goes on."""

    def __init__(self, rank: int, other: str | None) -> None:
        self.rank, self.size, self.other = rank, 2, other
        self.code: int | None = None

    def meet_failed(self, message: str, seconds: float) -> list[str] | None:
        if self.other is None:
            return None
        return [message, self.other] if self.rank == 0 else [self.other, message]

    def abort(self, code: int) -> None:
        self.code = code


def fail(ranks: Communicator, error: BaseException) -> None:
    with together(ranks):
        raise error


def test_alone_errors_pass() -> None:
    with pytest.raises(UserError, match=r"^wrong$"):
        fail(ALONE, UserError("wrong"))


def test_the_same_mistake_is_told_once() -> None:
    with pytest.raises(UserError, match=r"^wrong$"):
        fail(Failing(0, "wrong"), UserError("wrong"))
    with pytest.raises(SystemExit) as ended:
        fail(Failing(1, "wrong"), UserError("wrong"))
    assert ended.value.code == 2


def test_different_mistakes_are_told_with_their_ranks() -> None:
    with pytest.raises(UserError, match=r"^rank 0: no a.csv\nrank 1: no b.csv$"):
        fail(Failing(0, "no b.csv"), UserError("no a.csv"))


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (UserError("a.csv does not exist"), "a.csv does not exist", 2),
        (MemoryError("8 GiB"), "out of memory (8 GiB)", 2),
        (KeyboardInterrupt(), "interrupted", 130),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero", 1),
    ],
)
def test_one_rank_ends_all(error: BaseException, told: str, code: int) -> None:
    ranks, said = Failing(1, None), io.StringIO()
    with redirect_stderr(said), pytest.raises(type(error)):
        fail(ranks, error)
    assert said.getvalue().endswith(f"tagi: rank 1 of 2 failed: {told}. All ranks stop\n")
    assert ("Traceback" in said.getvalue()) == isinstance(error, ZeroDivisionError)
    assert ranks.code == code


def test_waiting_too_long_ends_the_process() -> None:
    codes: list[int] = []
    watch = Watch(0.04, lambda seconds: f"waited {seconds:.0f} s", codes.append)
    said = io.StringIO()
    with redirect_stderr(said):
        with watch:
            pass
        time.sleep(0.1)
        assert not codes
        with watch:
            end = time.monotonic() + 30
            while not codes and time.monotonic() < end:
                time.sleep(0.01)
    assert codes == [1]
    assert said.getvalue() == "tagi: waited 0 s\n"


SCRIPT = """
import sys
from tagi_cli.distributed import abort_on_error
from tagi_cli.distributed.communicator import Alone

class Two(Alone):
    rank, size = 1, 2

    def abort(self, code):
        print("all end with", code, flush=True)

abort_on_error(Two())
{work}
"""


@pytest.mark.parametrize(
    ("work", "told", "code"),
    [
        ("raise ValueError('bad row')", "failed: ValueError: bad row", 1),
        ("raise MemoryError('8 GiB')", "failed: out of memory (8 GiB)", 2),
        ("sys.exit(3)", "failed: it left with status 3", 3),
        ("sys.exit('no more')", "failed: it left with status no more", 1),
        ("sys.exit(0)", "", None),
        ("", "", None),
    ],
)
def test_a_script_that_ends_badly_ends_all(work: str, told: str, code: int | None) -> None:
    script = SCRIPT.format(work=work)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == ("" if code is None else f"all end with {code}\n")
    assert (f"tagi: rank 1 of 2 {told}. All ranks stop\n" in done.stderr) == bool(told)
