"""Runs in Weights & Biases; offline they are a folder that `wandb sync` uploads."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import from_here
from tagi_cli.experiment.trackers.options import WandbOptions
from tagi_cli.experiment.trackers.tracker import TrackedRun
from tagi_cli.training.events import COMPLETED

STEP = "epoch"
"""The metric that its charts are drawn over. Its own steps count what it was told and cannot go
back, as epochs do where those after the last checkpoint are trained again."""


class WandbSink:
    """Metrics by epoch, the config, and results in the run's summary."""

    def __init__(self, options: WandbOptions, run: TrackedRun) -> None:
        if options.mode == "offline":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        online = options.mode == "online"
        if online and not wandb.login(prompt=False):
            raise UserError(
                "tracker.mode: online needs a key of Weights & Biases. Run wandb login, or set "
                "WANDB_API_KEY; tracker.mode=offline needs none"
            )
        self._id = secrets.token_hex(4) if run.record is None else run.record["run"]
        self._offline = not online
        folder = run.folder.path if options.folder is None else Path(options.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            id=self._id,
            resume="allow" if online else None,  # offline a second part of the same run begins
            mode=options.mode,
            dir=str(folder),
            project=config.reveal(options.project or run.name),
            entity=None if options.entity is None else config.reveal(options.entity),
            name=config.reveal(options.run or run.title),
            group=run.group,
            tags=[config.reveal(tag) for tag in options.tags],
            config=dict(run.config),
            # Its own records of command line, machine, packages, code and output stay out.
            settings=wandb.Settings(
                console="off",
                silent=True,
                save_code=False,
                disable_git=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                host="",
            ),
        )
        told = 0 if run.record is None else int(run.record["told"])
        self._told = max(told, int(self._run.step))
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    @property
    def record(self) -> Mapping[str, Any]:
        """The run's id, and how often it was told something."""
        return {"run": self._id, "told": self._told}

    @property
    def place(self) -> str:
        """The command that uploads it, or its address."""
        if self._offline:
            return f"wandb sync {from_here(Path(self._run.dir).parent)}"
        return str(self._run.url)

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.epoch`."""
        self._run.log({STEP: step, **values}, step=self._told)
        self._told += 1

    def result(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.result`."""
        self._run.summary.update(dict(values))

    def close(self, status: str) -> None:
        """See `Sink.close`."""
        self._run.finish(exit_code=0 if status == COMPLETED else 1)
