"""Conditioning a network's output on observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.backend import Array, Segment, collective
from tagi_cli.nn.network import Network, Passes
from tagi_cli.nn.variances import NEVER, NegativeFlag, refuse_negative

_WHAT = "error variances"


class _Update(NamedTuple):
    """An update bound to a plan: its input buffers (None where not needed), and how to run it."""

    y: Array
    var_v: Any
    index: Any
    once: Callable[[], None]
    segment: Segment
    negative: memoryview
    flag: Any


class OutputUpdater:
    """Writes the innovations of a network's output given observations.

    Works on the output of the latest forward call; `Network.backward` then sends the innovations
    back. A target that is NaN is missing: nothing is learnt from it.

    Args:
        network: the network whose output is observed.
    """

    def __init__(self, network: Network) -> None:
        self.network = network

    def update(self, y: Any, var_v: Any) -> None:
        """Observe `y = output + V`, `V ~ N(0, var_v)`.

        Args:
            y: as many values as the output has, NaN where missing.
            var_v: error variance, for each element, for each output unit, or one number.

        Raises:
            ValueError: a size does not fit the output, or a variance is negative.
        """
        passes = self.network.current
        try:
            bound = passes.bound[y.shape, var_v.shape]
        except (KeyError, AttributeError):
            y, var_v = np.asarray(y), np.asarray(var_v)
            bound = passes.bound.get((y.shape, var_v.shape)) or self._gaussian(passes, y, var_v)
        if self.network.direct:
            bound.y[...] = y
            bound.var_v[...] = var_v
            bound.once()
            if bound.negative[0]:
                bound.flag.refuse()
        else:
            self._run(bound, y, var_v)

    def _gaussian(self, passes: Passes, y: Any, var_v: Any) -> _Update:
        n = passes.plan.output.mu.size
        if y.size != n:
            raise ValueError(f"the output has {n} values, the observations {y.size}")
        if n and (not var_v.size or n % var_v.size):
            raise ValueError(f"the output has {n} values, the error variances {var_v.size}")
        return self._bind(
            passes, "gaussian_update", (y.shape, var_v.shape), y.shape, var_v.shape, (),
            n, max(var_v.size, 1),
        )  # fmt: skip

    def update_heteros(self, y: Any) -> None:
        """Observe `y` with an error variance that the network itself predicts (AGVI).

        The output alternates between a prediction and its error variance (`EvenExp` is the last
        layer); `y` has half as many values.

        Raises:
            ValueError: `y` does not have half as many values as the output.
        """
        passes, y = self.network.current, np.asarray(y)
        bound = passes.bound.get(("heteros", y.shape))
        if bound is None:
            n = passes.plan.output.mu.size
            if 2 * y.size != n:
                raise ValueError(f"the output has {n} values in pairs, the observations {y.size}")
            bound = self._bind(
                passes, "heteroscedastic_update", ("heteros", y.shape), y.shape, None, (), y.size
            )
        self._run(bound, y)

    def update_classes(self, y: Any) -> None:
        """Observe the classes of rows whose output are class probabilities.

        What is seen of a class is 1 with its probability `p` and else 0, of variance `p (1 - p)`.

        Args:
            y: one-hot rows of the output's shape; a row of NaN is missing.

        Raises:
            ValueError: a size does not fit the output.
        """
        passes, y = self.network.current, np.asarray(y)
        shape = passes.plan.output.mu.shape
        if y.size != passes.plan.output.mu.size:
            raise ValueError(f"the output is {tuple(shape)}, the one-hot labels {y.shape}")
        bound = passes.bound.get(("classes", y.shape))
        if bound is None:
            K = shape[-1]
            bound = self._bind(
                passes,
                "categorical_update",
                ("classes", y.shape),
                y.shape,
                None,
                (),
                0.0,
                y.size // K,
                K,
            )
        self._run(bound, y)

    def update_using_indices(self, y: Any, var_v: Any, index: Any) -> None:
        """Observe the outputs listed in `index`, counted from 1, the same number in each row.

        Args:
            y: observations, `(B, n_obs)`.
            var_v: error variances, at least as many; the first ones are used.
            index: output units, `(B, n_obs)`; an index 0 stands for no observation.

        Raises:
            ValueError: sizes do not fit, an index lies outside the output, or a variance is
                negative.
        """
        passes = self.network.current
        B, units = passes.plan.batch, passes.plan.output.shape
        y, var_v, index = np.ravel(y), np.ravel(var_v), np.asarray(index, np.int32).ravel()
        n, K = y.size, int(np.prod(units))
        if n % max(B, 1) or index.size != n or var_v.size < n:
            raise ValueError(
                f"{B} rows: {n} observations, {index.size} indices and {var_v.size} variances do "
                "not fit"
            )
        if index.size and not (index.min() >= 0 and index.max() <= K):
            raise ValueError(
                f"index from {index.min()} to {index.max()}: the output has units 1 to {K}"
            )
        bound = passes.bound.get(("indices", n))
        if bound is None:
            bound = self._bind(
                passes, "indexed_update", ("indices", n), (n,), (n,), (n,), B, K, n // max(B, 1)
            )
        self._run(bound, y, var_v[:n], index)

    def _bind(
        self,
        passes: Passes,
        kernel: str,
        key: Any,
        y_shape: tuple[int, ...],
        var_shape: tuple[int, ...] | None,
        index_shape: tuple[int, ...],
        *sizes: float,
    ) -> _Update:
        """Bind an update, and the trailing activation's backward, to the passes' plan."""
        plan, backend = passes.plan, self.network.backend
        y = plan.empty(y_shape)
        var_v = None if var_shape is None else plan.empty(var_shape)
        index = plan.empty(index_shape, np.int32) if index_shape else None
        inputs = [buffer for buffer in (y, var_v, index) if buffer is not None]
        output = plan.output
        flag = None if var_v is None else NegativeFlag(plan, var_v, _WHAT)
        plan.call(kernel, *output.innovation(), output.mu, output.var, *inputs, *sizes)
        segment = collective.bind(backend, [*plan.take(), *passes.trailing])
        negative = NEVER if flag is None else flag.set
        bound = _Update(y, var_v, index, segment.once, segment, negative, flag)
        passes.bound[key] = bound
        return bound

    def _run(self, bound: _Update, y: Any, var_v: Any = None, index: Any = None) -> None:
        write = self.network.backend.write
        if var_v is not None:
            if bound.negative is NEVER:
                refuse_negative(var_v, _WHAT)
            write(bound.var_v, var_v)
        write(bound.y, y)
        if index is not None:
            write(bound.index, index)
        bound.once()
        if bound.negative[0]:
            bound.flag.refuse()
