"""Options of the groups `trainer`, `ensemble` and `checkpoint`."""

from __future__ import annotations

from dataclasses import dataclass, field

from tagi_cli.options import option

UPDATE_RULES = ("sum", "capped", "information", "information_capped", "site")
NAN_POLICIES = ("raise", "stop")

_EPOCHS = 200


@dataclass(frozen=True)
class EarlyStoppingOptions:
    """When training ends before `max_epochs`."""

    enabled: bool = option(
        True,
        "Stop once the validation NLL has not improved for `patience` epochs. Without it all "
        "`max_epochs` are trained; the best epoch is chosen by the validation NLL either way.",
    )
    patience: int = option(40, "Epochs without improvement after which training stops.", minimum=1)
    min_delta: float = option(
        0.0,
        "Decrease of the validation NLL (per value, scaled units) below which an epoch does not "
        "count as an improvement.",
        minimum=0,
    )


@dataclass(frozen=True)
class TrainerOptions:
    """How long and by which rule the networks learn."""

    max_epochs: int = option(_EPOCHS, "Passes over the training rows, at most.", minimum=1)
    max_seconds: float | None = option(
        None,
        "Seconds of training, at most: the search for the best epoch ends early enough to leave "
        "time for refitting. One epoch is always trained. null: no limit.",
        above=0,
    )
    early_stopping: EarlyStoppingOptions = field(default_factory=EarlyStoppingOptions)
    update_rule: str = option(
        "information_capped",
        "How the innovations of a batch become a step of the parameters. sum: added up, exact for "
        "batches of one row; capped: the same, with both steps limited; information: precisions "
        "add up, so that variances stay positive; information_capped: the same, with the step of "
        "the mean limited; site: each row sees the prior without its own share.",
        choices=UPDATE_RULES,
    )
    cap: float | None = option(
        None,
        "The capped rules limit a step to the standard deviation divided by this. null: 0.1 for "
        "batches of one row; else 2 below 256 rows and 3 from there (capped), or 2 up to 64 rows "
        "and a quarter of the root of their number from there (information_capped).",
        above=0,
    )
    refit: bool = option(
        True,
        "After the best epoch is found, train fresh networks on training and validation rows for "
        "that many epochs.",
    )
    calibrate: bool | None = option(
        None,
        "Multiply the predictive variances of each target by a factor under which the validation "
        "rows are likeliest, and choose the epoch by the validation NLL with it. The factors are "
        "kept with the networks, in the refit, too. null: where rows of a plain table have real "
        "targets.",
    )
    resume: str | None = option(
        None,
        "Run folder of an interrupted run to continue, with that run's own config. Only "
        "`trainer.max_epochs` and `trainer.max_seconds` may be changed.",
        path=True,
    )
    online: bool = option(
        False,
        "Learn each row once, in the order of the table, those of the validation part among them. "
        "Each batch is predicted before it is learnt, which gives the metrics of such a run. "
        "`max_epochs`, `early_stopping`, `refit` and `data.shuffle_train` have no part in it.",
    )
    parent: str | None = option(
        None,
        "Run folder whose networks, scalers and noise this run goes on from, with the new rows of "
        "`data.path`; `tagi update` sets it. Only with `trainer.online`.",
        path=True,
    )
    nan_policy: str = option(
        "raise",
        "What NaN, infinity or a negative variance does. raise: ends the run with an error that "
        "names layer and epoch; stop: ends the search, and the best epoch so far is kept.",
        choices=NAN_POLICIES,
    )
    threads: int | None = option(
        None,
        "CPU threads of kernels and matrix products. null: what their libraries take, mostly one "
        "per core.",
        minimum=1,
        maximum=4096,
    )

    def faults(self) -> list[str]:
        """A run that goes on from another learns its rows once."""
        if self.parent is None or self.online:
            return []
        return ["trainer.parent: needs trainer.online=true; `tagi update` sets both"]

    def remarks(self) -> list[str]:
        """Options that were set and have no effect beside the others, one message each."""
        found, stopping = [], self.early_stopping
        if self.cap is not None and "capped" not in self.update_rule:
            found.append(f"trainer.cap has no effect beside trainer.update_rule={self.update_rule}")
        if stopping.patience != EarlyStoppingOptions.patience and not stopping.enabled:
            found.append(
                "trainer.early_stopping.patience has no effect beside "
                "trainer.early_stopping.enabled=false"
            )
        if self.online and not self.parent and self.max_epochs not in (1, _EPOCHS):
            found.append("trainer.max_epochs has no effect beside trainer.online=true")
        return found


@dataclass(frozen=True)
class EnsembleOptions:
    """Networks that differ by seed and predict as one mixture."""

    size: int = option(8, "Number of networks.", minimum=1)


@dataclass(frozen=True)
class CheckpointOptions:
    """What is saved while training, and how often."""

    csv: bool = option(False, "Also write the best networks as CSV files, in `checkpoints/csv`.")
    every: int = option(
        1,
        "Epochs from one save of `last` (and of a new `best`) to the next. Some are passed over "
        "where saving would take more than a tenth of the time. The end of a phase and an "
        "interruption are always saved.",
        minimum=1,
    )
