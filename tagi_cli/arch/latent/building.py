"""From the options of a latent regression to a model for data."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.maps import chain_of
from tagi_cli.arch.latent.model import LatentRegModel
from tagi_cli.arch.latent.options import LatentRegressionOptions, ParameterOptions
from tagi_cli.arch.registry import registry
from tagi_cli.backend import Backend
from tagi_cli.errors import UserError, listing

Host = np.ndarray[Any, Any]


def build(
    options: LatentRegressionOptions,
    layout: Layout,
    rng: np.random.Generator,
    backend: Backend,
    psi: float = 1.0,
    *,
    learn_psi: bool = True,
) -> LatentRegModel:
    """A model whose prior means are drawn, with what is given in place.

    Args:
        options: of the architecture.
        layout: which columns make up the groups.
        rng: draws.
        backend: where it runs.
        psi: prior mean of the error variances.
        learn_psi: whether they are learnt; if not they are certain.

    Raises:
        UserError: sizes do not go together, or a file that is given does not fit.
    """
    groups = layout.groups
    inputs, outputs = options.inputs, options.outputs
    has = {
        role: any(getattr(group, role).source != "none" for group in outputs.values())
        for role in ("scales", "offsets")
    }
    try:
        shares = options.subjects.share is not None
        m = chain_of(options.m, groups.d_proj, groups.d_trans, shared=shares)
    except ValueError as error:
        raise UserError(f"arch.m: {error}") from None
    found, wanted = _size([layer for _, layer in m], sum(groups.d_proj), "arch.m"), groups.d_trans
    if found != sum(wanted):
        each = listing([f"{name}: {n}" for name, n in zip(outputs, wanted, strict=True)])
        raise UserError(
            f"arch.m: gives {found} latents, but arch.outputs has {sum(wanted)} ({each}). "
            f"Allowed: {sum(wanted)}"
        )
    s = [_chain(group.s) for group in outputs.values()]
    for name, layer, size in zip(outputs, s, groups.d_out, strict=True):
        where = f"arch.outputs.{name}.s"
        units = size if layer is None else _size([layer], size, where)
        if units != size:
            raise UserError(f"{where}: gives {units} values for {size} columns. Allowed: {size}")
    try:
        model = LatentRegModel(
            groups.d_in,
            groups.d_out,
            groups.d_proj,
            groups.d_trans,
            m,
            s,
            use_scales=has["scales"],
            use_offsets=has["offsets"],
            direct_pairs=groups.direct_pairs,
            w_gain=options.gain_mean,
            sc_std=options.scale_spread,
            dm_std=options.direct_spread,
            noise_range=options.noise_range,
            init=options.init,
            var_gain=options.gain_weight,
            seed=int(rng.integers(2**63)),
            backend=backend,
        )
    except ValueError as error:
        raise UserError(f"arch: {error}") from None
    if options.init == "tagi" or not learn_psi:
        var = psi**2 if learn_psi else 0.0
        model.assign(psi=[(np.full(n, psi), np.full(n, var)) for n in groups.d_out])
    for g, (name, group) in enumerate(inputs.items()):
        shape = groups.d_in[g], groups.d_proj[g]
        _place(model, "p", g, group.p, shape, f"arch.inputs.{name}.p")
    for h, (name, output) in enumerate(outputs.items()):
        rows = groups.d_out[h]
        for role in ("u", "scales", "offsets", "psi"):
            sizes = (rows, groups.d_trans[h]) if role == "u" else (rows,)
            if role in ("u", "psi") or has[role]:
                where = f"arch.outputs.{name}.{role}"
                _place(model, role, h, getattr(output, role), sizes, where)
        if not learn_psi:
            model.psi_trainable[h] = False
    names_in, names_out = list(inputs), list(outputs)
    for i, (g, h) in enumerate(groups.direct_pairs):
        given = outputs[names_out[h]].couplings.get(names_in[g])
        if given is not None:
            where = f"arch.outputs.{names_out[h]}.couplings.{names_in[g]}"
            _place(model, "direct_mappings", i, given, (groups.d_out[h],), where)
    model.choose(model.trainable_parameters())
    return model


def _size(layers: Sequence[nn.Layer], inputs: int, where: str) -> int:
    """Units that a chain of layers gives for so many inputs; the layers stay as they are.

    Raises:
        UserError: one does not fit the one before.
    """
    chain = nn.Sequential(*(copy.deepcopy(layer) for layer in layers))
    try:
        return nn.flat_size(nn.Network(chain, (inputs,)).output_shape)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _chain(layers: tuple[Any, ...]) -> nn.Layer | None:
    return nn.build_sequential(nn.SequentialOptions(layers)) if layers else None


def _place(
    model: LatentRegModel,
    role: str,
    i: int,
    options: ParameterOptions,
    shape: tuple[int, ...],
    where: str,
) -> None:
    """Give a tensor the value that options ask for, and set its flag."""
    getattr(model, f"{role}_trainable")[i] = options.train and options.source != "none"
    if options.source == "learn":
        return
    if options.source == "none":
        # Without effect: scales of 1, offsets of 0.
        value: Any = np.ones(shape) if role == "scales" else np.zeros(shape)
    else:
        value = _read(str(options.path), shape, f"{where}.path")
        if options.sd is not None:
            value = value, np.full(shape, options.sd**2)
    values: list[Any] = [None] * len(getattr(model, f"{role}_trainable"))
    values[i] = value
    try:
        model.assign(**{role: values})
    except ValueError as error:
        raise UserError(f"{where}.path: {error}") from None


def _read(path: str, shape: tuple[int, ...], where: str) -> Host:
    """The numbers in a CSV file without a header.

    Raises:
        UserError: the file cannot be read, or has another shape.
    """
    try:
        found = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float64)
    except OSError as error:
        # A file that is missing comes without a reason, and with its path once more.
        reason = error.strerror or "no such file"
        raise UserError(f"{where}: {path}: {reason}. Allowed: a CSV file of numbers") from None
    except ValueError as error:
        raise UserError(f"{where}: {path}: {error}. Allowed: numbers, no header") from None
    wanted = shape if len(shape) == 2 else (shape[0], 1)
    if found.shape != wanted:
        raise UserError(
            f"{where}: {path} has {found.shape[0]} lines of {found.shape[1]} numbers. Allowed: "
            f"{wanted[0]} lines of {wanted[1]}, variables by latents"
        )
    if not np.isfinite(found).all():
        raise UserError(f"{where}: {path} holds values that are not finite. Allowed: numbers")
    return found.reshape(shape)


registry.register("latent_regression", LatentRegressionOptions, build)
