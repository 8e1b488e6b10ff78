"""Options of the groups `predictor` and `viz`: what a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli.options import option


@dataclass(frozen=True)
class PredictorOptions:
    """Tables of predictions written at the end of a run."""

    splits: tuple[str, ...] = option(
        ("valid", "test"),
        "Parts whose predictions are written to `predictions/<split>.csv`. Those of `valid` come "
        "from the networks before the refit, those of `train` and `test` from the final ones.",
        choices=("train", "valid", "test"),
    )


@dataclass(frozen=True)
class VizOptions:
    """Figures and the report."""

    enabled: bool = option(
        True,
        "Draw `figures/` and write `report.html` at the end of a run. Either way the numbers are "
        "kept, and `tagi report run=<folder>` draws them afterwards.",
    )
