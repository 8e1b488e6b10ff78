"""Remarks on how a computation runs, for the user, each said once per process."""

from __future__ import annotations

import sys
from functools import cache


@cache
def say_once(line: str) -> None:
    """Print `line` to the standard error, the first time only."""
    print(f"tagi: {line}", file=sys.stderr, flush=True)
