"""Building the networks of an ensemble from settings: for training, and again from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tagi_cli import arch
from tagi_cli.arch.mlp import MLPOptions
from tagi_cli.backend import Backend, select
from tagi_cli.backend.host.compiler import CompilerError
from tagi_cli.backend.notes import say_once
from tagi_cli.data import Encoder
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.errors import UserError
from tagi_cli.experiment import tasks
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.training import noise
from tagi_cli.training.class_noise import class_noise
from tagi_cli.training.interface import Floats
from tagi_cli.training.learner import Learner
from tagi_cli.training.sampling import check_tracking

if TYPE_CHECKING:
    from tagi_cli.experiment.settings import Settings


def make_backend(settings: Settings) -> Backend:
    """The backend that `device`, `kernels` and `precision` ask for.

    Raises:
        UserError: `kernels: host`, and the kernels cannot be compiled here.
    """
    try:
        return select(settings.device, settings.kernels, settings.precision)
    except CompilerError as error:
        raise UserError(
            f"kernels: no compiled ones here: {error}. Allowed: numpy, or auto, which chooses it"
        ) from None


def backend_to_open(settings: Settings) -> Backend:
    """The backend of a trained run, or what there is instead of its GPU or compiler.

    It may predict elsewhere than where it was trained; a line says so.
    """
    kernels = "numpy" if settings.kernels == "numpy" else "auto"
    device = settings.device if settings.kernels == "auto" else "cpu"
    try:
        return select(device, kernels, settings.precision)
    except UserError as error:
        say_once(f"on the CPU, in {settings.dtype}: {error}")
        return select("cpu", kernels, settings.dtype)


def places_apart(settings: Settings, encoder: Encoder) -> int:
    """Places from a row of a series to the one that goes on from its states."""
    windowing = encoder.windowing
    if windowing is None or not windowing.chunks.are_segments:
        return settings.data.slide_stride
    return settings.data.slide_stride * windowing.chunks.input_length


class MakeMember:
    """Builds a fresh member: `make(member, rng)` is a `training.interface.MakeLearner`.

    Args:
        settings: the run's settings.
        encoder: shapes of inputs and outputs.
        backend: where the members run.
        ranks: who share each batch.
        class_weights: `(K,)` how often labels count in learning; None for once.
    """

    def __init__(
        self,
        settings: Settings,
        encoder: Encoder,
        backend: Backend,
        ranks: Communicator = ALONE,
        class_weights: Floats | None = None,
    ) -> None:
        self._ranks = ranks
        self._class_weights = class_weights
        self._settings = settings
        self._encoder = encoder
        self._backend = backend

    def __call__(self, member: int, rng: np.random.Generator) -> Learner | latent.Member:
        """A member with prior parameters drawn by `rng`.

        Raises:
            UserError: the layers do not fit the data, or track states that nothing goes on from.
        """
        settings, shape = self._settings, self._encoder.input_shape
        if latent.is_latent(settings.arch):
            return latent.make(settings, self._encoder, rng, self._backend)
        kind = arch.registry.of(settings.arch)
        options = arch.for_task(settings.arch, tasks.tasks.of(settings.task).name)
        if isinstance(options, MLPOptions):
            options = options.of_member(member)
        likelihood = noise.registry.of(settings.noise), settings.noise
        if tasks.classifies(settings.task):
            likelihood = class_noise(tasks.head_of(settings), *likelihood, self._class_weights)
        learner = Learner(
            lambda units: kind.build(options, shape, units),
            shape,
            self._encoder.units,
            noise=likelihood,
            update_rule=settings.trainer.update_rule,
            cap=settings.trainer.cap,
            batch_size=settings.data.rows_per_update(),
            rng=rng,
            backend=self._backend,
            stride=places_apart(settings, self._encoder),
            ranks=self._ranks,
            sync_batchnorm=settings.distributed.sync_batchnorm,
        )
        if learner.tracks:
            data = tasks.data_in_force(settings)
            series = self._encoder.windowing is not None
            check_tracking(data.batch_sampling_mode, shuffle=data.shuffle_train, series=series)
        return learner
