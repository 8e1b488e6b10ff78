"""What the trainer asks of its neighbours: a learner per ensemble member, rows, and a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tagi_cli.errors import UserError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
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


class WindowArray(Protocol):
    """Windows `(n, length, C)` of consecutive rows, which are held once.

    Window i are the rows `starts[i]` to `starts[i] + length - 1`, less `center[i]` and divided by
    `scale[i]` where these are given. `np.asarray` makes an array of them.
    """

    @property
    def rows(self) -> NDArray[Any]:
        """`(N, C)`."""

    @property
    def starts(self) -> Indices:
        """`(n,)`."""

    @property
    def length(self) -> int:
        """Rows per window."""

    @property
    def center(self) -> NDArray[Any] | None:
        """`(n, C)`."""

    @property
    def scale(self) -> NDArray[Any] | None:
        """`(n, C)`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, length, C)`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | NDArray[Any]) -> Any: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...


class Variation(Protocol):
    """What training does to each image, drawn anew in each epoch."""

    @property
    def shift(self) -> int:
        """Pixels by which it is moved each way, at most."""

    @property
    def flip(self) -> bool:
        """Whether half of them are mirrored left to right."""

    @property
    def crop(self) -> bool:
        """Whether the place of the crop is drawn; else it is the middle."""


@runtime_checkable
class ImageArray(Protocol):
    """Images `(n, C, h, w)`, or `(n, C * h * w)`, whose bytes are held once, or mapped.

    Image i is a crop of `pixels[rows[i]]`, less `center` and divided by `scale`. `np.asarray` makes
    an array of them, of the middle of each.
    """

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """`(N, H, W, C)` where `interleaved`, else `(N, C, H, W)`."""

    @property
    def interleaved(self) -> bool:
        """How the bytes lie."""

    @property
    def rows(self) -> Indices:
        """`(n,)`."""

    @property
    def whole(self) -> tuple[int, int, int]:
        """`C, H, W`."""

    @property
    def size(self) -> tuple[int, int]:
        """`h, w`."""

    @property
    def center(self) -> NDArray[Any]:
        """`(C,)` or `(C, h, w)`."""

    @property
    def scale(self) -> NDArray[Any]:
        """Of the same shape."""

    @property
    def variation(self) -> Variation:
        """What training does to them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, C, h, w)` or `(n, C * h * w)`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice | NDArray[Any]) -> Any: ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]: ...


Values = NDArray[Any] | WindowArray | ImageArray
"""Inputs or targets of n rows."""


class Learner(Protocol):
    """One ensemble member: a network, its observation noise and update rule, bound to data."""

    @property
    def tracks(self) -> bool:
        """Whether states are carried from batch to batch, so that the order of rows matters."""

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """Take the rows to train on.

        Args:
            x: inputs `(n, ...)`.
            y: targets `(n, K)`, or windows of K values; NaN where missing.
            index: `(n, 3)` places as in `Rows`; None for one series in order.
        """

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """Set the noise schedule for `epoch` (from 0), and the running scores to zero or `scores`.

        `scores` are those of an epoch that is taken up again in its middle.
        """

    def train(
        self, order: Indices, begin: int, end: int, follows: NDArray[np.bool_] | None = None
    ) -> None:
        """Learn rows `order[begin:end]` in consecutive batches; only the last may be short.

        The result does not depend on where `[begin, end)` is cut, if cuts are at whole batches.
        `follows[i]` says whether entry i of the order goes on from the state of the same row of the
        batch before; without it none does.
        """

    def scores(self) -> Scores:
        """Running sums since `start_epoch`; each batch is scored before it is learnt."""

    def predict(self, x: Values, var_x: Values | None = None) -> Prediction:
        """Predict the outputs of rows `x`, each by itself; `var_x` are variances of inputs."""

    def predict_along(
        self,
        x: Values,
        index: Indices | None,
        pause: Callable[[], bool],
        *,
        continues: bool,
        earliest: Indices | None = None,
        var_x: Values | None = None,
    ) -> Prediction | None:
        """Predict rows of series, carrying states from each to the next.

        Args:
            x: inputs `(n, ...)`.
            index: `(n, 3)` places as in `Rows`; None for one series in order.
            pause: asked now and then; True ends it, and None is returned.
            continues: whether these are places in the series that were learnt, and windows of the
                same rows: then what lies behind the last row learnt goes on from its state.
            earliest: `(n,)` the earliest place of each row's slice whose window `x` can show; rows
                go on from a state only where it shows the next one, and what goes on from none
                begins there. None where it shows all.
            var_x: variances of the inputs; None where they are certain.
        """

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
    def x(self) -> Values:
        """Inputs `(n, ...)`."""

    @property
    def y(self) -> Values:
        """Targets `(n, K)`, or windows of K values; scaled."""

    @property
    def center(self) -> Floats:
        """`(1 or n, K)`; a target in original units is `center + scale * y`."""

    @property
    def scale(self) -> Floats:
        """`(1 or n, K)`."""

    @property
    def index(self) -> Indices | None:
        """`(n, 3)` number of the series, of its slice, and place in the slice; None of a table."""

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
