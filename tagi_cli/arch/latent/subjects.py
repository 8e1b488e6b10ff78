"""Fits of several subjects that have a map in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagi_cli.arch.latent import request
from tagi_cli.arch.latent.fitting import Fit, Setting
from tagi_cli.arch.latent.shared_model import SharedMLatentRegModel

MODES = ("interleave", "align-chain", "chain")

Groups = Sequence[Any]


def fit_subjects(
    models: Sequence[SharedMLatentRegModel],
    x: Sequence[Groups],
    y: Sequence[Groups],
    *,
    mode: str = "interleave",
    batch_size: int = 100,
    epochs: int = 10,
    restarts: int = 8,
    release: int = 1,
    rng: np.random.Generator | None = None,
    damage: bool = False,
    **setting: Any,
) -> None:
    """Fit models with one shared map to the data of their subjects.

    Args:
        models: one for each subject, with the same `shared_m`.
        x: inputs of each subject, by group.
        y: outputs of each subject, by group.
        mode: `interleave` learns batches of all subjects in random order. `align-chain` fits the
            first subject; for each later one it finds modes for the map as it is, from several
            random starts, and then lets the map learn for `release` passes. `chain` fits one
            subject after the other, each from the map that the last one left: a new subject's
            random modes drag that map away from those before, so it asks for `damage`.
        batch_size: rows of a step; where a subject has fewer, all of them.
        epochs: passes over the rows of each subject.
        restarts: starts of the first subject in a chain, and of each alignment.
        release: passes in which the shared map learns from a subject that has been aligned; 0
            leaves it to the first one.
        rng: draws the order of subjects; default: that of the first model.
        damage: whether earlier subjects may get worse.
        **setting: `send_size`, `update_rule`, `damping`, `min_var` as of `LatentRegModel.fit`.

    Raises:
        ValueError: models do not share one map, numbers of subjects differ, or the mode is unknown
            or asks for `damage`.
        FloatingPointError: parameters are not finite any more.
    """
    _check(models, x, y, mode, damage)
    for name, value, least in (("restarts", restarts, 1), ("release", release, 0)):
        if value < least:
            raise ValueError(f"{name}: found {value}. Allowed: at least {least}")
    settings = []
    for data in x:
        rows = len(data[0])
        batch = min(batch_size, rows)
        iterations = request.iterations(rows, batch, 1, epochs)
        settings.append(Setting(batch_size=batch, iterations=iterations, **setting))
    if mode == "interleave":
        _interleave(models, x, y, settings, restarts, rng or models[0].rng)
        return
    for i, (model, own, inputs, outputs) in enumerate(zip(models, settings, x, y, strict=True)):
        passes = {"batch_size": own.batch_size, "send_size": own.batch_size, **setting}
        if i and mode == "align-chain":
            shared = {id(parameter) for parameter in model.shared_m_parameters()}
            rest = [t for t in model.trainable_parameters() if id(t) not in shared]
            model.fit(inputs, outputs, **passes, epochs=epochs, parameters=rest, restarts=restarts)
            if release:
                model.fit(inputs, outputs, **passes, epochs=release)
        else:
            model.fit(inputs, outputs, **passes, epochs=epochs, restarts=1 if i else restarts)


def _check(
    models: Sequence[SharedMLatentRegModel],
    x: Sequence[Groups],
    y: Sequence[Groups],
    mode: str,
    damage: bool,
) -> None:
    if mode not in MODES:
        raise ValueError(f"mode: found '{mode}'. Allowed: {', '.join(MODES)}")
    if mode == "chain" and not damage:
        raise ValueError(
            "mode: 'chain' makes predictions for earlier subjects worse. Allowed: interleave, "
            "align-chain, or chain with damage=True"
        )
    if not len(models) == len(x) == len(y):
        raise ValueError(f"{len(models)} models, inputs of {len(x)}, outputs of {len(y)} subjects")
    if not models or any(
        m.shared_m is None or m.shared_m is not models[0].shared_m for m in models
    ):
        raise ValueError("models: make all of them with the same layer as shared_m")


def _interleave(
    models: Sequence[SharedMLatentRegModel],
    x: Sequence[Groups],
    y: Sequence[Groups],
    settings: Sequence[Setting],
    restarts: int,
    rng: np.random.Generator,
) -> None:
    """Fit all at once, from present values and then from fresh ones; the best fit stays.

    The best one has the lowest sum over subjects of the mean predictive negative log density per
    row of the last pass.
    """
    held = [model.kept_names() for model in models]
    fits = [m.begin(a, b, own) for m, a, b, own in zip(models, x, y, settings, strict=True)]
    psi = [model.core.psi.state_dict() for model in models]
    best, kept = np.inf, [model.core.state_dict() for model in models]
    for attempt in range(restarts):
        if attempt:
            for model, names, variances in zip(models, held, psi, strict=True):
                model.core.redraw(rng, names)
                model.core.psi.load_state_dict(variances)
            models[0].publish()
            fits = [m.begin(a, b, own) for m, a, b, own in zip(models, x, y, settings, strict=True)]
        _take_turns(models, fits, rng)
        score = sum(fit.final() for fit in fits)
        if score < best:
            best, kept = score, [model.core.state_dict() for model in models]
    for model, state in zip(models, kept, strict=True):
        model.core.load_state_dict(state)
    models[0].publish()


def _take_turns(
    models: Sequence[SharedMLatentRegModel], fits: Sequence[Fit], rng: np.random.Generator
) -> None:
    """Take the steps of all fits, in random order of subjects within each pass."""
    steps = [fit.steps() for fit in fits]
    passes = [-(-fit.learner.rows // fit.learner.batch_size) for fit in fits]
    last = -1
    for _ in range(len(fits[0].obj) // passes[0]):
        for i in rng.permutation(np.repeat(np.arange(len(fits)), passes)):
            if i != last:
                if last >= 0:
                    models[last].publish()
                models[i].refresh()
                last = int(i)
            next(steps[i])
    models[last].publish()
    for model in models:
        model.refresh()
