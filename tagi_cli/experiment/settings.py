"""The root of the configuration: what a run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tagi_cli import config
from tagi_cli.data.options import DataOptions
from tagi_cli.distributed import DistributedOptions
from tagi_cli.experiment import extra_metrics, tasks
from tagi_cli.experiment.forecast_options import ForecastOptions
from tagi_cli.experiment.options import PredictorOptions, VizOptions
from tagi_cli.experiment.trackers.options import NoTracker
from tagi_cli.experiment.trackers.options import registry as trackers
from tagi_cli.options import Registry, option
from tagi_cli.training.options import CheckpointOptions, EnsembleOptions, TrainerOptions

_LONGEST_NAME = 255
"""Bytes of a file's or folder's name, on the usual file systems."""

_NOISE = "set `noise.sigma_v`, or let `noise: auto` learn it"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a run depends on, besides the data themselves and the version."""

    without_meaning: ClassVar[Mapping[str, str]] = {
        "learning_rate": f"The gain of an update is exact; {_NOISE}.",
        "lr": f"The gain of an update is exact; {_NOISE}.",
        "lr_scheduler": "The gain of an update is exact; for a schedule choose `noise: decay`.",
        "optim": "Inference is in closed form; choose `trainer.update_rule`.",
        "optimizer": "Inference is in closed form; choose `trainer.update_rule`.",
        "momentum": "Inference is in closed form; choose `trainer.update_rule`.",
        "loss_fn": "The likelihood follows from the task; choose `task` and `noise`.",
        "weight_decay": "The prior regularises; set `arch.gain_weight`, or that of its layers.",
        "gradient_clip": "There are no gradients; steps are limited by `trainer.cap`.",
        "gradient_clip_val": "There are no gradients; steps are limited by `trainer.cap`.",
        "arch_hps": "Write the options directly below `arch`.",
        "arch_args": "Write the options directly below `arch`.",
        "stateful": "Set `arch.internal_state.tracking`.",
        "hc_init_method": "Set `arch.internal_state.init_hidden_state`.",
        "raw_data": "Set `data.path`.",
        "file": "Set `data.path`.",
        "target": "Name the column to predict in `data.out_components`.",
        "targets": "Name the columns to predict in `data.out_components`.",
        "features": "All columns but the target are inputs; to choose, set `data.in_components`.",
        "model": "Choose `arch`.",
        "base_nan_filler": "Set `data.missing`.",
        "nan_filled_components": "All inputs are treated alike; set `data.missing`.",
        "early_stopping_args": "Set `trainer.early_stopping`.",
        "performance_metrics": "All metrics of the task are always reported; those of plugins are "
        "named in `metrics`.",
        "ckpt_mode": "`best` is the epoch with the lowest validation NLL.",
        "return_final": "Both are kept; pass `checkpoint=last` to eval and predict.",
        "num_workers": "Rows are held in memory; set `trainer.threads`.",
        "pin_memory": "Rows are held in memory, or on the device.",
        "launcher": "Write `hydra/launcher=<name>`, with --multirun.",
        "optional_pl_kwargs": "Nothing is passed through; every option has a name of its own.",
    }
    other_words: ClassVar[Mapping[str, str]] = {
        "data.split_method=custom": "Name the column of parts in `data.split_column`.",
        "data.padding_method=replicate": "Set `data.padding_method=edge`.",
        "data.padding_method=circular": "Set `data.padding_method=wrap`.",
        "data.padding_method=empty": "Set `data.padding_method=none`.",
        "data.batch_sampling_mode=variable_length": "Set `task=vl_regression`.",
    }
    from_environment: ClassVar[tuple[str, ...]] = ("data.path", "tracker.folder")
    reveal_late: ClassVar[tuple[str, ...]] = ("tracker",)

    name: str | None = option(
        None,
        "Folder of the run below `outputs/`. null: the name of the preset or config file, else of "
        "the data.",
    )
    seed: int = option(
        0,
        "Seed of initial parameters and of the order of rows. Splits: `data.split_seed`.",
        minimum=0,
    )
    device: str = option(
        "auto",
        "Where to compute. cpu; cuda, or cuda:1 and so on, for an NVIDIA GPU; auto: the first GPU "
        "that there is, else the CPU.",
    )
    precision: str = option(
        "float32",
        "Arithmetic of moments and parameters. tf32, on a GPU only: float32, but the products "
        "that only variances depend on may round their factors to ten bits, which is faster.",
        choices=("float32", "float64", "tf32"),
    )
    kernels: str = option(
        "auto",
        "How the formulas run on the CPU. host: compiled for this machine; numpy: portable; auto: "
        "the first if it can be had, else the second, with a line that says why.",
        choices=("auto", "numpy", "host"),
    )
    metrics: tuple[str, ...] = option(
        (),
        "Metrics of installed plugins that are reported beside those of the task; `tagi ls "
        "plugins` lists them.",
    )
    task: Any = option(doc="What is predicted.")
    data: DataOptions = field(default_factory=DataOptions)
    arch: Any = option(doc="The network.")
    noise: Any = option(doc="The observation noise.")
    forecast: ForecastOptions = field(default_factory=ForecastOptions)
    trainer: TrainerOptions = field(default_factory=TrainerOptions)
    ensemble: EnsembleOptions = field(default_factory=EnsembleOptions)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    predictor: PredictorOptions = field(default_factory=PredictorOptions)
    viz: VizOptions = field(default_factory=VizOptions)
    tracker: Any = option(NoTracker(), "Who else is told the metrics, besides the run folder.")
    distributed: DistributedOptions = field(default_factory=DistributedOptions)

    @property
    def dtype(self) -> str:
        """Element type of moments, parameters and scaled data: `float32` or `float64`."""
        return "float32" if self.precision == "tf32" else self.precision

    def faults(self) -> list[str]:
        """Faults that no single option shows."""
        from tagi_cli.backend.select import faults

        found = faults(self.device, self.kernels, self.precision)
        if self.name is not None and not (
            self.name.strip(". ")
            and not set(self.name) & set("/\\\0")
            and len(self.name.encode()) <= _LONGEST_NAME
        ):
            found.append(
                f"name: found '{self.name}'. Allowed: text that can be the name of a folder"
            )
        found += extra_metrics.faults(self.metrics, tasks.classifies(self.task))
        return found + tasks.faults(self)


def registries() -> dict[str, Registry]:
    """By config group, the kinds to choose from. Imports the network, hence NumPy."""
    from tagi_cli.arch import registry as architectures
    from tagi_cli.training.noise import registry as noises

    return {"task": tasks.tasks, "arch": architectures, "noise": noises, "tracker": trackers}


def dump_settings(settings: Settings) -> str:
    """The text of `config.yaml`: `tagi train config=<that file>` gives the same settings."""
    return config.dump(settings, registries())
