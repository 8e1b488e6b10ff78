"""What follows a training step."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tagi_cli import nn
from tagi_cli.backend import host_copy, overwrite
from tagi_cli.objax.device import backend
from tagi_cli.objax.variable import TrainVar, VarCollection


class ExponentialMovingAverage:
    """Exponential moving average of posteriors, to evaluate with.

    ```python
    ema = objax.optimizer.ExponentialMovingAverage(model.vars(), momentum=0.99)
    predict = ema.replace_vars(lambda x: model(x, training=False))
    train(x, y, 0.1); ema()
    ```

    The average is the Gaussian with mean and variance of the mixture of the posteriors so far, the
    one at construction counting fully and each new one for `1 - momentum`; see
    `tagi_cli.nn.PosteriorAverage`.

    Args:
        vc: variables; those that are no `TrainVar` are left alone.
        momentum: weight of the average so far.

    Raises:
        ValueError: momentum outside 0 to 1.
    """

    def __init__(self, vc: VarCollection, momentum: float = 0.999) -> None:
        self._vars = [var for var in vc if isinstance(var, TrainVar)]
        self._store = nn.Parameters(backend())
        self._tensors = [self._store.add(str(i), *var.moments) for i, var in enumerate(self._vars)]
        self._average = nn.PosteriorAverage(self._store, momentum)

    def __call__(self) -> None:
        """Take in the present posterior."""
        for var, tensor in zip(self._vars, self._tensors, strict=True):
            for array, data in zip((tensor.mu, tensor.var), var.moments, strict=True):
                overwrite(array, data)
        self._average.update()

    def replace_vars(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`f` with the average in place of the variables while it runs."""

        @wraps(f)
        def replaced(*args: Any, **kwargs: Any) -> Any:
            kept = [var.moments for var in self._vars]
            try:
                with self._average.applied():
                    for var, tensor in zip(self._vars, self._tensors, strict=True):
                        var.assign(host_copy(tensor.mu), host_copy(tensor.var))
                return f(*args, **kwargs)
            finally:
                for var, moments in zip(self._vars, kept, strict=True):
                    var.assign(*moments)

        return replaced
