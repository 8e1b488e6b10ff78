"""`tagi show`: layers, shapes, parameters, memory and arithmetic of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli.backend import Backend
from tagi_cli.data import Encoder
from tagi_cli.experiment.members import MakeMember
from tagi_cli.experiment.settings import Settings
from tagi_cli.nn.layer import Cost
from tagi_cli.training.learner import Learner


@dataclass(frozen=True)
class Summary:
    """A network in figures.

    Attributes:
        layers: one entry per layer; floating-point operations per row of a training step.
        members: networks of this kind in the ensemble.
        batch_size: rows per step.
        parameter_bytes: memory of all members' parameters: means, variances, and what a step adds
            to them.
        activation_bytes: memory of one step's activations, innovations and scratch, all members.
        backend: what it runs on, in words.
    """

    layers: tuple[Cost, ...]
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
    def flops(self) -> int:
        """Floating-point operations of one training step of the whole ensemble."""
        return self.members * self.batch_size * sum(layer.flops for layer in self.layers)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per layer for tables."""
        return [
            {
                "layer": layer.name,
                "output": " x ".join(str(size) for size in layer.output),
                "parameters": layer.parameters,
                "FLOPs per row": layer.flops,
            }
            for layer in self.layers
        ]


def summarise(settings: Settings, encoder: Encoder, backend: Backend) -> Summary:
    """The network that `settings` describe, for data like that of `encoder`, on `backend`.

    Raises:
        UserError: the layers do not fit the data.
    """
    learner = MakeMember(settings, encoder, backend)(0, np.random.default_rng(0))
    members, batch_size = settings.ensemble.size, settings.data.rows_per_update()
    return Summary(
        tuple(learner.layer.costs()),
        members,
        batch_size,
        members * learner.parameters.size * 4 * backend.dtype.itemsize,
        members * step_bytes(learner, batch_size),
        backend.describe(),
    )


def step_bytes(learner: Learner, batch_size: int) -> int:
    """Memory that the plan of one training step owns, found by tracing it."""
    from tagi_cli import nn

    plan = nn.Plan(
        learner.backend, learner.parameters, batch_size, training=True, differentiable=True
    )
    plan.input = plan.value(learner.input_shape, certain=True, wanted=False)
    plan.output = learner.layer.trace(plan, plan.input)
    plan.output.send()
    plan.emit_backward()
    plan.take()
    return plan.bytes


def byte_words(count: int) -> str:
    """Bytes in the largest unit that leaves a number above 1."""
    value, units = float(count), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while value >= 1000 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}"
