"""Runs in TensorBoard: event files, written by tensorboardX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tagi_cli.experiment.folder import from_here
from tagi_cli.experiment.trackers.options import TensorboardOptions
from tagi_cli.experiment.trackers.tracker import TrackedRun, free_folder


class TensorboardSink:
    """Scalars by epoch, the config as text, and settings beside results for its HParams page."""

    def __init__(self, options: TensorboardOptions, run: TrackedRun) -> None:
        from tensorboardX import SummaryWriter

        self._run = run
        self._folder = free_folder(_folder(options, run), run, "tracker.run")
        # A reader drops what an earlier file says of steps from this one on: epochs that were told
        # and then lost with the process that trained them. Files are named by the second, which
        # two parts of a short run may share.
        self._writer = SummaryWriter(
            logdir=str(self._folder),
            purge_step=run.done + 1 if run.record else None,
            filename_suffix=f".{run.done:06d}",
        )
        self._writer.add_text("config", f"```yaml\n{run.text}```", run.done)

    @property
    def record(self) -> Mapping[str, Any]:
        """The folder, which a continued run writes to, too."""
        return {"folder": str(self._folder)}

    @property
    def place(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {from_here(self._folder)}"

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.epoch`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def result(self, step: int, values: Mapping[str, float]) -> None:
        """See `Sink.result`."""
        from tensorboardX.summary import hparams

        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        for summary in hparams(self._run.flat(), dict(values)):
            self._writer.file_writer.add_summary(summary)

    def close(self, status: str) -> None:
        """See `Sink.close`."""
        self._writer.close()


def _folder(options: TensorboardOptions, run: TrackedRun) -> Path:
    if run.record is not None:
        return Path(run.record["folder"])
    if options.folder is None:
        return run.folder.path / "tensorboard"
    if options.run is not None:
        return Path(options.folder) / options.run
    return Path(options.folder, run.name, *([run.group] if run.group else []), run.title)
