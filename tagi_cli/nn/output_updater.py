"""Conditioning a network's output on observations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.backend import Array, Segment
from tagi_cli.nn.network import Network, Passes


class OutputUpdater:
    """Writes the innovations of a network's output given observations.

    Works on the output of the latest forward call; `Network.backward` then sends the innovations
    back. A target that is NaN is missing: nothing is learnt from it.

    Args:
        network: the network whose output is observed.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._bound: dict[tuple[int, str, int], tuple[Segment, list[Array]]] = {}

    def _run(self, kernel: str, inputs: list[tuple[Any, Any]], *sizes: int) -> None:
        """Bind the kernel to the current plan once, fill its input buffers, run it."""
        passes: Passes = self.network.current
        plan, backend = passes.plan, self.network.backend
        key = (id(plan), kernel, sizes[-1])
        if key not in self._bound:
            output = plan.output
            buffers = [plan.empty((np.size(data),), dtype) for data, dtype in inputs]
            d_mu, d_var = output.innovation()
            plan.call(kernel, d_mu, d_var, output.mu, output.var, *buffers, *sizes)
            self._bound[key] = (backend.bind(plan.take()), buffers)
        segment, buffers = self._bound[key]
        for buffer, (data, _) in zip(buffers, inputs, strict=True):
            backend.write(buffer, data)
        segment.run()

    def update(self, y: Any, var_v: Any) -> None:
        """Observe `y = output + V`, `V ~ N(0, var_v)`.

        Args:
            y: as many values as the output has, NaN where missing.
            var_v: error variance, for each element, for each output unit, or one number.

        Raises:
            ValueError: a size does not fit the output.
        """
        n = self.network.current.plan.output.mu.size
        var_v = np.atleast_1d(np.asarray(var_v))
        if np.size(y) != n:
            raise ValueError(f"the output has {n} values, the observations {np.size(y)}")
        if n % max(var_v.size, 1):
            raise ValueError(f"the output has {n} values, the error variances {var_v.size}")
        self._run("gaussian_update", [(y, None), (var_v, None)], n, var_v.size)

    def update_heteros(self, y: Any) -> None:
        """Observe `y` with an error variance that the network itself predicts (AGVI).

        The output alternates between a prediction and its error variance (`EvenExp` is the last
        layer); `y` has half as many values.

        Raises:
            ValueError: `y` does not have half as many values as the output.
        """
        output = self.network.current.plan.output
        if 2 * np.size(y) != output.mu.size:
            raise ValueError(
                f"the output has {output.mu.size} values in pairs, the observations {np.size(y)}"
            )
        self._run("heteroscedastic_update", [(y, None)], np.size(y))

    def update_using_indices(self, y: Any, var_v: Any, index: Any) -> None:
        """Observe the outputs listed in `index`, counted from 1, the same number in each row.

        Args:
            y: observations, `(B, n_obs)`.
            var_v: error variances, at least as many.
            index: output units, `(B, n_obs)`.

        Raises:
            ValueError: sizes do not fit, or an index lies outside the output.
        """
        plan = self.network.current.plan
        B, n = plan.batch, np.size(y)
        K = plan.output.mu.size // max(B, 1)
        index = np.asarray(index, np.int32).ravel()
        if n % max(B, 1) or index.size != n or np.size(var_v) < n:
            raise ValueError(
                f"{B} rows: {n} observations, {index.size} indices and {np.size(var_v)} "
                "variances do not fit"
            )
        if index.size and not (index.min() >= 1 and index.max() <= K):
            raise ValueError(
                f"index from {index.min()} to {index.max()}: the output has units 1 to {K}"
            )
        var_v = np.asarray(var_v).ravel()[:n]
        self._run(
            "indexed_update", [(y, None), (var_v, None), (index, np.int32)], B, K, n // max(B, 1)
        )
