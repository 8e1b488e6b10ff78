"""An error on any rank ends the job on all of them, with one message."""

from __future__ import annotations

import atexit
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Any, NoReturn

from tagi_cli.distributed.communicator import Communicator
from tagi_cli.distributed.connect import connect
from tagi_cli.errors import UserError
from tagi_cli.launcher import place, say_last

# Seconds in which ranks that make the same mistake all notice it.
_SECONDS = 2.0


@contextmanager
def together(ranks: Communicator) -> Iterator[None]:
    """While entered, an error on one rank does not leave the others waiting.

    Where all ranks fail, as by a mistake in the config, the first raises what they have to say and
    the others exit in silence. Where only some do, one that does says so, and ends the job.

    Raises:
        UserError: on rank 0, where ranks made different mistakes; each is told with its rank.
        SystemExit: on other ranks, where all failed.
    """
    try:
        yield
    except BaseException as error:
        if ranks.size == 1:
            raise
        said = ranks.meet_failed(_told(error), _SECONDS)
        if said is None:
            _say_alone(ranks, error)
            ranks.abort(_code(error))
            raise
        if not ranks.leads:
            raise SystemExit(_code(error)) from None
        if len(set(said)) == 1 or not isinstance(error, UserError):
            raise
        raise UserError(_by_rank(said)) from None


@contextmanager
def one_message() -> Iterator[None]:
    """The same for mistakes that come before the ranks are connected."""
    try:
        yield
    except UserError as error:
        if place().size == 1:
            raise
        try:
            ranks = connect("mpi")
        except UserError:
            raise error from None
        with together(ranks):
            raise


@cache
def abort_on_error(ranks: Communicator) -> None:
    """From now on, an error that nobody catches ends all ranks, not this process alone.

    So does `sys.exit` with another status than 0. For scripts, whose other ranks would wait for
    this one for ever.
    """
    if ranks.size == 1:
        return

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _say_alone(ranks, error)
        ranks.abort(_code(error))

    sys.excepthook = end
    leave, left = sys.exit, [None]

    def noting_exit(status: Any = None) -> NoReturn:
        left[0] = status
        leave(status)

    def end_all() -> None:
        """Runs before MPI ends, which waits for all ranks."""
        status = left[0]
        if status not in (None, 0):
            _say_alone(ranks, SystemExit(status))
            ranks.abort(status if isinstance(status, int) else 1)

    # An exit is no error that the hook above would be told of.
    sys.exit = noting_exit
    atexit.register(end_all)


def _say_alone(ranks: Communicator, error: BaseException) -> None:
    if not isinstance(error, UserError | MemoryError | KeyboardInterrupt | SystemExit):
        traceback.print_exception(error)
    line = f"rank {ranks.rank} of {ranks.size} failed: {_told(error).rstrip('.')}. All ranks stop"
    say_last(line, record=not ranks.leads)  # which leaves its own behind, with more about the run


def _told(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory ({error})"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        return f"it left with status {error}"
    return f"{type(error).__name__}: {error}"


def _code(error: BaseException) -> int:
    """The exit code that this error has on one process, too."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, UserError | MemoryError) else 1


def _by_rank(said: Sequence[str]) -> str:
    """Each message with the ranks that gave it."""
    lines = []
    for message in dict.fromkeys(said):
        who = [str(rank) for rank, own in enumerate(said) if own == message]
        lines.append(f"rank{'s' * (len(who) > 1)} {', '.join(who)}: {message}")
    return "\n".join(lines)
