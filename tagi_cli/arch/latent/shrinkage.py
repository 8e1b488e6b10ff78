"""Priors that learn how strong they are: relevance of rows or columns (ARD), and the lasso's.

After each epoch the prior of every entry is replaced by a normal with mean zero and a new precision
`alpha`, in closed form: with natural parameters `lambda = 1/var`, `eta = mu/var`,
`lambda' = lambda - alpha_old + alpha`, `eta' = eta - alpha_old mu_old`. Data seen in E epochs count
E times, so `alpha` is found from `E var` and multiplied by E.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import host_copy

Host = np.ndarray[Any, Any]

ROWS = ("row", "column")
"""Of a matrix of modes (variables, latents): a variable, or a latent."""


class Shrinkage(ABC):
    """How precise the priors of entries are, given their posterior."""

    @abstractmethod
    def precision(self, mu: Host, var: Host) -> Host:
        """Prior precisions of a matrix of modes (variables, latents) with moments `mu, var`."""


@dataclass(frozen=True)
class ARD(Shrinkage):
    """One precision for each row (variables) or column (latents), with a Gamma prior.

    `alpha = (a + n/2) / (b + sum(mu^2 + var)/2)` over the n entries that share it (MacKay 1994,
    Tipping 2001).

    Attributes:
        by: `row` selects variables, `column` the number of latents.
        a: shape of the Gamma prior.
        b: its rate.
    """

    by: str = "row"
    a: float = 1e-3
    b: float = 1e-3

    def __post_init__(self) -> None:
        if self.by not in ROWS:
            raise ValueError(f"ARD by '{self.by}'. Allowed: {', '.join(ROWS)}")
        if self.a < 0 or self.b <= 0:
            raise ValueError(f"ARD with a={self.a:g}, b={self.b:g}. Allowed: a from 0, b above 0")

    def precision(self, mu: Host, var: Host) -> Host:
        """See `Shrinkage.precision`."""
        axis = 1 if self.by == "row" else 0
        total = (mu**2 + var).sum(axis=axis, keepdims=True)
        alpha = (self.a + 0.5 * mu.shape[axis]) / (self.b + 0.5 * total)
        return np.broadcast_to(alpha, mu.shape)


@dataclass(frozen=True)
class Lasso(Shrinkage):
    """A Laplace prior of rate b on each entry, as the normal that bounds it best.

    `alpha = b / sqrt(mu^2 + var)`, the variational bound of the Laplace density (Girolami 2001).

    Attributes:
        rate: b.
    """

    rate: float

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"lasso of rate {self.rate:g}. Allowed: above 0")

    def precision(self, mu: Host, var: Host) -> Host:
        """See `Shrinkage.precision`."""
        size = np.sqrt(np.maximum(mu**2 + var, np.finfo(np.float64).tiny))
        return np.asarray(self.rate / size)


class Shrunk:
    """A matrix of modes under shrinkage, and the prior that its posterior contains.

    Args:
        parameter: the modes; its present values are the prior.
        kind: how the prior is renewed.
        transposed: whether the parameter holds latents by variables.
    """

    def __init__(
        self, parameter: nn.Parameter, kind: Shrinkage, *, transposed: bool = False
    ) -> None:
        self.parameter = parameter
        self.kind = kind
        self._transposed = transposed
        mu, var = self._moments()
        self._mean = mu
        self._precision = np.divide(1.0, var, out=np.zeros_like(var), where=var > 0)

    def _moments(self) -> Sequence[Host]:
        arrays = (host_copy(self.parameter.mu), host_copy(self.parameter.var))
        return [np.asarray(a.T if self._transposed else a, np.float64) for a in arrays]

    def renew(self, epochs: int) -> None:
        """Give the entries their new prior, after `epochs` passes over the data.

        Entries whose posterior would not be proper, and those that are certain, keep their prior.
        """
        mu, var = self._moments()
        alpha = epochs * self.kind.precision(mu, epochs * var)
        own = np.divide(1.0, var, out=np.zeros_like(var), where=var > 0)
        precision = own - self._precision + alpha
        proper = (var > 0) & (precision > 0)
        shift = own * mu - self._precision * self._mean
        new_var = np.divide(1.0, precision, out=var.copy(), where=proper)
        new_mu = np.where(proper, new_var * shift, mu)
        self._precision = np.where(proper, alpha, self._precision)
        self._mean = np.where(proper, 0.0, self._mean)
        moments = (a.T if self._transposed else a for a in (new_mu, new_var))
        self.parameter.assign(*moments)

    def state(self) -> tuple[Host, Host]:
        """Mean and precision of the prior that the posterior contains."""
        return self._mean, self._precision

    def restore(self, mean: Host, precision: Host) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: another shape.
        """
        if mean.shape != self._mean.shape or precision.shape != self._mean.shape:
            raise ValueError(f"prior of shape {mean.shape}, expected {self._mean.shape}")
        self._mean, self._precision = mean.astype(np.float64), precision.astype(np.float64)
