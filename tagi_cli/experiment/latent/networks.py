"""Latent regression in a run: its networks from settings, and what does not go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np

from tagi_cli.arch.latent.building import build
from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.options import SHARED_MAP, LatentRegressionOptions, shrinkages
from tagi_cli.backend import Backend, select
from tagi_cli.data import Encoder
from tagi_cli.errors import UserError, listing
from tagi_cli.training.latent_learner import LatentLearner
from tagi_cli.training.latent_subjects import Chain, Link, SharedMap, Subjects, links
from tagi_cli.training.noise import AutoOptions, ConstantOptions, LearnedOptions
from tagi_cli.training.options import TrainerOptions
from tagi_cli.training.restarts import Restartable, Restarts

if TYPE_CHECKING:
    from tagi_cli.data import Dataset
    from tagi_cli.experiment.settings import Settings

ALONE = "arch: latent_regression is trained by one process. Allowed: to start it without mpiexec"


Member = LatentLearner | Restarts[LatentLearner] | Subjects | Restarts[Subjects]


def is_latent(options: Any) -> TypeGuard[LatentRegressionOptions]:
    """Whether these are the options of a latent regression."""
    return isinstance(options, LatentRegressionOptions)


def has_subjects(options: Any) -> bool:
    """Whether these are the options of a latent regression of several subjects."""
    return is_latent(options) and options.subjects.share is not None


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
    if has_subjects(options) and settings.data.instance is None:
        found.append(
            f"arch.subjects.share: found '{options.subjects.share}', but data.instance is null. "
            "Allowed: null, or data.instance: the column that names the subject of each row"
        )
    if settings.data.scaling_by == "window":
        found.append(
            "data.scaling_by: found 'window' beside arch 'latent_regression', whose parameters are "
            "in units of columns. Allowed: column, instance"
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
    subject = settings.data.instance if has_subjects(settings.arch) else None
    return Layout.of(settings.arch, encoder.features, encoder.outputs, window, subject)


def make(
    settings: Settings, encoder: Encoder, rng: np.random.Generator, backend: Backend
) -> Member:
    """A member of the ensemble, with prior means drawn by `rng`.

    Raises:
        UserError: see `layout_of` and `tagi_cli.arch.latent.building.build`.
    """
    options, layout = settings.arch, layout_of(settings, encoder)
    assert is_latent(options)

    def one(generator: np.random.Generator) -> LatentLearner:
        return _network(settings, layout, generator, backend)

    alone: LatentLearner | Restarts[LatentLearner]
    if not has_subjects(options):
        alone = _restarted(one, rng, options.restarts)
        return alone
    subjects, size = options.subjects, settings.data.rows_per_update()
    count, shared = len(layout.subjects), subjects.share == SHARED_MAP
    start = None if subjects.map_from is None else partial(shared_map, subjects.map_from)

    def each(generator: np.random.Generator) -> Subjects:
        made = [one(own) for own in generator.spawn(count)]
        return Subjects(made, layout, batch_size=size, shared=shared, start=start)

    if shared and subjects.mode == "interleave":
        together: Subjects | Restarts[Subjects] = _restarted(each, rng, options.restarts)
        return together
    members = [_restarted(one, own, options.restarts) for own in rng.spawn(count)]
    if not shared:
        return Subjects(members, layout, batch_size=size, shared=False)
    return Chain(members, layout, batch_size=size, plan=_plan(options, count), start=start)


L = TypeVar("L", bound=Restartable)


def _restarted(
    make: Callable[[np.random.Generator], L], rng: np.random.Generator, restarts: int
) -> L | Restarts[L]:
    """What `make` makes, or as many of it as there are to be fits from different initial values."""
    return make(rng) if restarts == 1 else Restarts([make(own) for own in rng.spawn(restarts)])


def _plan(options: LatentRegressionOptions, count: int) -> list[Link]:
    """The links of a chain over so many subjects."""
    subjects = options.subjects
    if subjects.mode == "chain":
        return links(count, subjects.passes, None)
    return links(count, subjects.passes, subjects.release, known=subjects.map_from is not None)


def shared_map(run: str) -> SharedMap:
    """The shared map of a run of several subjects, of its first network.

    Raises:
        UserError: there is no such run, or none of several subjects that share a map.
    """
    from tagi_cli.experiment.latent.findings import network_of
    from tagi_cli.experiment.model import Model

    model = Model.load(run)
    options = model.settings.arch
    if not has_subjects(options) or options.subjects.share != SHARED_MAP:
        raise UserError(
            f"arch.subjects.map_from: {run} has no shared map. Allowed: a run with "
            f"arch.subjects.share: {SHARED_MAP}"
        )
    return network_of(model.learners[0]).model.core.part("shared_m")


def _check_start(settings: Settings, layout: Layout) -> None:
    """Make sure that a shared map to begin with is like those of the networks.

    Raises:
        UserError: it is not, or cannot be read.
    """
    run = settings.arch.subjects.map_from
    if run is None:
        return
    fresh = _network(settings, layout, np.random.default_rng(0), select("cpu", "numpy"))
    own, given = fresh.model.core.part("shared_m"), shared_map(run)
    shapes = [{name: one[0].shape for name, one in values.items()} for values in (given, own)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"arch.subjects.map_from: the shared map of {run} has the tensors {shapes[0]}, those "
            f"here {shapes[1]}. Allowed: a run with the same arch.m and as many latents"
        )


def _network(
    settings: Settings, layout: Layout, rng: np.random.Generator, backend: Backend
) -> LatentLearner:
    options, noise, trainer = settings.arch, settings.noise, settings.trainer
    assert is_latent(options)
    learns = not isinstance(noise, ConstantOptions)
    kinds = {
        role: None if found is None else shrinkages.of(found).build(found)
        for role, found in (("p", options.p_shrinkage), ("u", options.u_shrinkage))
    }
    model = build(options, layout, rng, backend, noise.sigma_v**2, learn_psi=learns)
    return LatentLearner(
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


def trainer_in_force(settings: Settings, dataset: Dataset, notices: list[str]) -> TrainerOptions:
    """The options of training, with as many epochs as a chain of subjects takes.

    Raises:
        UserError: nothing can be learnt of a subject, or epochs do not suit a chain.
    """
    options, trainer = settings.arch, settings.trainer
    if not is_latent(options):
        return trainer
    notices += options.subjects.remarks()
    layout = layout_of(settings, dataset.encoder)
    unused = layout.unused()
    if unused:
        names = [dataset.encoder.features[i] for i in unused]
        notices.append(f"arch.inputs: in no group, so not looked at: {listing(names)}")
    if not has_subjects(options):
        return trainer
    _check_start(settings, layout)
    for part in ("train", "valid", "test"):
        x = getattr(dataset, part).x
        seen = set(layout.subject_of(x).tolist()) if len(x) else range(len(layout.subjects))
        unknown = [name for s, name in enumerate(layout.subjects) if s not in seen]
        if unknown and part == "train":
            raise UserError(
                f"data.instance: no training row is of {listing(unknown)}, so nothing can be "
                "learnt of it. Allowed: a split that cuts each subject's rows, or a file without "
                "these rows"
            )
        if unknown:
            notices.append(
                f"data.instance: the {part} part has no row of {listing(unknown)}; "
                "data.split_column can give it some"
            )
    if options.subjects.mode == "interleave":
        return trainer
    if trainer.early_stopping.enabled and len(dataset.valid):
        raise UserError(
            f"trainer.early_stopping.enabled: found true beside arch.subjects.mode "
            f"'{options.subjects.mode}', where validation rows of later subjects tell nothing "
            "until their turn comes. Allowed: false, or an empty validation part"
        )
    if trainer.max_seconds is not None:
        raise UserError(
            f"trainer.max_seconds: found {trainer.max_seconds:g} beside arch.subjects.mode "
            f"'{options.subjects.mode}', which it could end before the last subjects have learnt "
            "anything. Allowed: null"
        )
    epochs = _plan(options, len(layout.subjects))[-1].end
    words = (
        f"arch.subjects.mode '{options.subjects.mode}' takes {epochs} epochs for "
        f"{len(layout.subjects)} subjects"
    )
    if trainer.max_epochs < epochs:
        raise UserError(
            f"trainer.max_epochs: found {trainer.max_epochs}, but {words}. Allowed: at least "
            f"{epochs}, or other arch.subjects.passes"
        )
    if trainer.max_epochs > epochs:
        notices.append(f"trainer.max_epochs: {epochs}, as {words}")
    return dataclasses.replace(trainer, max_epochs=epochs)
