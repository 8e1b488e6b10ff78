"""Running averages: of the values that flow through a layer, and of a network's posterior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from tagi_cli.backend import Segment
from tagi_cli.nn.layer import Cost, Layer, Shape
from tagi_cli.nn.parameters import Host, Parameters, State, flat_size
from tagi_cli.nn.plan import Plan, Value


class _Average(Layer):
    """An average over rows, which are taken as consecutive steps in time."""

    def __init__(self, init_value: float) -> None:
        super().__init__()
        self.init_value = float(init_value)
        self.mu: State | None = None
        self.var: State | None = None

    def _remember(self, parameters: Parameters, shape: Shape) -> None:
        self.mu = parameters.add_state("average_mu", np.full(shape, self.init_value))
        self.var = parameters.add_state("average_var", np.zeros(shape))

    def _emit(self, plan: Plan, x: Value, kernel: str, weight: float | int, last: bool) -> Value:
        """Emit `<kernel>_forward` and hand over `<kernel>_backward`.

        `weight` is what tells one average from another: it stands before the batch size, or, with
        `last`, behind it.
        """
        assert self.mu is not None
        assert self.var is not None
        B, n = plan.batch, flat_size(x.shape)
        sizes = (B, weight, n) if last else (weight, B, n)
        z = plan.value(x.shape, wanted=x.wanted)
        plan.call(
            f"{kernel}_forward", z.mu, z.var, x.mu, x.var, self.mu.value, self.var.value, *sizes
        )

        def backward() -> None:
            if not (x.wanted and z.reached):
                return
            d_mu_z, d_var_z = z.innovation()
            d_mu_x, d_var_x, add = x.send()
            plan.call(f"{kernel}_backward", d_mu_x, d_var_x, d_mu_z, d_var_z, *sizes, add)

        plan.on_backward(backward)
        return z


class MovingAverage(_Average):
    """Mean of the last `buffer_size` rows, which follow each other in time; kept between batches.

    Averages in training and in prediction. Earlier rows count as independent of the present one,
    and innovations reach the rows of the batch only.

    Args:
        buffer_size: number of rows averaged, the present one among them.
        init_value: what the rows before the first one were.
    """

    kind = "moving_average"

    def __init__(self, buffer_size: int, init_value: float = 0.0) -> None:
        super().__init__(init_value)
        if buffer_size < 1:
            raise ValueError(f"MovingAverage({buffer_size}): at least one row is averaged")
        self.buffer_size = buffer_size

    def describe(self) -> str:
        """Name and number of rows."""
        return f"MovingAverage({self.buffer_size})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        self._remember(parameters, (self.buffer_size, *shape))
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        return self._emit(plan, x, "moving_average", self.buffer_size, True)

    def costs(self) -> list[Cost]:
        """Two sums over the buffer per unit, forward and backward."""
        assert self.output_shape is not None
        n = flat_size(self.output_shape)
        return [Cost(self.describe(), self.output_shape, 0, 4 * self.buffer_size * n)]


class ExponentialMovingAverage(_Average):
    """`average = momentum average + (1 - momentum) row`, row by row; kept between batches.

    Rows follow each other in time. Averages in training and in prediction. The average so far
    counts as independent of the present row, and innovations reach the rows of the batch only.

    Args:
        momentum: weight of the average so far.
        init_value: the average before the first row.
    """

    kind = "exponential_moving_average"

    def __init__(self, momentum: float = 0.999, init_value: float = 0.0) -> None:
        super().__init__(init_value)
        if not 0 <= momentum <= 1:
            raise ValueError(f"ExponentialMovingAverage({momentum}): momentum lies in 0 to 1")
        self.momentum = float(momentum)

    def describe(self) -> str:
        """Name and momentum."""
        return f"ExponentialMovingAverage({self.momentum:g})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        self._remember(parameters, shape)
        return shape

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        return self._emit(plan, x, "exponential_average", self.momentum, False)

    def costs(self) -> list[Cost]:
        """A handful of operations per unit."""
        assert self.output_shape is not None
        return [Cost(self.describe(), self.output_shape, 0, 12 * flat_size(self.output_shape))]


class PosteriorAverage:
    """Exponential moving average of a network's posterior, to evaluate with.

    The average is the Gaussian with the mean and variance of the mixture of all posteriors so far,
    the first counting fully and each new one for `1 - momentum`: posteriors of successive steps
    rest on the same data, so averaging does not shrink their variance.

    ```python
    average = PosteriorAverage(net.parameters, momentum=0.99)
    net.step(); average.update()          # in training
    with average.applied(): net(x)        # in prediction
    ```

    Args:
        parameters: the allocated store of the network.
        momentum: weight of the average so far.

    Raises:
        ValueError: momentum outside 0 to 1.
    """

    def __init__(self, parameters: Parameters, momentum: float = 0.999) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f"PosteriorAverage: momentum is {momentum}, it must lie in 0 to 1")
        parameters.allocate()
        self.parameters = parameters
        self.momentum = float(momentum)
        self.mu, self.var = parameters.mu.copy(), parameters.var.copy()
        self._segment: Segment | None = None

    def emit(self, plan: Plan) -> None:
        """Emit the update into a plan, behind the parameter step."""
        store = self.parameters
        plan.call(
            "mixture_average", self.mu, self.var, store.mu, store.var, self.momentum, store.size
        )

    def update(self) -> None:
        """Take in the present posterior."""
        if self._segment is None:
            store = self.parameters
            plan = Plan(store.backend, store, 0, training=True, differentiable=False)
            self.emit(plan)
            self._segment = store.backend.bind(plan.take())
        self._segment.run()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the network has the average for its parameters; after it, its own again."""
        store = self.parameters
        kept = store.mu.copy(), store.var.copy()
        store.mu[...], store.var[...] = self.mu, self.var
        try:
            yield
        finally:
            store.mu[...], store.var[...] = kept

    def state_dict(self) -> dict[str, Host]:
        """Host copies of the average, `mu` and `var` of all parameters in order."""
        host = self.parameters.backend.to_host
        return {"mu": host(self.mu), "var": host(self.var)}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: an array is missing or has another size.
        """
        for name, array in (("mu", self.mu), ("var", self.var)):
            if name not in values or np.shape(values[name]) != array.shape:
                found = np.shape(values[name]) if name in values else "nothing"
                raise ValueError(f"average of {array.size} parameters: '{name}' is {found}")
            self.parameters.backend.write(array, values[name])
