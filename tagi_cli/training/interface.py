"""What the trainer asks of its neighbours: a learner per ensemble member, rows, and a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError

Floats = NDArray[np.float64]
Order = NDArray[np.int64]
Tensors = dict[str, NDArray[Any]]
Scores = dict[str, Floats]
"""Prequential sums over the observed values of each output, `(K,)` each: count, nll_sum, se_sum."""


class NumericalError(UserError):
    """The moments left the range in which the formulas hold: NaN, infinity, a negative variance."""


class Prediction(NamedTuple):
    """Moments that one member predicts for n rows and K outputs, `(n, K)` each, scaled units."""

    mu: Floats
    var_epistemic: Floats
    var_noise: Floats


class Learner(Protocol):
    """One ensemble member: a network, its observation noise and update rule, bound to data."""

    def bind(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        """Take the rows to train on: inputs `(n, ...)` and targets `(n, K)`, NaN where missing."""

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """Set the noise schedule for `epoch` (from 0), and the running scores to zero or `scores`.

        `scores` are those of an epoch that is taken up again in its middle.
        """

    def train(self, order: Order, begin: int, end: int) -> None:
        """Learn rows `order[begin:end]` in consecutive batches; only the last may be short.

        The result does not depend on where `[begin, end)` is cut, if cuts are at whole batches.
        """

    def scores(self) -> Scores:
        """Running sums since `start_epoch`; each batch is scored before it is learnt."""

    def predict(self, x: NDArray[Any]) -> Prediction:
        """Predict the outputs of rows `x`."""

    def state_dict(self) -> Tensors:
        """Copies of all that the next batch depends on, as named arrays."""

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state_dict` gave."""

    def health(self) -> Mapping[str, Any]:
        """Per layer: counts of floored variances and the like."""

    def check_finite(self, epoch: int) -> None:
        """Look for NaN, infinity and negative variances.

        Raises:
            NumericalError: there are some; the message names the layer and `epoch` (from 1).
        """


MakeLearner = Callable[[int, np.random.Generator], Learner]
"""Builds a fresh member from its number and the Generator of its initial values."""


class Rows(Protocol):
    """Rows to train on or to score: inputs, and targets with NaN for what is missing."""

    @property
    def x(self) -> NDArray[Any]:
        """Inputs `(n, ...)`."""

    @property
    def y(self) -> NDArray[Any]:
        """Targets `(n, K)`."""

    def __len__(self) -> int: ...


class Dataset(Protocol):
    """The parts that training needs; the validation part may be empty."""

    @property
    def train(self) -> Rows:
        """Rows to learn."""

    @property
    def valid(self) -> Rows:
        """Rows that choose the number of epochs."""

    def merged(self) -> Rows:
        """Training and validation rows together, for refitting."""
