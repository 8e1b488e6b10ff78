"""Maps from projected to transformed latents, all groups in one vector, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from tagi_cli import nn


def identity() -> nn.Layer:
    """The latents as they are."""
    return nn.Sequential()


def linear(
    d_in: Sequence[int], d_out: Sequence[int], bias: bool = False, sd: float | None = None
) -> nn.Layer:
    """One matrix over the latents of all groups, at first near the identity.

    What is random here is random twice, as the modes on both sides are: a random matrix as prior
    mean has small singular values, whose latents are seldom found again.

    Args:
        d_in: latents of each input group.
        d_out: latents of each output group.
        bias: whether there is a bias, of prior mean zero.
        sd: prior standard deviation of matrix and bias. None: 0.2, or 0.05 where one side has a
            single group, whose modes can take up any matrix: what is spread over the matrix there
            only hides latents from each other.
    """
    shape = (sum(d_out), sum(d_in))
    if sd is None:
        sd = 0.05 if 1 in (len(d_in), len(d_out)) else 0.2
    layer = nn.Linear(shape[1], shape[0], bias=bias)
    layer.weight = nn.Parameter("weight", np.eye(*shape), np.full(shape, sd**2))
    if bias:
        layer.bias = nn.Parameter("bias", np.zeros(shape[0]), np.full(shape[0], sd**2))
    return layer


def per_group(sizes: Sequence[int], layers: Sequence[nn.Layer]) -> nn.Layer:
    """A layer, or chain of layers, of its own for each group.

    Args:
        sizes: latents of each group.
        layers: what each group goes through.

    Raises:
        ValueError: there are not as many layers as groups.
    """
    if len(sizes) != len(layers):
        raise ValueError(
            f"found {len(layers)} layers for {len(sizes)} groups of latents. Allowed: {len(sizes)}"
        )
    if len(layers) == 1:
        return layers[0]
    parts = [nn.Node(f"group{g}", layer, (f"parts.{g}",)) for g, layer in enumerate(layers)]
    return nn.Graph(
        [
            nn.Node("parts", nn.Split(tuple(sizes)), ("input",)),
            *parts,
            nn.Node("joined", nn.Concat(), tuple(part.name for part in parts)),
        ]
    )


def scale_and_offset(
    offsets: bool = True,
    nonnegative_scale: bool = False,
    v_mn: float = 0.0,
    v_std: float = 0.1,
    o_mn: float = 0.0,
    o_std: float = 0.1,
    sd: float = 0.5,
) -> nn.Layer:
    """A scale, and if wanted an offset, for each latent.

    Args:
        offsets: whether there are offsets.
        nonnegative_scale: whether latents are multiplied by the absolute values of the parameters.
        v_mn: mean of the scales' prior means.
        v_std: standard deviation with which they are drawn round it.
        o_mn: mean of the offsets' prior means.
        o_std: standard deviation with which they are drawn round it.
        sd: prior standard deviation of scales and offsets.
    """
    scale = nn.Scale(mean=v_mn, spread=v_std, sd=sd, nonnegative=nonnegative_scale)
    if not offsets:
        return scale
    return nn.Sequential(scale, nn.Offset(mean=o_mn, spread=o_std, sd=sd))


def matrices(d_in: Sequence[int], d_out: Sequence[int], w_gain: float = 1.0) -> nn.Layer:
    """A matrix of its own for each group.

    Args:
        d_in: latents of each group before.
        d_out: latents of each group behind.
        w_gain: factor on the spread of the prior means.

    Raises:
        ValueError: the numbers of groups differ.
    """
    layers = [nn.Linear(0, n, bias=False, init_method="Xavier", gain_mean=w_gain) for n in d_out]
    return per_group(d_in, layers)


def concatenate(d_in: Sequence[int], groups: Sequence[Sequence[bool]]) -> nn.Layer:
    """For each output group the latents of some input groups.

    Args:
        d_in: latents of each input group.
        groups: a row for each output group; it says of each input group whether it is taken.

    Raises:
        ValueError: a row has the wrong length.
    """
    if any(len(row) != len(d_in) for row in groups):
        raise ValueError(f"each row says of {len(d_in)} input groups whether it takes them")
    entries = [[range(n) if taken else None for n, taken in zip(d_in, row, strict=True)]
               for row in groups]  # fmt: skip
    return select(d_in, entries)


def select(d_in: Sequence[int], indices: Sequence[Sequence[Sequence[int] | None]]) -> nn.Layer:
    """For each output group some latents of each input group.

    Args:
        d_in: latents of each input group.
        indices: `indices[h][g]` lists which latents of input group g, from 0, are given to output
            group h; None takes none.

    Raises:
        ValueError: an index lies outside its group, or a row has the wrong length.
    """
    starts = [0, *accumulate(d_in)]
    picked: list[int] = []
    for row in indices:
        if len(row) != len(d_in):
            raise ValueError(f"a row lists {len(row)} input groups, there are {len(d_in)}")
        for g, part in enumerate(row):
            for i in part or ():
                if not 0 <= i < d_in[g]:
                    raise ValueError(f"latent {i} of group {g}: it has 0 to {d_in[g] - 1}")
                picked.append(starts[g] + i)
    return nn.Select(tuple(picked))


def dense(
    widths: Sequence[int],
    d_out: Sequence[int],
    activation: Callable[[], nn.Layer] = nn.MixtureReLU,
) -> nn.Layer:
    """A network each of whose layers sees the latents and all layers before it.

    Args:
        widths: units of each hidden layer.
        d_out: latents of each output group.
        activation: makes the activation of a hidden layer.
    """
    nodes: list[nn.Node] = []
    seen = ["input"]
    for i, width in enumerate(widths):
        nodes += _joined(f"seen{i}", seen)
        layer = nn.Sequential(nn.Linear(0, width), activation())
        nodes.append(nn.Node(f"hidden{i}", layer, (nodes[-1].name if i else "input",)))
        seen.append(f"hidden{i}")
    nodes += _joined("all", seen)
    last = nodes[-1].name if len(seen) > 1 else "input"
    return nn.Graph([*nodes, nn.Node("output", nn.Linear(0, sum(d_out)), (last,))])


def _joined(name: str, inputs: Sequence[str]) -> list[nn.Node]:
    return [nn.Node(name, nn.Concat(), tuple(inputs))] if len(inputs) > 1 else []
