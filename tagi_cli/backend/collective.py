"""Calls that are cut at functions of the host, in which processes meet or plugins compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from tagi_cli.backend.base import Backend, Call, Segment

COLLECTIVE = "collective"
"""Stands in place of a kernel's name; the first argument is a function of the host.

Others are the arrays that it works on, as far as it tells.
"""


class CutSegment(Segment):
    """Segments and functions of the host, run one after the other."""

    def __init__(self, backend: Backend, parts: Sequence[Segment | Callable[[], None]]) -> None:
        self._backend = backend
        self._keep = list(parts)  # `once` alone does not hold what it runs
        self._parts = [part.once if isinstance(part, Segment) else part for part in parts]

    def run(self, times: int = 1) -> None:
        """Run all in order, `times` times over; wait for the end of more than one."""
        for _ in range(times):
            for part in self._parts:
                part()
        if times > 1:
            # Callers that ask for many runs pace themselves by the time that these take.
            self._backend.wait()

    once = run


def bind(backend: Backend, calls: Sequence[Call]) -> Segment:
    """The segment of calls among which there may be collectives."""
    if not any(call.kernel == COLLECTIVE for call in calls):
        return backend.bind(calls)
    parts: list[Segment | Callable[[], None]] = []
    for meets, group in groupby(calls, lambda call: call.kernel == COLLECTIVE):
        if meets:
            parts += [call.arguments[0] for call in group]
        else:
            parts.append(backend.bind(list(group)))
    return CutSegment(backend, parts)
