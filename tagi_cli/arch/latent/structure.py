"""Latent regression as a graph of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagi_cli import nn


@dataclass(frozen=True)
class Groups:
    """Sizes of the groups of variables and of their latents.

    Attributes:
        d_in: variables of each input group.
        d_out: variables of each output group.
        d_proj: projected latents of each input group.
        d_trans: transformed latents of each output group.
        direct_pairs: pairs (input group, output group) with direct couplings.
    """

    d_in: tuple[int, ...]
    d_out: tuple[int, ...]
    d_proj: tuple[int, ...]
    d_trans: tuple[int, ...]
    direct_pairs: tuple[tuple[int, int], ...] = ()

    def faults(self) -> list[str]:
        """What does not go together, one message each."""
        found = []
        sides = (
            ("input", "d_in", self.d_in, "d_proj", self.d_proj),
            ("output", "d_out", self.d_out, "d_trans", self.d_trans),
        )
        for side, name, sizes, latent_name, latents in sides:
            if not sizes:
                found.append(f"{name}: the list is empty. Allowed: at least one {side} group")
            if len(sizes) != len(latents):
                found.append(
                    f"{latent_name}: found {len(latents)} sizes. Allowed: {len(sizes)}, one for "
                    f"each {side} group"
                )
            found += [
                f"{key}[{i}]: found {n}. Allowed: at least 1"
                for key, values in ((name, sizes), (latent_name, latents))
                for i, n in enumerate(values)
                if n < 1
            ]
        G, H = len(self.d_in), len(self.d_out)
        for i, (g, h) in enumerate(self.direct_pairs):
            pair = f"direct_pairs[{i}]: found ({g}, {h})"
            if not (0 <= g < G and 0 <= h < H):
                found.append(
                    f"{pair}. Allowed: input groups 0 to {G - 1}, output groups 0 to {H - 1}"
                )
            elif self.d_in[g] != self.d_out[h]:
                found.append(
                    f"{pair}: input group {g} has {self.d_in[g]} variables, output group {h} has "
                    f"{self.d_out[h]}. Allowed: groups of one size"
                )
            if (g, h) in self.direct_pairs[:i]:
                found.append(f"{pair}, which stands there already. Allowed: each pair once")
        return found


@dataclass(frozen=True)
class Priors:
    """Priors of what is not `m`: p and u are Xavier normal.

    Attributes:
        w_gain: factor on the spread of the prior means of p and u.
        var_gain: factor on their prior standard deviation.
        scale_mean: mean of the prior means of scales.
        scale_spread: standard deviation with which they are drawn round it.
        scale_sd: prior standard deviation of scales.
        offset_sd: prior standard deviation of offsets, whose prior means are zero.
        direct_spread: standard deviation with which prior means of couplings are drawn round zero.
        direct_sd: prior standard deviation of couplings.
    """

    w_gain: float = 1.0
    var_gain: float = 1.0
    scale_mean: float = 1.0
    scale_spread: float = 0.0
    scale_sd: float = 0.5
    offset_sd: float = 1.0
    direct_spread: float = 0.1
    direct_sd: float = 0.5


class LatentRegression(nn.Graph):
    """`y_h = scale_h s_h(u_h m(p_1' x_1, ..., p_G' x_G)_h) + offset_h + sum_g c_gh x_g`.

    A row of input holds the variables of all input groups one after the other, a row of output
    those of all output groups. Nodes are called `p0, p1, ...`, `u0, ...`, `s0`, `sc0` (scales),
    `o0` (offsets), `c0_1` (couplings of input group 0 and output group 1); the latents of all
    groups are the output of `projected`, those behind the map of `transformed`.

    Args:
        groups: sizes.
        maps: chain of named layers from all projected to all transformed latents.
        s: what each output group goes through behind u; None for nothing.
        use_scales: whether outputs have scales.
        use_offsets: whether outputs have offsets.
        priors: priors of p, u, scales, offsets and couplings.

    Raises:
        ValueError: sizes do not go together.
    """

    kind = "latent_regression"

    def __init__(
        self,
        groups: Groups,
        maps: Sequence[tuple[str, nn.Layer]],
        s: Sequence[nn.Layer | None],
        *,
        use_scales: bool = False,
        use_offsets: bool = False,
        priors: Priors | None = None,
    ) -> None:
        faults = groups.faults()
        if len(s) != len(groups.d_out):
            faults.append(
                f"s: found {len(s)} layers. Allowed: {len(groups.d_out)}, one for each output group"
            )
        if faults:
            raise ValueError("; ".join(faults))
        self.groups = groups
        self.use_scales = use_scales
        self.use_offsets = use_offsets
        self.priors = priors or Priors()
        nodes = self._latents(maps)
        for h, d_out in enumerate(groups.d_out):
            source = f"parts.{h}" if len(groups.d_out) > 1 else "transformed"
            nodes += self._output(h, d_out, s[h], source)
        if len(groups.d_out) > 1:
            means = tuple(f"mean{h}" for h in range(len(groups.d_out)))
            nodes.append(nn.Node("y", nn.Concat(), means))
        super().__init__(nodes)

    def _input(self, g: int) -> str:
        return f"x.{g}" if len(self.groups.d_in) > 1 else "input"

    def _latents(self, maps: Sequence[tuple[str, nn.Layer]]) -> list[nn.Node]:
        """From the input to `transformed`, and its parts where there are several."""
        groups, priors = self.groups, self.priors
        nodes = []
        if len(groups.d_in) > 1:
            nodes.append(nn.Node("x", nn.Split(groups.d_in), ("input",)))
        names = [f"p{g}" for g in range(len(groups.d_in))]
        for g, (name, units) in enumerate(zip(names, groups.d_proj, strict=True)):
            nodes.append(nn.Node(name, _modes(units, priors), (self._input(g),)))
        joined: nn.Layer = nn.Concat() if len(names) > 1 else nn.Sequential()
        nodes.append(nn.Node("projected", joined, tuple(names)))
        nodes += [nn.Node(name, layer) for name, layer in maps]
        sizes = ", ".join(map(str, groups.d_trans))
        transformed = _Expected("m", sum(groups.d_trans), f"d_trans [{sizes}]")
        nodes.append(nn.Node("transformed", transformed))
        if len(groups.d_out) > 1:
            nodes.append(nn.Node("parts", nn.Split(groups.d_trans)))
        return nodes

    def _output(self, h: int, d_out: int, s: nn.Layer | None, source: str) -> list[nn.Node]:
        """From the latents of an output group to its mean."""
        priors = self.priors
        nodes = [nn.Node(f"u{h}", _modes(d_out, priors), (source,))]
        if s is not None:
            nodes.append(nn.Node(f"s{h}", s))
            expected = _Expected(f"s[{h}]", d_out, f"d_out[{h}]")
            nodes.append(nn.Node(f"s{h}_out", expected))
        if self.use_scales:
            scale = nn.Scale(mean=priors.scale_mean, spread=priors.scale_spread, sd=priors.scale_sd)
            nodes.append(nn.Node(f"sc{h}", scale))
        if self.use_offsets:
            nodes.append(nn.Node(f"o{h}", nn.Offset(sd=priors.offset_sd)))
        terms = [nodes[-1].name]
        for g, other in self.groups.direct_pairs:
            if other == h:
                coupling = nn.Scale(mean=0.0, spread=priors.direct_spread, sd=priors.direct_sd)
                nodes.append(nn.Node(f"c{g}_{h}", coupling, (self._input(g),)))
                terms.append(nodes[-1].name)
        # One name whether or not there is something to add up.
        total: nn.Layer = nn.Add() if len(terms) > 1 else nn.Sequential()
        nodes.append(nn.Node(f"mean{h}", total, tuple(terms)))
        return nodes

    def _build(
        self, shape: tuple[int, ...], parameters: nn.Parameters, rng: np.random.Generator
    ) -> tuple[int, ...]:
        size = sum(self.groups.d_in)
        if shape != (size,):
            raise nn.ShapeError(f"the input groups hold {size} variables, a row of input {shape}")
        return super()._build(shape, parameters, rng)


class _Expected(nn.Layer):
    """What it is given, after a look at its size."""

    kind = "expected"

    def __init__(self, source: str, size: int, option: str) -> None:
        super().__init__()
        self.source = source
        self.size = size
        self.option = option

    def _build(
        self, shape: tuple[int, ...], parameters: nn.Parameters, rng: np.random.Generator
    ) -> tuple[int, ...]:
        if nn.flat_size(shape) != self.size:
            raise nn.ShapeError(
                f"{self.source} gives {nn.flat_size(shape)} units {shape}, {self.option} asks for "
                f"{self.size}"
            )
        return (self.size,)

    def trace(self, plan: nn.Plan, x: nn.Value) -> nn.Value:
        """See `Layer.trace`."""
        return x.reshape((self.size,))

    def costs(self) -> list[nn.Cost]:
        """Nothing to be done."""
        return []


def _modes(units: int, priors: Priors) -> nn.Linear:
    return nn.Linear(
        0,
        units,
        bias=False,
        init_method="Xavier",
        gain_mean=priors.w_gain,
        gain_weight=priors.var_gain,
    )
