"""`tagi show`: layers, shapes, parameters, memory and arithmetic of a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend
from tagi_cli.data import Encoder
from tagi_cli.errors import UserError
from tagi_cli.experiment.members import MakeMember
from tagi_cli.experiment.settings import Settings
from tagi_cli.nn.layer import Cost
from tagi_cli.training.latent_learner import LatentLearner
from tagi_cli.training.latent_subjects import Subjects
from tagi_cli.training.learner import Learner
from tagi_cli.training.restarts import Restarts


@dataclass(frozen=True)
class Summary:
    """A network in figures.

    Attributes:
        layers: one entry per layer; floating-point operations per row of a training step.
        layer_bytes: memory of each of them in one network: of its parameters, with what a step adds
            to them, and in one step of its output, innovations of its input, and what it keeps.
        nodes: where each of them stands in graphs and residual blocks; empty outside of them.
        members: networks of this kind in the ensemble, restarts included.
        batch_size: rows per step.
        parameter_bytes: memory of all members' parameters: means, variances, and what a step adds
            to them.
        activation_bytes: memory of one step's activations, innovations and scratch, all members.
        backend: what it runs on, in words.
    """

    layers: tuple[Cost, ...]
    layer_bytes: tuple[int, ...]
    nodes: tuple[str, ...]
    members: int
    batch_size: int
    parameter_bytes: int
    activation_bytes: int
    backend: str

    @property
    def parameters(self) -> int:
        """Parameters of one network; each has a mean and a variance."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def run_bytes(self) -> int:
        """Memory that a run takes besides its data at most, about: that is when it saves.

        Beside the network in training there are copies of the means and variances of two, the best
        and the one that is saved, and activations of a shorter last batch and of predictions.
        """
        return 2 * self.parameter_bytes + 3 * self.activation_bytes

    @property
    def flops(self) -> int:
        """Floating-point operations of one training step of the whole ensemble."""
        return self.members * self.batch_size * sum(layer.flops for layer in self.layers)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per layer for tables; nodes have a column where there are any."""
        return [
            {
                **({"node": node} if any(self.nodes) else {}),
                "layer": layer.name,
                "output": " x ".join(str(size) for size in layer.output),
                "parameters": layer.parameters,
                "memory": byte_words(memory),
                "FLOPs per row": layer.flops,
            }
            for node, layer, memory in zip(self.nodes, self.layers, self.layer_bytes, strict=True)
        ]


def summarise(settings: Settings, encoder: Encoder, backend: Backend) -> Summary:
    """The network that `settings` describe, for data like that of `encoder`, on `backend`.

    Raises:
        UserError: the layers do not fit the data, or have nothing to learn.
    """
    learner = MakeMember(settings, encoder, backend)(0, np.random.default_rng(0))
    members, batch_size = settings.ensemble.size, settings.data.rows_per_update()
    if isinstance(learner, Restarts):
        members, learner = members * len(learner.learners), learner.best
    if isinstance(learner, Subjects):
        members, learner = members * learner.networks, learner.network(0)
    costs, plan = tuple(learner.layer.costs()), step_plan(learner, batch_size)
    per_parameter = 4 * backend.dtype.itemsize
    return Summary(
        costs,
        tuple(
            per_parameter * cost.parameters + _bytes_of(plan, name)
            for name, cost in zip(leaves(learner.layer), costs, strict=True)
        ),
        tuple(nodes(learner.layer)),
        members,
        batch_size,
        members * learner.parameters.size * per_parameter,
        members * plan.bytes,
        backend.describe(),
    )


def step_plan(learner: Learner | LatentLearner, batch_size: int) -> nn.Plan:
    """The plan of one training step, traced.

    Raises:
        UserError: the output depends on no weight.
    """
    plan = nn.Plan(
        learner.backend, learner.parameters, batch_size, training=True, differentiable=True
    )
    plan.input = plan.value(learner.input_shape, certain=True, wanted=False)
    plan.output = learner.layer.trace(plan, plan.input)
    if plan.output.var is None:
        raise UserError(
            "arch: the output depends on no weight, so there is nothing to learn. Add a layer that "
            "has weights, such as linear"
        )
    plan.output.send()
    plan.emit_backward()
    plan.take()
    return plan


def leaves(layer: nn.Layer, name: str = "") -> Iterator[str]:
    """Names in plans of the layers that `costs` lists, in its order."""
    if isinstance(layer, nn.Sequential | nn.Graph):
        for part, child in layer.children():
            yield from leaves(child, f"{name}.{part}".lstrip("."))
    else:
        # What only looks at a size costs nothing, and is not listed.
        yield from [name] * len(layer.costs())


def nodes(layer: nn.Layer, place: str = "", source: str = "input") -> Iterator[str]:
    """For each layer that `costs` lists, the nodes of graphs it is in; the first says its inputs.

    So `main <- input`, `main`, `add <- main, input` are two layers and what follows on them.

    Args:
        layer: the network.
        place: the nodes and layers that it is in.
        source: what its input is called.
    """
    if isinstance(layer, nn.Graph):
        for node, inputs in layer.wiring():
            given = ", ".join(source if name == "input" else name for name in inputs)
            labels = [*nodes(node.layer, f"{place}.{node.name}".lstrip("."), given)]
            if labels and " <- " not in labels[0]:
                labels[0] += f" <- {given}"
            yield from labels
    elif isinstance(layer, nn.Sequential):
        for i, (part, child) in enumerate(layer.children()):
            inside = isinstance(child, nn.Graph) and len(layer) > 1
            where = f"{place}.{part}".lstrip(".") if inside else place
            yield from nodes(child, where, "input" if i else source)
    else:
        yield from [place] * len(layer.costs())


def _bytes_of(plan: nn.Plan, layer: str) -> int:
    """Memory of what a layer and those inside it keep for a step."""
    return sum(n for name, n in plan.bytes_of.items() if f"{name}.".startswith(f"{layer}."))


def byte_words(count: int) -> str:
    """Bytes in the largest unit that leaves a number above 1."""
    value, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"
