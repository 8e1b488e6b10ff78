"""Training by closed-form inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.distributed import Communicator
from tagi_cli.nn.rules import RULES
from tagi_cli.objax.module import Module
from tagi_cli.objax.tracing import Program, accepted, parts, program


class Trainer:
    """Steps a module: forward, conditioning of the output on observations, backward, update.

    It stands where objax has a loss, `GradValues` and an optimiser.

    ```python
    train = objax.Trainer(model)
    mu, var = train(x, y, var_v=0.1)    # moments of the output before the step
    ```

    Calls run the module with `training=True` where it takes that argument; other arguments are
    passed on by name. A target that is NaN is missing: nothing is learnt from it.

    Args:
        model: what is trained.
        rule: how innovations become a step: `sum`, `capped`, `information`, `information_capped` or
            `site`.
        cap: divisor of the capped rules; None takes it from the batch size of each call.
        ranks: processes that train together, each on rows of its own, as one process would on all
            of them; None for this process alone. From the first call on, all of them make all calls
            with `training=True` together.

    Raises:
        ValueError: no such rule.
    """

    def __init__(
        self,
        model: Module,
        rule: str = "capped",
        cap: float | None = None,
        ranks: Communicator | None = None,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"update rule '{rule}': allowed are {', '.join(RULES)}")
        self.model = model
        self.rule = rule
        self.cap = cap
        self.ranks = None if ranks is None or ranks.size == 1 else ranks

    def __call__(self, x: Any, y: Any, var_v: Any, **arguments: Any) -> nn.Moments:
        """Learn that `y` is the output with an error of variance `var_v`.

        Args:
            x: the input, an array or `Moments`; its first axis is the batch.
            y: as many values as the output has.
            var_v: error variance, for each element, for each output unit, or one number.
            arguments: for the module.

        Returns:
            Moments of the output before the step.

        Raises:
            ValueError: sizes do not fit.
        """
        made, output = self._forward(x, arguments)
        made.updater.update(np.asarray(y), np.asarray(var_v))
        return self._step(made, output)

    def update_heteros(self, x: Any, y: Any, **arguments: Any) -> nn.Moments:
        """Learn `y` with error variances that the output itself predicts, every second unit.

        See `__call__`, and `tagi_cli.nn.OutputUpdater.update_heteros`.
        """
        made, output = self._forward(x, arguments)
        made.updater.update_heteros(y)
        return self._step(made, output)

    def update_using_indices(
        self, x: Any, y: Any, var_v: Any, index: Any, **arguments: Any
    ) -> nn.Moments:
        """Learn observations of the units listed in `index`, counted from 1.

        See `__call__`, and `tagi_cli.nn.OutputUpdater.update_using_indices`.
        """
        made, output = self._forward(x, arguments)
        made.updater.update_using_indices(y, var_v, index)
        return self._step(made, output)

    def _forward(self, x: Any, arguments: dict[str, Any]) -> tuple[Program, nn.Moments]:
        names = accepted(type(self.model).__call__)
        if names is None or "training" in names:
            arguments = {"training": True, **arguments}
        mu, var = parts(x)
        made, training = program(self.model, self.model, np.shape(mu)[1:], **arguments)
        if made is None:
            raise ValueError("the model returns its input: there is nothing to train")
        network = made.enter(training)
        if self.ranks is not None:
            made.parallel(self.ranks)
        if (network.rule, network.cap) != (self.rule, self.cap):
            network.rule, network.cap = self.rule, self.cap
            network.forget()
        return made, network(mu, var)

    def _step(self, made: Program, output: nn.Moments) -> nn.Moments:
        made.network.backward()
        if self.ranks is None:
            made.network.step()
        else:
            made.parallel(self.ranks).step()
        return output
