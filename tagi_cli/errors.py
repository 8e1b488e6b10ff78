"""Mistakes of the user, told so that they can be mended: where, what was found, what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_UNIT = re.compile(r"\s*[(\[].*[)\]]$")


class UserError(Exception):
    """A mistake in the user's input. The command line prints its text and exits with code 2.

    The text says where (config path, or file, row and column), what was found and what is allowed;
    `str(error)` is the whole message.
    """


class UserErrors(UserError):
    """Several mistakes found in one pass; `faults` holds one message each."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = list(faults)
        head = f"{len(self.faults)} faults:\n" if len(self.faults) > 1 else ""
        mark = "- " if len(self.faults) > 1 else ""
        super().__init__(head + "\n".join(mark + fault for fault in self.faults))


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the closest allowed name, in any case, or an empty string.

    A name may lack the unit in brackets that an allowed one ends in: `price` for `Price (EUR)`.
    """
    names = list(allowed)
    by_lower = {_UNIT.sub("", one.lower()): one for one in reversed(names)}
    by_lower |= {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[close[0]]}'?" if close else ""


def listing(names: Iterable[str], most: int = 12) -> str:
    """Names joined for a message, cut after `most` with the number left out."""
    names = list(names)
    more = f", ... ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + more
