"""Maps between the latents, as configs describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.latent import group_maps
from tagi_cli.options import Registry, option

maps = Registry("map")
"""Kinds of maps; `kind.build(options, d_proj, d_trans)` gives a layer.

What stands between them goes from the projected latents of all input groups to the transformed ones
of all output groups, group after group in one vector.
"""

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class IdentityOptions:
    """The latents as they are."""


@dataclass(frozen=True)
class LinearOptions:
    """One matrix over the latents of all groups, at first near the identity."""

    bias: bool = option(False, "Whether there is a bias.")
    sd: float | None = option(
        None,
        "Prior standard deviation of matrix and bias. null: 0.2, or 0.05 where there is one input "
        "group or one output group, whose modes can take up any matrix.",
        above=0,
    )


@dataclass(frozen=True)
class MatricesOptions:
    """A matrix of its own for each group; there are as many output groups as input groups."""

    gain: float = option(1.0, "Factor on the spread of the prior means.", above=0)


@dataclass(frozen=True)
class ScaleOptions:
    """A scale, and if wanted an offset, for each latent."""

    offsets: bool = option(True, "Whether there are offsets.")
    nonnegative: bool = option(False, "Whether latents are multiplied by absolute values.")
    sd: float = option(0.5, "Prior standard deviation of scales and offsets.", above=0)


@dataclass(frozen=True)
class SelectOptions:
    """Some latents, by their number from 0 in the vector of all, in the order of the outputs."""

    latents: tuple[int, ...] = option(doc="Which latents; one may stand several times.", minimum=0)


@dataclass(frozen=True)
class DenseOptions:
    """A network each of whose layers sees the latents and all layers before it."""

    widths: tuple[int, ...] = option((10,), "Units of each hidden layer.", minimum=1)


@dataclass(frozen=True)
class LayersOptions:
    """Any layers, one after the other."""

    layers: tuple[Any, ...] = option(
        doc="Layers from input to output, each `{kind: ..., <options>}`.", kinds=nn.registry
    )

    def faults(self) -> list[str]:
        """A chain holds something."""
        return [] if self.layers else [".layers: the list is empty; give at least one layer"]


@dataclass(frozen=True)
class PerGroupOptions:
    """A layer of its own for the latents of each input group."""

    layers: tuple[Any, ...] = option(
        doc="As many layers as input groups, each `{kind: ..., <options>}`.", kinds=nn.registry
    )


@dataclass(frozen=True)
class PartsOptions:
    """A map in two parts: one of each subject's own, and then one that subjects may share."""

    specific: Any = option(doc="First part, from as many latents to as many.", kinds=maps)
    shared: Any = option(doc="Second part, to the transformed latents.", kinds=maps)

    def faults(self) -> list[str]:
        """Parts have no parts."""
        return [
            f".{name}.kind: found 'parts' within parts. Allowed: another kind"
            for name in ("specific", "shared")
            if isinstance(getattr(self, name), PartsOptions)
        ]


def chain_of(
    options: Any, d_proj: Sizes, d_trans: Sizes, *, shared: bool = False
) -> list[tuple[str, nn.Layer]]:
    """The chain of named layers that a map is made of: `m`, or `specific_m` and `shared_m`.

    Args:
        options: of the map.
        d_proj: latents of each input group.
        d_trans: latents of each output group.
        shared: whether a map of one part is shared.

    Raises:
        ValueError: sizes do not go together.
    """
    if isinstance(options, PartsOptions):
        specific = maps.of(options.specific).build(options.specific, d_proj, d_proj)
        rest = maps.of(options.shared).build(options.shared, d_proj, d_trans)
        return [("specific_m", specific), ("shared_m", rest)]
    return [("shared_m" if shared else "m", maps.of(options).build(options, d_proj, d_trans))]


def _identity(options: IdentityOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return group_maps.identity()


def _linear(options: LinearOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return group_maps.linear(d_proj, d_trans, options.bias, options.sd)


def _matrices(options: MatricesOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return group_maps.matrices(d_proj, d_trans, options.gain)


def _scale(options: ScaleOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    # Round 1, so that latents pass at first.
    return group_maps.scale_and_offset(
        options.offsets, options.nonnegative, v_mn=1.0, sd=options.sd
    )


def _select(options: SelectOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    total = sum(d_proj)
    beyond = [latent for latent in options.latents if latent >= total]
    if beyond:
        raise ValueError(f"found latent {beyond[0]}. Allowed: 0 to {total - 1}")
    return nn.Select(options.latents)


def _dense(options: DenseOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return group_maps.dense(options.widths, d_trans)


def _layers(options: LayersOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return nn.build_sequential(nn.SequentialOptions(options.layers))


def _parts(options: PartsOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    return nn.Sequential(*(layer for _, layer in chain_of(options, d_proj, d_trans)))


def _per_group(options: PerGroupOptions, d_proj: Sizes, d_trans: Sizes) -> nn.Layer:
    made = [nn.build_sequential(nn.SequentialOptions((item,))) for item in options.layers]
    return group_maps.per_group(d_proj, made)


maps.register("identity", IdentityOptions, _identity)
maps.register("linear", LinearOptions, _linear)
maps.register("matrices", MatricesOptions, _matrices)
maps.register("scale", ScaleOptions, _scale)
maps.register("select", SelectOptions, _select)
maps.register("dense", DenseOptions, _dense)
maps.register("layers", LayersOptions, _layers)
maps.register("per_group", PerGroupOptions, _per_group)
maps.register("parts", PartsOptions, _parts)
