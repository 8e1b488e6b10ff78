"""Building the networks of an ensemble from settings: for training, and again from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tagi_cli import arch
from tagi_cli.backend import Backend, select
from tagi_cli.backend.compiler import CompilerError
from tagi_cli.backend.notes import say_once
from tagi_cli.data import Encoder
from tagi_cli.errors import UserError
from tagi_cli.training import noise
from tagi_cli.training.learner import Learner

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


class MakeMember:
    """Builds a fresh member: `make(member, rng)` is a `training.interface.MakeLearner`.

    Args:
        settings: the run's settings.
        encoder: shapes of inputs and outputs.
        backend: where the members run.
    """

    def __init__(self, settings: Settings, encoder: Encoder, backend: Backend) -> None:
        self._settings = settings
        self._encoder = encoder
        self._backend = backend

    def __call__(self, member: int, rng: np.random.Generator) -> Learner:
        """A member with prior parameters drawn by `rng`.

        Raises:
            UserError: the layers do not fit the data.
        """
        settings, shape = self._settings, self._encoder.input_shape
        kind = arch.registry.of(settings.arch)
        return Learner(
            lambda units: kind.build(settings.arch, shape, units),
            shape,
            len(self._encoder.outputs),
            noise=(noise.registry.of(settings.noise), settings.noise),
            update_rule=settings.trainer.update_rule,
            cap=settings.trainer.cap,
            batch_size=settings.data.rows_per_update(),
            rng=rng,
            backend=self._backend,
        )
