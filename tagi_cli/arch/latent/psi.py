"""Error variances of the outputs, one each, learnt group by group."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Array, Backend

Host = np.ndarray[Any, Any]


class Psi:
    """Variance `psi` of each output's error, itself Gaussian with a mean and a variance.

    Attributes:
        mean: means of all outputs, `(K,)`.
        variance: their variances, `(K,)`.
        groups: the same of each output group, as parameters; they are views.

    Args:
        backend: where the arrays live.
        sizes: outputs of each group.
    """

    def __init__(self, backend: Backend, sizes: Sequence[int]) -> None:
        self.backend = backend
        self.size = sum(sizes)
        self.mean: Array = backend.asarray(np.ones(self.size))
        # A standard deviation equal to the mean is vague.
        self.variance: Array = backend.asarray(np.ones(self.size))
        self._sums = backend.zeros((self.size, 3), np.float64)
        ends = list(accumulate(sizes))
        self._parts = [slice(end - n, end) for end, n in zip(ends, sizes, strict=True)]
        self.groups = []
        for h, part in enumerate(self._parts):
            parameter = nn.Parameter(f"psi{h}", np.zeros(sizes[h]), np.zeros(sizes[h]))
            parameter.mu, parameter.var = self.mean[part], self.variance[part]
            self.groups.append(parameter)

    def emit(self, plan: nn.Plan, mu: Array, var: Array | None, y: Array, minimum: float) -> None:
        """Emit calls that learn from outputs with moments `mu, var (B, K)` and targets `y`.

        Only groups that are trainable learn, by batch AGVI, and no mean falls below `minimum`.
        """
        B, K = y.shape
        plan.call("noise_statistics", self._sums, mu, var, y, self.mean, B, K)
        for parameter, part in zip(self.groups, self._parts, strict=True):
            if parameter.trainable:
                plan.call(
                    "noise_step", parameter.mu, parameter.var, self._sums[part], minimum,
                    parameter.size,
                )  # fmt: skip

    def start(self, targets: Host, groups: Collection[int]) -> None:
        """Start groups that are trainable from the variance of their targets `(n, K)`.

        NaN is missing; a target that never varies starts from 1.
        """
        for h in groups:
            if not self.groups[h].trainable:
                continue
            part = targets[:, self._parts[h]]
            known = np.isfinite(part)
            count = np.maximum(known.sum(axis=0), 1)
            mean = np.where(known, part, 0.0).sum(axis=0) / count
            spread = np.where(known, (part - mean) ** 2, 0.0).sum(axis=0) / count
            spread = np.where(spread > 0, spread, 1.0)
            self.groups[h].assign(spread, spread**2)

    def state_dict(self) -> dict[str, Host]:
        """Host copies of means and variances, by group."""
        host = self.backend.to_host
        result = {}
        for parameter in self.groups:
            result[f"{parameter.name}.mu"] = host(parameter.mu)
            result[f"{parameter.name}.var"] = host(parameter.var)
        return result

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave."""
        for parameter in self.groups:
            parameter.assign(values[f"{parameter.name}.mu"], values[f"{parameter.name}.var"])
