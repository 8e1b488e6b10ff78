"""Latent regression in a run: its networks from settings, and what does not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from tagi_cli.arch.latent.building import build
from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.options import LatentRegressionOptions, shrinkages
from tagi_cli.backend import Backend
from tagi_cli.data import Encoder
from tagi_cli.errors import UserError
from tagi_cli.training.latent_learner import LatentLearner
from tagi_cli.training.noise import AutoOptions, ConstantOptions, LearnedOptions
from tagi_cli.training.restarts import Restarts

if TYPE_CHECKING:
    from tagi_cli.experiment.settings import Settings

ALONE = "arch: latent_regression is trained by one process. Allowed: to start it without mpiexec"


def is_latent(options: Any) -> TypeGuard[LatentRegressionOptions]:
    """Whether these are the options of a latent regression."""
    return isinstance(options, LatentRegressionOptions)


def faults(settings: Settings) -> list[str]:
    """What stands between a latent regression and the other groups, one message each."""
    from tagi_cli.experiment.tasks import tasks

    options = settings.arch
    found: list[str] = []
    if not is_latent(options):
        return found
    task = tasks.of(settings.task).name
    if task != "regression":
        found.append(f"arch: latent_regression beside task '{task}'. Allowed: task=regression")
    if not isinstance(settings.noise, AutoOptions | LearnedOptions | ConstantOptions):
        found.append(
            "noise: the errors of a latent regression have one variance for each output. Allowed: "
            "auto, learned, constant"
        )
    size = settings.data.rows_per_update()
    if options.send_size is not None and options.send_size > size:
        found.append(
            f"arch.send_size: found {options.send_size}. Allowed: 1 to data.batch_size, {size}"
        )
    return found


def layout_of(settings: Settings, encoder: Encoder) -> Layout:
    """Which columns make up the groups.

    Raises:
        UserError: a column or lag that is not there, a target without a group, targets of several
            rows, or groups of different sizes that are coupled directly.
    """
    assert is_latent(settings.arch)
    window = (0, 0)
    if encoder.windowing is not None:
        chunks = encoder.windowing.chunks
        if chunks.target_length > 1:
            raise UserError(
                f"arch: latent_regression predicts one row at a time, but data.out_chunk asks for "
                f"{chunks.target_length}. Allowed: [k, k]"
            )
        first, last = chunks.inputs
        window = first - chunks.targets[0], last - chunks.targets[0]
    return Layout.of(settings.arch, encoder.features, encoder.outputs, window)


def make(
    settings: Settings, encoder: Encoder, rng: np.random.Generator, backend: Backend
) -> LatentLearner | Restarts:
    """A member of the ensemble, with prior means drawn by `rng`.

    Raises:
        UserError: see `layout_of` and `tagi_cli.arch.latent.building.build`.
    """
    options, noise, trainer = settings.arch, settings.noise, settings.trainer
    assert is_latent(options)
    layout = layout_of(settings, encoder)
    learns = not isinstance(noise, ConstantOptions)
    kinds = {
        role: None if found is None else shrinkages.of(found).build(found)
        for role, found in (("p", options.p_shrinkage), ("u", options.u_shrinkage))
    }
    learners = []
    for generator in [rng] if options.restarts == 1 else rng.spawn(options.restarts):
        model = build(options, layout, generator, backend, noise.sigma_v**2, learn_psi=learns)
        learners.append(
            LatentLearner(
                model,
                layout,
                batch_size=settings.data.rows_per_update(),
                send_size=options.send_size,
                update_rule=trainer.update_rule,
                cap=trainer.cap,
                damping=options.damping,
                min_var=noise.sigma_v_min**2 if learns else 1e-6,
                shrinkage=kinds,
                penalties={"p": options.l1_p_lambda, "u": options.l1_u_lambda},
                by_entry=options.l1_convention == "code",
            )
        )
    return learners[0] if options.restarts == 1 else Restarts(learners)
