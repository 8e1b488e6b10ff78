"""Learning batch by batch: chunks of rows, one step of the parameters for each batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.psi import Psi
from tagi_cli.backend import Array, Backend, Call, Segment, collective
from tagi_cli.nn.rules import default_cap, emit_step

Host = np.ndarray[Any, Any]

DAMPING = ("auto", "full", "none")

LOW, HIGH = 2.0, 4.0
"""`auto` sets in between these values of `B var / (var + psi)`, on average over the B rows.

Were the rows alike, that is how far undamped steps of many parameters together would go, in units
of the residual.
"""


class Learner:
    """Learns the rows of one data set in batches.

    A batch is run through in chunks of at most `send_size` rows, all with the parameters as they
    were before; what they teach is summed, and one step made of it. So chunks do not change the
    result, as long as no layer uses statistics of its batch.

    Args:
        layer: the network, already built in `parameters`.
        parameters: its store.
        psi: error variances of its outputs.
        x: inputs `(n, I)`.
        y: targets `(n, K)`, NaN where missing.
        batch_size: rows of a step.
        send_size: rows that are run through at a time; None takes the whole batch.
        rule: update rule, one of `tagi_cli.nn.rules.RULES`.
        damping: one of `DAMPING`: whether the rows of a batch count as telling the same. `auto`
            does so, output by output, while steps might overshoot.
        min_var: floor of the learnt error variances.
        cap: divisor of the capped rules; None takes it from `batch_size`.
        share: how far rows count as telling the same, `(K,)`; None makes it.
    """

    def __init__(
        self,
        layer: nn.Layer,
        parameters: nn.Parameters,
        psi: Psi,
        x: Host,
        y: Host,
        *,
        batch_size: int,
        send_size: int | None = None,
        rule: str = "information",
        damping: str = "auto",
        min_var: float = 1e-6,
        cap: float | None = None,
        share: Array | None = None,
    ) -> None:
        backend = parameters.backend
        self.layer = layer
        self.parameters = parameters
        self.psi = psi
        self.rows = len(x)
        self.batch_size = batch_size
        self._send_size = min(send_size or batch_size, batch_size)
        self._rule = rule
        self._damping = damping
        self._min_var = min_var
        self._cap = default_cap(rule, batch_size) if cap is None else cap
        self._backend = backend
        self._x, self._y = backend.resident(x), backend.resident(y)
        self._order = backend.zeros((self.rows,), np.int32)
        self._cursor = backend.zeros((1,), np.int32)
        self._scores = backend.zeros((psi.size, 3), np.float64)
        self._share = first_share(backend, psi.size, damping) if share is None else share
        self._steps: dict[int, Segment] = {}

    def load(self, order: Host) -> None:
        """Make rows `order` those that the next steps learn, from its beginning."""
        self._order[: len(order)] = self._backend.asarray(order, np.int32)
        self._cursor.fill(0)

    def step(self, rows: int, times: int = 1) -> None:
        """Learn the next `rows` rows of the order in one step; so again, `times` times over."""
        if rows not in self._steps:
            self._steps[rows] = collective.bind(self._backend, self._calls(rows))
        self._steps[rows].run(times)

    def trace_anew(self) -> None:
        """Make steps for what is trainable now, from the next one on."""
        self._steps.clear()

    def start_scores(self) -> None:
        """Set the running scores to zero."""
        self._scores.fill(0)

    @property
    def scores(self) -> Array:
        """Count, sum of negative log densities and of squared errors of each output, `(K, 3)`."""
        return self._scores

    def nll(self) -> float:
        """Sum over what was learnt since `start_scores` of the negative log density before it."""
        return float(self._backend.to_host(self._scores)[:, 1].sum())

    def finite(self) -> bool:
        """Whether all parameters and error variances are finite."""
        xp = self._backend.xp
        arrays = (self.parameters.mu, self.parameters.var, self.psi.mean, self.psi.variance)
        return all(bool(xp.isfinite(array).all()) for array in arrays)

    def _calls(self, rows: int) -> list[Call]:
        """The calls of a step."""
        K = self.psi.size
        step = nn.Plan(self._backend, self.parameters, rows, training=True, differentiable=True)
        y = step.empty((rows, K))
        mu, var = step.empty((rows, K)), step.empty((rows, K))
        full, rest = divmod(rows, self._send_size)
        chunks = [self._send_size] * full + ([rest] if rest else [])
        plans: dict[tuple[int, bool], _Chunk] = {}
        calls: list[Call] = []
        start = 0
        for i, size in enumerate(chunks):
            key = (size, i > 0)
            if key not in plans:
                plans[key] = _Chunk(self.layer, self.parameters, size, further=i > 0)
            calls += plans[key].gather(self._x, self._order, self._cursor)
            plan = plans[key].plan
            part = slice(start, start + size)
            plan.call("gather_rows", y[part], self._y, self._order, self._cursor, size, K)
            d_mu, d_var = plan.output.innovation()
            plan.call(
                "damped_update", d_mu, d_var, plan.output.mu, plan.output.var, y[part],
                self.psi.mean, self._share, float(rows - 1), size, K,
            )  # fmt: skip
            plan.call(
                "copy_columns", mu[part], var[part], plan.output.mu, plan.output.var, 1, size * K,
                size * K, 0, 0, size * K, 0,
            )  # fmt: skip
            plan.call("advance", self._cursor, size)
            calls += [*plan.take(), *plans[key].backward]
            start += size
        self._finish(step, mu, var, y)
        return calls + step.take()

    def _finish(self, step: nn.Plan, mu: Array, var: Array, y: Array) -> None:
        """Emit what is done once for a batch: score it, learn psi, step the parameters."""
        rows, K = y.shape
        step.call("gaussian_score", self._scores, mu, var, y, self.psi.mean, rows, K)
        if self._damping == "auto":
            bounds = (LOW / rows, HIGH / rows)
            step.call("damping_share", self._share, var, y, self.psi.mean, *bounds, rows, K)
        self.psi.emit(step, mu, var, y, self._min_var)
        step.add_to_earlier()
        step.clear_unused()
        count = self._backend.asarray([rows])
        emit_step(step, self.parameters, self._rule, self._cap, count)


def first_share(backend: Backend, outputs: int, damping: str) -> Array:
    """How far the rows of the first batch count as telling the same, by output."""
    return backend.asarray(np.full(outputs, 0.0 if damping == "none" else 1.0))


class _Chunk:
    """The traced passes of a chunk: the first of a batch, or a further one that adds to it."""

    def __init__(
        self, layer: nn.Layer, parameters: nn.Parameters, rows: int, *, further: bool
    ) -> None:
        backend = parameters.backend
        assert layer.input_shape is not None
        plan = nn.Plan(backend, parameters, rows, training=True, differentiable=True)
        plan.input = plan.value(layer.input_shape, certain=True, wanted=False)
        plan.output = layer.trace(plan, plan.input)
        plan.output.send()
        self.plan = plan
        self._forward = plan.take()
        if further:
            plan.add_to_earlier()
        plan.emit_backward()
        if not further:
            plan.clear_unused()
        self.backward = plan.take()

    def gather(self, x: Array, order: Array, cursor: Array) -> list[Call]:
        """Bring rows from the cursor on, and run them forward."""
        plan, mu = self.plan, self.plan.input.mu
        plan.call("gather_rows", mu, x, order, cursor, mu.shape[0], x.shape[1])
        return plan.take() + self._forward
