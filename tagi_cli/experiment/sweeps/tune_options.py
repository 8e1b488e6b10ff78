"""The options of a search: the section `tune`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagi_cli.options import Limits, option


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """How `tagi tune` searches."""

    trials: int = option(
        50, "Trials of the search; those of a search that is resumed count.", minimum=1
    )
    workers: int = option(
        1,
        "Trials at a time, each a process with its share of the cores. More than 1: the order in "
        "which they end, and with it the search, may differ from one time to the next.",
        minimum=1,
    )
    sampler: str = option(
        "tpe",
        "How trials are chosen. tpe: by those before them (tree-structured Parzen estimator); "
        "random: at random.",
        choices=("tpe", "random"),
    )
    seed: int = option(0, "Seed of the sampler.", minimum=0)
    pruner: str = option(
        "median",
        "Which trials are stopped early, by the validation NLL of their epochs. median: those "
        "whose best epoch so far is worse than the median of other trials at that epoch; "
        "hyperband: all but the best share, at epochs that grow by a factor 3; none: no trial.",
        choices=("median", "hyperband", "none"),
    )
    warmup_epochs: int = option(5, "Epochs before which no trial is stopped.", minimum=0)
    startup_trials: int = option(
        5, "Trials before `pruner: median` stops any, and before `tpe` learns.", minimum=1
    )
    space: dict[str, Any] = field(
        default_factory=dict,
        metadata={
            "limits": Limits(
                "What varies: by option, a list of values, or a range {low: , high: } with "
                "`log: true` or `step: `."
            )
        },
    )
    resume: str | None = option(
        None, "Folder of a search to go on with; of the others only trials and workers may change.",
        path=True,
    )  # fmt: skip
