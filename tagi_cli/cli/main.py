"""`tagi <verb> ...`: picks the verb with the standard library only, so that help is instant."""

from __future__ import annotations

import importlib
import io
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, cast

from tagi_cli.errors import UserError, nearest
from tagi_cli.launcher import Place, place
from tagi_cli.paths import CONFIGS, TABLES
from tagi_cli.version import __version__

VERBS = (
    "train",
    "tune",
    "update",
    "eval",
    "predict",
    "explain",
    "smooth",
    "generate",
    "project",
    "angles",
    "show",
    "profile",
    "check",
    "ls",
    "cp",
    "compare",
    "report",
    "convert",
    "doctor",
    "completion",
)

WRITERS = ("tune", "predict", "smooth", "generate", "project", "report", "convert", "cp")
"""Verbs that write files and know nothing of other ranks, which would write the same ones."""

_OTHER_WORDS = {
    "fit": "train",
    "run": "train",
    "test": "eval",
    "evaluate": "eval",
    "score": "eval",
    "forecast": "predict",
    "infer": "predict",
    "plot": "report",
    "list": "ls",
    "info": "doctor",
}
"""What other tools call these verbs."""

DONE, BUG, MISTAKE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""


class Verb(Protocol):
    """A verb's module. The first line of `HELP` is its summary."""

    HELP: str

    def run(self, arguments: list[str]) -> int:
        """Do it; returns the exit code.

        Raises:
            UserError: the user's mistake.
        """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. SIGTERM does what Ctrl-C does."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with _sigterm_interrupts():
        return _run(words, words[0] if words else "--help")


def _run(words: Sequence[str], name: str) -> int:
    try:
        if name in ("-h", "--help", "help"):
            return _help(words[1:])
        if name in ("-V", "--version"):
            print(f"tagi {__version__}")
            return DONE
        if name not in VERBS:
            return _complain(
                "tagi", f"unknown verb '{name}'.{_meant(words)} Allowed: {', '.join(VERBS)}"
            )
        verb = load_verb(name)
        if any(word in ("-h", "--help") for word in words[1:]):
            print(verb.HELP.strip())
            return DONE
        own = place()
        if own.size > 1 and name in WRITERS:
            return _refuse(name, own)
        return verb.run(list(words[1:]))
    except UserError as error:
        return _complain(f"tagi {name}", str(error))
    except KeyboardInterrupt:
        print(f"tagi {name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`tagi ls | head`); let nothing be flushed into the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except MemoryError as error:
        return _complain(f"tagi {name}", f"out of memory ({error}). Use a smaller network or batch")
    except Exception:
        traceback.print_exc()
        print(
            f"tagi {name}: this is a bug in tagi {__version__}; please report it with the lines "
            "above",
            file=sys.stderr,
        )
        return BUG


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """While entered, SIGTERM raises KeyboardInterrupt, so that what is at work can clean up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def load_verb(name: str) -> Verb:
    """The module of a verb."""
    return cast(Verb, importlib.import_module(f"tagi_cli.cli.{name}"))


def _help(words: Sequence[str]) -> int:
    for word in words:
        if word in VERBS:
            print(load_verb(word).HELP.strip())
            return DONE
    lines = [
        "tagi: Bayesian neural networks by closed-form Gaussian inference",
        "",
        "usage: tagi <verb> [key=value ...]",
        "",
    ]
    for name in VERBS:
        lines.append(f"  {name:<11} {load_verb(name).HELP.strip().splitlines()[0]}")
    lines += [
        "",
        "start here:",
        "  tagi train config=quickstart",
        "  tagi train data.path=my.csv data.out_components=price",
        "  tagi <verb> --help",
    ]
    print("\n".join(lines))
    return DONE


def _meant(words: Sequence[str]) -> str:
    """A hint at the verb: one spelt alike, or what runs where none was given."""
    name = words[0]
    if name.lstrip("-") == "version":
        return " Did you mean --version?"
    other = _OTHER_WORDS.get(name.lower())
    if other:
        return f" Did you mean '{other}'?"
    key = "config=" if name.lower().endswith(CONFIGS) else "data.path="
    if "=" in name or name.lower().endswith((*TABLES, *CONFIGS)):
        said = shlex.join([name if "=" in name else key + name, *words[1:]])
        return f" Did you mean tagi train {said}?"
    return nearest(name, VERBS)


def _refuse(name: str, own: Place) -> int:
    """What is said of several processes that would do the same; by the first of them."""
    if own.rank:
        return MISTAKE
    return _complain(
        f"tagi {name}",
        f"a launcher has started {own.size} processes, each of which would do all of it. Start it "
        "without mpiexec; tagi train is what processes share",
    )


def _complain(who: str, message: str) -> int:
    print(f"{who}: {message}", file=sys.stderr)
    return MISTAKE


if __name__ == "__main__":
    sys.exit(main())
