"""Observation noise: how the error of an observation is known, and the head that it needs.

All variances here are in scaled units, where a target has unit variance on the training part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Array, Backend
from tagi_cli.options import Registry, option

Host = np.ndarray[Any, Any]

registry = Registry("noise")

_SIGMA = (
    "Standard deviation of the observation noise, in units of the target's standard deviation "
    "on the training part."
)


class Noise(ABC):
    """The observation noise of one network.

    Attributes:
        units: output units of the network per target.
    """

    units = 1

    def width(self, outputs: int) -> int:
        """Output units of the network for a number of targets."""
        return self.units * outputs

    def head(self) -> list[nn.Layer]:
        """Layers that follow the network's own."""
        return []

    def start_epoch(self, epoch: int) -> None:  # noqa: B027 (a schedule is optional)
        """Set what depends on the epoch, counted from 0."""

    @property
    def sums(self) -> Sequence[Array]:
        """What `emit` sums over the rows of a batch for `emit_step`."""
        return ()

    @abstractmethod
    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """Emit calls: score the output against `y (B, K)`, condition it, fill `sums`."""

    def emit_step(self, plan: nn.Plan) -> None:  # noqa: B027 (not every noise learns)
        """Emit calls that learn the noise from `sums`, those of all rows of the batch."""

    @abstractmethod
    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """`mu, var_epistemic, var_noise`, each `(n, K)`, from output moments `(n, units K)`."""

    def state_dict(self) -> dict[str, Host]:
        """What the checkpoint keeps of the noise."""
        return {}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:  # noqa: B027 (state is optional)
        """Take over what `state_dict` gave."""


@dataclass(frozen=True)
class ConstantOptions:
    """A known standard deviation, the same in every epoch."""

    sigma_v: float = option(0.2, _SIGMA, above=0)


@dataclass(frozen=True)
class DecayOptions:
    """A standard deviation that shrinks: `max(sigma_v_min, sigma_v * decay**epoch)`."""

    sigma_v: float = option(1.0, _SIGMA + " In the first epoch.", above=0)
    sigma_v_min: float = option(0.1, "Where the decay stops.", above=0)
    decay: float = option(0.95, "Factor per epoch.", above=0, maximum=1)

    def faults(self) -> list[str]:
        """A floor above the start leaves nothing to decay."""
        return _floor_faults(self)


def _floor_faults(options: DecayOptions | LearnedOptions) -> list[str]:
    if options.sigma_v_min <= options.sigma_v:
        return []
    return [
        f"noise.sigma_v_min: found {options.sigma_v_min:g}. Allowed: at most noise.sigma_v, "
        f"{options.sigma_v:g}"
    ]


class ScheduledNoise(Noise):
    """Noise given from outside: `sigma(epoch) = max(minimum, start * decay**epoch)`."""

    def __init__(
        self, backend: Backend, outputs: int, start: float, minimum: float, decay: float
    ) -> None:
        self._schedule = (start, minimum, decay)
        self.var_v = backend.zeros((outputs,))
        self._backend = backend
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set the noise of an epoch."""
        start, minimum, decay = self._schedule
        self.var_v.fill(max(minimum, start * decay**epoch) ** 2)

    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """See `Noise.emit`."""
        emit_gaussian(plan, y, self.var_v, scores)

    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """See `Noise.split`."""
        noise = self._backend.to_host(self.var_v).astype(np.float64)
        return mu, var, np.broadcast_to(noise, mu.shape)

    def state_dict(self) -> dict[str, Host]:
        """The variance in force."""
        return {"noise.var_v": self._backend.to_host(self.var_v)}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over the variance in force."""
        self._backend.write(self.var_v, values["noise.var_v"])


@dataclass(frozen=True)
class LearnedOptions:
    """One variance per output, inferred in closed form (batch AGVI)."""

    sigma_v: float = option(1.0, _SIGMA + " Prior: its square is the prior mean.", above=0)
    sigma_v_min: float = option(
        0.001, "Floor of the learnt standard deviation, in the same units.", above=0
    )

    def faults(self) -> list[str]:
        """A floor above the prior leaves the prior without effect."""
        return _floor_faults(self)


@dataclass(frozen=True)
class AutoOptions(LearnedOptions):
    """`heteroscedastic` where an `mlp` learns real targets of a plain table, else `learned`.

    It is `learned` there, too, if an option of it is set, `arch.output_activation` is, or
    `trainer.online` is true.
    """


class LearnedNoise(Noise):
    """One error variance per output with mean `m` and variance `q`, learnt from the residuals."""

    def __init__(self, backend: Backend, outputs: int, options: LearnedOptions) -> None:
        prior = options.sigma_v**2
        self._backend = backend
        self._minimum = options.sigma_v_min**2
        # Prior standard deviation equal to the mean: vague, and 1 in standardised units by default.
        self.mean = backend.asarray(np.full(outputs, prior))
        self.variance = backend.asarray(np.full(outputs, prior**2))
        self._sums = backend.zeros((outputs, 3), np.float64)

    @property
    def sums(self) -> Sequence[Array]:
        """Per output the count, and sums of means and variances of squared errors."""
        return (self._sums,)

    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """See `Noise.emit`. The output and the noise are conditioned on the same prior moments."""
        output = plan.output
        emit_gaussian(plan, y, self.mean, scores)
        B, K = plan.batch, self.mean.size
        plan.call("noise_statistics", self._sums, output.mu, output.var, y, self.mean, B, K)

    def emit_step(self, plan: nn.Plan) -> None:
        """See `Noise.emit_step`."""
        K = self.mean.size
        plan.call("noise_step", self.mean, self.variance, self._sums, self._minimum, K)

    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """See `Noise.split`."""
        noise = self._backend.to_host(self.mean).astype(np.float64)
        return mu, var, np.broadcast_to(noise, mu.shape)

    def state_dict(self) -> dict[str, Host]:
        """Mean and variance of the error variance of each output."""
        host = self._backend.to_host
        return {"noise.mean": host(self.mean), "noise.variance": host(self.variance)}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over mean and variance."""
        self._backend.write(self.mean, values["noise.mean"])
        self._backend.write(self.variance, values["noise.variance"])


@dataclass(frozen=True)
class HeteroscedasticOptions:
    """An error variance that depends on the input, predicted by the network itself (AGVI)."""


class HeteroscedasticNoise(Noise):
    """Each target has two output units: its prediction, and the logarithm of its error variance."""

    units = 2

    def head(self) -> list[nn.Layer]:
        """The exponential of the second unit of each pair."""
        return [nn.EvenExp()]

    def emit(self, plan: nn.Plan, y: Array, scores: Array) -> None:
        """See `Noise.emit`."""
        output = plan.output
        d_mu, d_var, _ = output.send()
        plan.call("heteroscedastic_score", scores, output.mu, output.var, y, *y.shape)
        plan.call("heteroscedastic_update", d_mu, d_var, output.mu, output.var, y, y.size)

    def split(self, mu: Host, var: Host) -> tuple[Host, Host, Host]:
        """See `Noise.split`."""
        return mu[:, ::2], var[:, ::2], mu[:, 1::2]


def emit_gaussian(plan: nn.Plan, y: Array, var_v: Array, scores: Array) -> None:
    """Score the output under noise `var_v (K,)`, and condition it on `y (B, K)`."""
    output = plan.output
    d_mu, d_var, _ = output.send()
    plan.call("gaussian_score", scores, output.mu, output.var, y, var_v, *y.shape)
    plan.call("gaussian_update", d_mu, d_var, output.mu, output.var, y, var_v, y.size, var_v.size)


def _constant(options: ConstantOptions, backend: Backend, outputs: int) -> Noise:
    return ScheduledNoise(backend, outputs, options.sigma_v, options.sigma_v, 1.0)


def _decay(options: DecayOptions, backend: Backend, outputs: int) -> Noise:
    return ScheduledNoise(backend, outputs, options.sigma_v, options.sigma_v_min, options.decay)


def _learned(options: LearnedOptions, backend: Backend, outputs: int) -> Noise:
    return LearnedNoise(backend, outputs, options)


def _heteroscedastic(options: HeteroscedasticOptions, backend: Backend, outputs: int) -> Noise:
    return HeteroscedasticNoise()


registry.register("auto", AutoOptions, _learned)
registry.register("constant", ConstantOptions, _constant)
registry.register("decay", DecayOptions, _decay)
registry.register("heteroscedastic", HeteroscedasticOptions, _heteroscedastic)
registry.register("learned", LearnedOptions, _learned)
