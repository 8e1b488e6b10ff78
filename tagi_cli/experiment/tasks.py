"""What is predicted: the options of each task, and what they ask of data, network and noise."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tagi_cli.errors import UserError, listing
from tagi_cli.experiment import class_weights, forecast_options, online
from tagi_cli.experiment.forecast_options import ForecastingOptions, ForecastOptions
from tagi_cli.options import Registry, option

if TYPE_CHECKING:
    from tagi_cli.data import Dataset, Encoder
    from tagi_cli.data.options import DataOptions
    from tagi_cli.experiment.settings import Settings
    from tagi_cli.training.interface import Floats
    from tagi_cli.training.task import Task

tasks = Registry("task")
"""What is predicted: decides the likelihood and the metrics."""

HEADS = ("softmax", "remax", "closed_form_softmax", "hrc")

DEFAULT_HEAD = "softmax"

# A target of at most so many whole numbers, with so many rows each, may be a label.
_CLASSES_REMARKED, _ROWS_PER_CLASS, _ROWS_LOOKED_AT = 10, 5, 100_000


@dataclass(frozen=True)
class RegressionOptions:
    """Real-valued targets with Gaussian noise."""


@dataclass(frozen=True)
class ClassificationOptions:
    """One label per row or window, of two classes or more."""

    head: str | None = option(
        None,
        "How the network gives probabilities. softmax, remax, closed_form_softmax: by that "
        "activation of one unit per class; hrc: by binary decisions in a tree of classes, for very "
        "many of them. null: `arch.output_activation` where that is set, else softmax.",
        choices=HEADS,
    )
    class_weights: str | dict[str, float] | None = option(
        None,
        "How often a label of each class counts, in the variance of its observation. balanced: "
        "labels of rare classes as much more often as they are rarer in the training part; or a "
        "mapping of labels to weights, 1 for those left out. Probabilities then are those of data "
        "with as many more such labels, and the epoch is chosen by the NLL with these weights.",
    )

    def faults(self) -> list[str]:
        """Weights of nothing, or none."""
        return class_weights.faults(self.class_weights)


@dataclass(frozen=True)
class VLRegressionOptions:
    """Real-valued targets at each step of segments of any length."""


@dataclass(frozen=True)
class ReconstructionOptions:
    """Images themselves: the network learns to give what it was shown, as an autoencoder does."""


for _name, _options in (
    ("regression", RegressionOptions),
    ("classification", ClassificationOptions),
    ("forecasting", ForecastingOptions),
    ("vl_regression", VLRegressionOptions),
    ("reconstruction", ReconstructionOptions),
):
    tasks.register(_name, _options, _options)


def classifies(task: object) -> bool:
    """Whether the targets of a task are labels."""
    return isinstance(task, ClassificationOptions)


def forecasts(task: object) -> bool:
    """Whether targets are values to come."""
    return isinstance(task, ForecastingOptions)


def head_of(settings: Settings) -> str:
    """The head of a classification in force."""
    return settings.task.head or getattr(settings.arch, "output_activation", None) or DEFAULT_HEAD


def weights_of(task: object, dataset: Dataset) -> Floats | None:
    """Weights of classes `(K,)` by the training part; None where all labels count once.

    Raises:
        UserError: a weight is of no class.
    """
    if not isinstance(task, ClassificationOptions) or task.class_weights is None:
        return None
    assert dataset.encoder.classes is not None
    labels = dataset.train.target[:, 0]
    return class_weights.of_labels(task.class_weights, dataset.encoder.classes, labels)


def load_data(settings: Settings, notices: list[str] | None = None) -> Dataset:
    """The data as task and network want them; see `data.load`."""
    from tagi_cli.experiment.latent import networks as latent

    if settings.trainer.parent is not None:
        from tagi_cli.experiment import updating

        return updating.load_data(settings, [] if notices is None else notices)
    if notices is not None and isinstance(settings.task, ReconstructionOptions):
        notices += _noise_of_each_pixel(settings.noise)
    options = data_in_force(settings)
    once = settings.trainer.online
    if notices is not None and options != settings.data and not once:
        notices.append(
            f"data.batch_sampling_mode: auto is {options.batch_sampling_mode}, as the network "
            "carries states from row to row"
        )
    dataset = load(
        # Whether a batch is too large is seen once the validation part has joined.
        dataclasses.replace(options, batch_size=None) if once else options,
        settings.task,
        settings.forecast,
        settings.dtype,
        notices,
        instance_as_input=latent.has_subjects(settings.arch),
    )
    return online.in_one_pass(dataset, options.batch_size) if once else dataset


def _noise_of_each_pixel(noise: object) -> list[str]:
    """The remark on noise that is learnt where some pixels never vary."""
    from tagi_cli.training.noise import LearnedOptions

    if not isinstance(noise, LearnedOptions):
        return []
    return [
        "noise: a variance is learnt for each pixel, and pixels that hardly vary outweigh all "
        "others; noise=constant has one for all"
    ]


def data_in_force(settings: Settings) -> DataOptions:
    """The options of data, those in the place of `auto` that the network decides."""
    from tagi_cli import arch

    options = settings.data
    horizon = settings.forecast.horizon if forecasts(settings.task) else None
    windowed = options.windowed(horizon, isinstance(settings.task, VLRegressionOptions))
    tracks = windowed and arch.tracks(settings.arch)
    if settings.trainer.online:
        return online.data_in_force(options, tracks=tracks)
    if options.batch_sampling_mode != "auto" or not tracks:
        return options
    return dataclasses.replace(options, batch_sampling_mode="sliding-window")


def network_in_force(settings: Settings) -> Settings:
    """The settings with what is left to the task: the activation of an `mlp`, and `noise: auto`.

    A run's config tells them, so that its networks can be made again.
    """
    from tagi_cli.arch.mlp import DEFAULT_ACTIVATION, MLPOptions
    from tagi_cli.training.noise import AutoOptions, HeteroscedasticOptions

    if not isinstance(settings.arch, MLPOptions):
        return settings
    plain = _of_plain_table(settings) and not settings.trainer.online
    activation = settings.arch.activation or ("alternating" if plain else DEFAULT_ACTIVATION)
    unbounded = settings.arch.output_activation is None
    settings = dataclasses.replace(
        settings, arch=dataclasses.replace(settings.arch, activation=activation)
    )
    if plain and unbounded and settings.noise == AutoOptions():
        return dataclasses.replace(settings, noise=HeteroscedasticOptions())
    return settings


def _of_plain_table(settings: Settings) -> bool:
    """Whether the targets are real and those of rows by themselves."""
    return isinstance(settings.task, RegressionOptions) and not settings.data.windowed(None, False)


def scoring(settings: Settings, weights: Floats | None) -> Task:
    """How the networks are scored while they learn; `weights (K,)` are those of classes."""
    from tagi_cli.arch.latent.options import LatentRegressionOptions
    from tagi_cli.training.classification import ClassificationTask
    from tagi_cli.training.task import RegressionTask

    if classifies(settings.task):
        return ClassificationTask(weights)
    calibrate = settings.trainer.calibrate
    if calibrate is None:
        latent = isinstance(settings.arch, LatentRegressionOptions)
        calibrate = _of_plain_table(settings) and not latent
    return RegressionTask(calibrate=calibrate)


def load(
    options: DataOptions,
    task: object,
    forecast: ForecastOptions,
    dtype: str,
    notices: list[str] | None = None,
    *,
    instance_as_input: bool = False,
) -> Dataset:
    """The same from what it depends on: options of some groups, a precision, and the network."""
    from tagi_cli import data

    ahead = forecasts(task)
    if ahead:
        options = forecast.data(options)
    dataset = data.load(
        options,
        dtype=dtype,
        notices=notices,
        horizon=forecast.horizon if ahead else None,
        season=forecast.season if ahead else None,
        classify=classifies(task),
        variable_length=isinstance(task, VLRegressionOptions),
        reconstruct=isinstance(task, ReconstructionOptions),
        instance_as_input=instance_as_input,
    )
    weights_of(task, dataset)
    if ahead:
        check_feedback(dataset.encoder, forecast.horizon)
    if notices is not None and ahead:
        notices += forecast.remarks(options.targets_chunk(forecast.horizon))
    elif notices is not None and forecast != ForecastOptions():
        notices.append("the group `forecast` has no effect on any task but forecasting")
    if notices is not None and isinstance(task, RegressionOptions):
        notices += _labels_taken_for_numbers(dataset)
    return dataset


def check_feedback(encoder: Encoder, horizon: int) -> None:
    """Make sure that predictions can be fed back where the horizon asks for it.

    Raises:
        UserError: a target is no input.
    """
    at_once = encoder.output_shape[0]
    unfed = [name for name in encoder.outputs if name not in encoder.inputs]
    if horizon > at_once and unfed:
        raise UserError(
            f"horizon: {horizon} rows are more than the {at_once} that are predicted at once, and "
            f"{listing(unfed)}, which would be fed back, is no input. Allowed: at most {at_once}, "
            "or a network trained with it among data.in_components"
        )


def _not_calibrated(settings: Settings) -> list[str]:
    """Why there are no variances to calibrate."""
    from tagi_cli.arch.latent.options import LatentRegressionOptions

    if classifies(settings.task):
        what = "classes, whose probabilities have no variance of their own"
    elif isinstance(settings.arch, LatentRegressionOptions):
        what = "arch latent_regression, which learns error variances by itself"
    elif settings.trainer.online:
        what = "trainer.online=true, which leaves no validation rows"
    else:
        return []
    return [f"trainer.calibrate: found true beside {what}. Allowed: null, false"]


def _labels_taken_for_numbers(dataset: Dataset) -> list[str]:
    """Remarks on targets that are a few whole numbers, each of them often."""
    raw = dataset.train.raw
    # Of windows the rows that they show, each once.
    values = np.asarray(getattr(raw, "rows", raw), np.float64)
    found = []
    for name, column in zip(dataset.encoder.outputs, values.T, strict=True):
        known = column[~np.isnan(column)]
        distinct = np.unique(known[:_ROWS_LOOKED_AT])
        whole = bool((distinct == np.round(distinct)).all())
        often = len(known) >= _ROWS_PER_CLASS * len(distinct)
        if whole and often and 2 <= len(distinct) <= _CLASSES_REMARKED:
            found.append(
                f"column '{name}' holds {len(distinct)} different whole numbers; if they are "
                "labels and not amounts, set task=classification"
            )
    return found


def _noise_beyond(settings: Settings) -> list[str]:
    """Standard deviations whose fourth power, the variance of a variance, no number can hold."""
    limits = np.finfo(settings.dtype)
    low, high = float(limits.tiny) ** 0.25, float(limits.max) ** 0.25
    given = {name: getattr(settings.noise, name, 1.0) for name in ("sigma_v", "sigma_v_min")}
    return [
        f"noise.{name}: found {value:g}. Allowed with precision={settings.precision}: "
        f"{low:.2g} to {high:.2g}"
        for name, value in given.items()
        if value is not None and not low <= value <= high
    ]


def faults(settings: Settings) -> list[str]:
    """What stands between a task and the other groups, one message each."""
    from tagi_cli import arch
    from tagi_cli.arch.latent.options import LatentRegressionOptions
    from tagi_cli.arch.output import BOUNDED
    from tagi_cli.training import class_noise
    from tagi_cli.training.noise import HeteroscedasticOptions

    found = arch.faults(settings.arch, tasks.of(settings.task).name)
    if isinstance(settings.arch, LatentRegressionOptions):
        from tagi_cli.experiment.latent import networks as latent  # as much again as all others

        found += latent.faults(settings)
    found += online.faults(settings)
    found += _noise_beyond(settings)
    if settings.trainer.calibrate:
        found += _not_calibrated(settings)
    known = settings.data.faults()
    found += [fault for fault in data_in_force(settings).faults() if fault not in known]
    if forecasts(settings.task):
        found += forecast_options.faults(settings.forecast, settings.data)
    activation = getattr(settings.arch, "output_activation", None)
    if classifies(settings.task):
        head = settings.task.head
        if head is not None and activation is not None and head != activation:
            found.append(
                f"arch.output_activation: found '{activation}' beside task.head '{head}'. Allowed: "
                "null, or the same"
            )
        return found + class_noise.faults(head_of(settings), settings.noise)
    if activation not in BOUNDED:
        return found
    if isinstance(settings.noise, HeteroscedasticOptions):
        found.append(
            f"arch.output_activation: found '{activation}' beside noise 'heteroscedastic', whose "
            "second output it would bound, too. Allowed: null, or another noise"
        )
    scaled = settings.data.scaling_tag == "full"
    if scaled and settings.data.scaling_method == "z-norm":
        low, high = BOUNDED[activation]
        found.append(
            f"arch.output_activation: found '{activation}', whose values lie between {low} and "
            f"{high}, but targets are scaled to unit variance. Set data.scaling_method=zero-one, "
            "or data.scaling_tag=in_only for targets that lie there by themselves"
        )
    return found
