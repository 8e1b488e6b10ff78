"""How a report tells of a kind of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tagi_cli.experiment.report import markup
from tagi_cli.experiment.report.figures import Figure

Numbers = Mapping[str, Any]


class Account(NamedTuple):
    """What of a report depends on the task.

    Attributes:
        metrics: its metrics in the order of the table, with their headings.
        tiles: the ones shown large, with their captions; the part comes before.
        shares: metrics that are told in per cent.
        note: what values are metrics of.
        verdict: HTML that says how good the predictions are, from the name of the part, its
            metrics and diagnoses.
        draw: figures of a diagnosis, from the beginning of their names.
        heading: of a diagnosis.
        tables: HTML below its figures.
    """

    metrics: Mapping[str, str]
    tiles: Mapping[str, str]
    shares: Sequence[str]
    note: str
    verdict: Callable[[str, Numbers, Sequence[Numbers]], str]
    draw: Callable[[str, Numbers], list[Figure]]
    heading: Callable[[Numbers], str]
    tables: Callable[[Numbers], str]

    def shown(self, metric: str, value: Any) -> str:
        """A metric as text."""
        if metric in self.shares and value is not None:
            return f"{100 * value:.1f} %"
        return markup.number(value)
