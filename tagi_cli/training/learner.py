"""One network with its noise and update rule: learns batches of rows, and predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend, Segment, collective
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.distributed.partition import lanes
from tagi_cli.errors import UserError
from tagi_cli.nn.layers.batch_norm import local_averages
from tagi_cli.nn.rules import default_cap, emit_step
from tagi_cli.nn.shard import Shard, Sums
from tagi_cli.options import Kind
from tagi_cli.training import calibration, sampling, tracking
from tagi_cli.training.batches import Batches
from tagi_cli.training.health import LayerHealth, measure
from tagi_cli.training.interface import Indices, NumericalError, Prediction, Scores, Values
from tagi_cli.training.lanes import CarriedRows
from tagi_cli.training.prediction import ROWS_AT_ONCE, rows_at_once
from tagi_cli.training.step_calls import StepCalls

Host = np.ndarray[Any, Any]

# Plans of short batches that are kept: an epoch has at most one, of a size that may change.
_SHORT = 2


class Learner:
    """A member of an ensemble: network, observation noise and update rule.

    Args:
        build: gives the network's layer for a number of output units.
        input_shape: shape of one row of input.
        outputs: number of targets `K`.
        noise: kind of noise and its options, from `tagi_cli.training.noise.registry`.
        update_rule: one of `tagi_cli.nn.rules.RULES`.
        cap: divisor of the capped rules; None takes it from `batch_size`.
        batch_size: rows learnt at a time.
        rng: draws the prior means.
        backend: where it runs.
        stride: places from a row of a series to the one that goes on from its states.
        ranks: who shares each batch; all of them build, bind, train, save and load together.
        sync_batchnorm: whether batch normalisation takes the statistics of all ranks' rows.

    Raises:
        UserError: the layers do not fit the data, or a batch has fewer rows than there are ranks.
    """

    def __init__(
        self,
        build: Callable[[int], nn.Layer],
        input_shape: tuple[int, ...],
        outputs: int,
        *,
        noise: tuple[Kind, Any],
        update_rule: str,
        cap: float | None,
        batch_size: int,
        rng: np.random.Generator,
        backend: Backend,
        stride: int = 1,
        ranks: Communicator = ALONE,
        sync_batchnorm: bool = True,
    ) -> None:
        kind, options = noise
        self.backend = backend
        self.outputs = outputs
        self.batch_size = batch_size
        self.noise = kind.build(options, backend, outputs)
        self.input_shape = tuple(input_shape)
        body = build(self.noise.width(outputs))
        layers = list(body) if isinstance(body, nn.Sequential) else [body]
        self.layer = nn.Sequential(*layers, *self.noise.head())
        self._ranks = ranks
        self._lanes = lanes(batch_size, ranks.rank, ranks.size)
        carried = tracking.carried_rows(self.layer, self._lanes.rows(batch_size))
        self.parameters = nn.Parameters(backend, carried)
        try:
            self.layer.build(self.input_shape, self.parameters, rng)
        except nn.ShapeError as error:
            raise UserError(f"arch: {error}") from None
        self.parameters.allocate()
        self._prior_var = {n: float(t.var.mean()) for n, t in self.parameters.tensors.items()}
        self._rule = update_rule
        self._cap = default_cap(update_rule, batch_size) if cap is None else cap
        self._scores = backend.zeros((outputs, 3), np.float64)
        self._factors: Host | None = None
        self._steps: dict[int, Segment] = {}
        self._predictors: dict[tuple[int, bool], tuple[nn.Plan, Segment]] = {}
        self._batches: Batches | None = None
        self.tracking: tracking.Tracking | None = None
        if tracking.tracks(self.layer):
            self.tracking = tracking.Tracking(self.layer, self.parameters, stride, ranks)
        self._sums: Sums | None = None
        self._shard: Shard | None = None
        self._carried = CarriedRows(self.layer, self.parameters, ranks, self._lanes, batch_size)
        if ranks.size > 1:
            self._share(synced=sync_batchnorm)
        self._seed = int(rng.integers(2**31))
        most = rows_at_once(self.layer, backend.dtype.itemsize)
        self._chunk = min(most, self._lanes.rows(batch_size)) if carried > 1 else most

    def _share(self, *, synced: bool) -> None:
        """Make ranks begin alike, and have room for what they sum in each step."""
        store, ranks = self.parameters, self._ranks
        own = local_averages(self.layer, synced=synced)
        self._shard = Shard(ranks, self._lanes.first, synced)
        self._sums = Sums(ranks, store, self.noise.sums, own)
        for array in (store.mu, store.var, *self._carried.common()):
            ranks.broadcast(array)

    @property
    def tracks(self) -> bool:
        """Whether states are carried from batch to batch, so that the order of rows matters."""
        return self.tracking is not None

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """Set the rows to train on.

        Args:
            x: `(n, *input_shape)`.
            y: `(n, K)`, or windows of K values; NaN where missing.
            index: `(n, 3)` number of the series, of its slice, and place in the slice, for a
                network that tracks its states; None for one series in order.

        Raises:
            UserError: the first layer cannot take a value of `x`.
            ValueError: a window reaches outside its rows.
        """
        self.check_inputs(x)
        self._batches = Batches(self.backend, x, y, self._lanes, self.batch_size, self._seed)
        if self.tracking is not None:
            self.tracking.bind(sampling.one_series(len(x)) if index is None else index)
        self._steps.clear()

    def check_inputs(self, x: Values) -> None:
        """Raise UserError if the first layer cannot take a value of `x (n, *input_shape)`."""
        check = self.layer.input_check()
        if check is None:
            return
        try:
            for begin in range(0, len(x), ROWS_AT_ONCE):
                check(np.asarray(x[begin : begin + ROWS_AT_ONCE]))
        except ValueError as error:
            raise UserError(
                f"arch: {error}; with data.scaling_method=none the columns arrive as they are"
            ) from None

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """Set the noise of an epoch, counted from 0, and the running scores to zero or `scores`."""
        self.noise.start_epoch(epoch)
        if self._batches is not None:
            self._batches.start_epoch(epoch)
        self._scores.fill(0)
        # What all ranks had is kept by one of them, as ranks are summed.
        if scores is not None and self._ranks.leads:
            columns = [scores[name] for name in ("count", "nll_sum", "se_sum")]
            self.backend.write(self._scores, np.stack(columns, axis=1))

    def train(self, order: Host, begin: int, end: int, follows: Host | None = None) -> None:
        """Learn rows `order[begin:end]` in consecutive batches; only the last may be short.

        Where an epoch is cut into such calls does not matter as long as the cuts are multiples of
        the batch size. `follows[i]` says whether entry i of the order goes on from the states of
        the same row of the batch before; without it none does.
        """
        piece = self._bound().most or max(end - begin, 1)
        for first in range(begin, end, piece):
            self.load(order, first, min(first + piece, end), follows)
            if self.tracking is not None:
                self.tracking.begin()
            full, rest = divmod(min(piece, end - first), self.batch_size)
            if full:
                self._step(self.batch_size).run(full)
            if rest:
                self._step(rest).run()
            if self.tracking is not None:
                self.tracking.end()

    def load(self, order: Host, begin: int, end: int, follows: Host | None = None) -> None:
        """Make rows `order[begin:end]` the ones that the next steps learn; see `train`.

        Raises:
            RuntimeError: no data are bound.
        """
        self._bound().load(order, begin, end, follows, states=self.tracks)

    def _bound(self) -> Batches:
        if self._batches is None:
            raise RuntimeError("bind the data first")
        return self._batches

    def _step(self, batch: int) -> Segment:
        """The bound step for a batch size; of short batches the last few are kept."""
        if batch not in self._steps:
            self._steps[batch] = collective.bind(self.backend, self.step_calls(batch).all())
            short = [size for size in self._steps if size != self.batch_size]
            if len(short) > _SHORT:
                del self._steps[short[0]]
        return self._steps[batch]

    def step_calls(self, batch: int) -> StepCalls:
        """The calls of a step that learns the next `batch` rows, of all ranks, traced anew.

        Raises:
            RuntimeError: no data are bound.
        """
        batches, own = self._bound(), self._lanes.rows(batch)
        plan = nn.Plan(
            self.backend, self.parameters, own, training=True, differentiable=True,
            shard=self._shard,
        )  # fmt: skip
        ends = [0]
        plan.input = plan.value(self.input_shape, certain=True, wanted=False)
        y = plan.empty((own, self.outputs))
        batches.emit(plan, plan.input.mu, y)
        if self.tracking is not None:
            self.tracking.emit_follow(plan, batches)
        ends.append(plan.emitted)
        self._trace(plan)
        ends.append(plan.emitted)
        self.noise.emit(plan, y, self._scores)
        if self._sums is None:
            self.noise.emit_step(plan)
        ends.append(plan.emitted)
        plan.emit_backward()
        plan.clear_unused()
        ends.append(plan.emitted)
        if self._sums is not None:
            plan.collective(self._sums.reduce)
            self.noise.emit_step(plan)
        rows = self.backend.asarray([batch])
        emit_step(plan, self.parameters, self._rule, self._cap, rows)
        ends.append(plan.emitted)
        if self.tracking is not None:
            self.tracking.emit_keep(plan, batches)
        plan.call("advance", batches.cursor, own)
        ends.append(plan.emitted)
        calls = plan.take()
        return StepCalls(plan, *(calls[a:b] for a, b in pairwise(ends)))

    def _trace(self, plan: nn.Plan) -> None:
        """Emit the forward pass; steps of an output `(T, K)` become units, one after the other."""
        output = self.layer.trace(plan, plan.input)
        units = nn.flat_size(output.shape)
        plan.output = output if output.shape == (units,) else output.reshape((units,))

    def scores(self) -> Scores:
        """Sums since `start_epoch` per output, each batch scored before it is learnt.

        Returns:
            `count` of observed values, `nll_sum` (natural logarithm) and `se_sum`, `(K,)` each, in
            scaled units.
        """
        sums = self.backend.to_host(self._scores)
        self._ranks.all_reduce(sums)
        count, nll, squared = sums.T
        return {"count": count, "nll_sum": nll, "se_sum": squared}

    def predict(self, x: Values, var_x: Values | None = None) -> Prediction:
        """Predictive moments for `x (n, *input_shape)`, in scaled units, each row by itself.

        Args:
            x: means of the inputs.
            var_x: their variances; None where they are certain.

        Raises:
            UserError: the first layer cannot take a value of `x`.
        """
        self.check_inputs(x)
        n = len(x)
        K = self.noise.width(self.outputs)
        mu, var = np.empty((n, K)), np.empty((n, K))
        for first in range(0, n, self._chunk):
            rows = slice(first, min(first + self._chunk, n))
            plan, forward = self._predictor(rows.stop - rows.start, var_x is None)
            self.backend.write(plan.input.mu, np.asarray(x[rows]))
            if var_x is not None:
                assert plan.input.var is not None
                self.backend.write(plan.input.var, np.asarray(var_x[rows]))
            forward.run()
            assert plan.output.var is not None
            mu[rows] = self.backend.to_host(plan.output.mu)
            var[rows] = self.backend.to_host(plan.output.var)
        return self._moments(mu, var)

    def predict_along(
        self,
        x: Values,
        index: Indices | None,
        pause: Callable[[], bool] = lambda: False,
        *,
        continues: bool = False,
        earliest: Indices | None = None,
        var_x: Values | None = None,
    ) -> Prediction | None:
        """The same for rows of series, carrying states from each to the next.

        States are carried as they are predicted, as there is no observation to learn from.

        Args:
            x: `(n, *input_shape)`.
            index: `(n, 3)` places as in `bind`; None for one series in order.
            pause: asked now and then; True ends it, and None is returned.
            continues, earliest: see `tagi_cli.training.interface.Learner.predict_along`. Where `x`
                are windows, what lies further back goes through those between.
            var_x: variances of the inputs, as windows where they are; None where they are certain.

        Raises:
            UserError: the first layer cannot take a value of `x`.
            ValueError: the network does not track its states.
        """
        if self.tracking is None:
            raise ValueError("the network does not track its states")
        self.check_inputs(x)
        places = sampling.one_series(len(x)) if index is None else index
        found = self.tracking.predict(
            x, places, self._predictor, pause,
            continues=continues, earliest=earliest, var_x=var_x,
        )  # fmt: skip
        return None if found is None else self._moments(*found)

    def _moments(self, mu: Host, var: Host) -> Prediction:
        """The prediction, calibrated, that moments `(n, units K)` of the output stand for."""
        return calibration.scaled(Prediction(*self.noise.split(mu, var)), self._factors)

    def _predictor(self, batch: int, certain: bool = True) -> tuple[nn.Plan, Segment]:
        """The bound forward pass for a number of rows; the few sizes used last are kept."""
        key = batch, certain
        if key in self._predictors:
            self._predictors[key] = self._predictors.pop(key)
        else:
            plan = nn.Plan(
                self.backend, self.parameters, batch, training=False, differentiable=False
            )
            plan.input = plan.value(self.input_shape, certain=certain)
            self._trace(plan)
            self._predictors[key] = (plan, collective.bind(self.backend, plan.take()))
            if len(self._predictors) > 4:
                del self._predictors[next(iter(self._predictors))]
        return self._predictors[key]

    def state_dict(self) -> dict[str, Host]:
        """Host copies of parameters, states, noise, factors and counts of floored variances."""
        floored = self.backend.to_host(self.parameters.floored)
        return {
            **self._carried.gather(self.parameters.state_dict()),
            **self.noise.state_dict(),
            **({} if self.tracking is None else self.tracking.state_dict()),
            **({} if self._factors is None else {calibration.FACTORS: self._factors}),
            "health.floored": floored,
        }

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            KeyError, ValueError: a name is missing or unknown, or a shape differs.
        """
        others = ("noise.", "health.", tracking.PREFIX, calibration.FACTORS)
        own = {k: v for k, v in values.items() if not k.startswith(others)}
        self.parameters.load_state_dict(self._carried.take(own))
        self.noise.load_state_dict(values)
        self._factors = calibration.factors_of(values)
        if self.tracking is not None:
            self.tracking.load_state_dict(values)
        self.backend.write(self.parameters.floored, values["health.floored"])

    def health(self) -> dict[str, LayerHealth]:
        """Per tensor, what training did to its variances."""
        to_host, parameters = self.backend.to_host, self.parameters
        floored = to_host(parameters.floored)
        return measure(parameters.tensors, floored, self._prior_var, to_host)

    def check_finite(self, epoch: int) -> None:
        """Make sure that all parameters are finite and all variances positive or zero.

        Raises:
            NumericalError: naming the tensor and the epoch.
        """
        xp = self.backend.xp
        for name, tensor in self.parameters.tensors.items():
            good = xp.isfinite(tensor.mu) & xp.isfinite(tensor.var) & (tensor.var >= 0)
            if not bool(good.all()):
                raise NumericalError(
                    f"epoch {epoch}: {int((~good).sum())} of {tensor.size} parameters of {name} "
                    "are not finite; try precision=float64, a smaller arch.gain_weight (of "
                    "sequential and graph: arch.init.var_gain), or as trainer.update_rule "
                    "information_capped or site. "
                    "trainer.nan_policy=stop keeps the best epoch before this one"
                )
