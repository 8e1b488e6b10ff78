"""Learning in one pass: each row once, in the order of the table, predicted before it is learnt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.errors import UserError
from tagi_cli.training.interface import Rows
from tagi_cli.training.sampling import goes_on

if TYPE_CHECKING:
    from tagi_cli.data import Dataset
    from tagi_cli.data.options import DataOptions
    from tagi_cli.experiment.settings import Settings


def faults(settings: Settings) -> list[str]:
    """What cannot be learnt in one pass, one message each."""
    if not settings.trainer.online:
        return []
    from tagi_cli.experiment.latent import networks as latent

    if latent.is_latent(settings.arch):
        return [
            "trainer.online: arch latent_regression renews its priors after each pass, and chooses "
            "among restarts by all rows. Allowed: trainer.online=false, or another arch"
        ]
    return []


def in_force(settings: Settings) -> Settings:
    """The settings with what one pass makes of them."""
    if not settings.trainer.online:
        return settings
    once = dataclasses.replace(settings.trainer, max_epochs=1, refit=False)
    return dataclasses.replace(settings, trainer=once)


def data_in_force(options: DataOptions, *, tracks: bool) -> DataOptions:
    """The options of data for one pass; networks that carry states want all rows of a series."""
    mode = "inference" if tracks else "independent"
    return dataclasses.replace(options, shuffle_train=False, batch_sampling_mode=mode)


def in_one_pass(dataset: Dataset, batch_size: int | None) -> Dataset:
    """Training and validation part together, in the order of the table.

    Raises:
        UserError: a batch has more rows than that.
    """
    whole = dataset.merged() if len(dataset.valid) else dataset.train
    if batch_size is not None and batch_size > len(whole):
        raise UserError(
            f"data.batch_size: found {batch_size}. Allowed: at most the {len(whole)} rows of "
            f"{dataset.summary['source']} that one pass learns, or null"
        )
    train = whole.take(np.argsort(whole.rows, kind="stable"))
    none = dataset.valid.take(np.empty(0, np.int64))
    split = dataset.summary["split"] | {"train": len(train), "valid": 0}
    summary = dataset.summary | {"split": split}
    return dataclasses.replace(dataset, train=train, valid=none, summary=summary)


def batch_size(settings: Settings, rows: Rows, stride: int) -> int:
    """Rows learnt at a time: as asked for, else what lets states go on from batch to batch.

    Args:
        settings: of the run.
        rows: the training part.
        stride: places from a row of a series to the one that goes on from it.
    """
    if settings.data.batch_size is None and rows.index is not None and _tracks(settings):
        return len(np.unique(rows.index[:, 0])) * stride
    return settings.data.rows_per_update(len(rows))


def check_states(settings: Settings, rows: Rows, size: int, stride: int) -> None:
    """Make sure that each row goes on from the states of the one before it in its series.

    Raises:
        UserError: in this order, and with batches of `size` rows, one does not.
    """
    if not settings.trainer.online or rows.index is None or not _tracks(settings):
        return
    index = rows.index
    follows = goes_on(index, np.arange(len(rows)), size, stride)
    there = {tuple(place) for place in index.tolist()}
    expected = np.array([(s, part, at - stride) in there for s, part, at in index.tolist()], bool)
    if (expected & ~follows).any():
        fitting = len(np.unique(index[:, 0])) * stride
        raise UserError(
            f"data.batch_size: found {size}. The network carries states from each row of a series "
            "to the next, and one pass learns rows in the order of the table: a batch must hold "
            f"one row of each series{' and phase of the stride' if stride > 1 else ''}, as "
            f"data.batch_size={fitting} does where the table is sorted by time and no series lacks "
            "rows that others have. Allowed else: trainer.online=false, or "
            "arch.internal_state.tracking=false"
        )


def prequential(history: Sequence[Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """The metrics of one pass, from the epochs of a training: means over the networks.

    Each batch is scored before it is learnt, so that no row is scored by networks that know it.
    """
    if not history:
        return {}
    found = {
        name.removeprefix("train_"): value
        for name, value in history[-1].items()
        if name.startswith("train_")
    }
    return {"rows": rows} | found


def _tracks(settings: Settings) -> bool:
    from tagi_cli import arch

    return arch.tracks(settings.arch)
