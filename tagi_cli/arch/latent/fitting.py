"""Passes over the data: order, records, and the prior that is renewed behind each."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tagi_cli.arch.latent import request
from tagi_cli.arch.latent.core import Core
from tagi_cli.arch.latent.learner import DAMPING, Learner
from tagi_cli.arch.latent.shrinkage import Shrinkage, Shrunk
from tagi_cli.nn.rules import RULES

Host = np.ndarray[Any, Any]

log = logging.getLogger("tagi_cli.arch.latent_regression")


@dataclass(frozen=True)
class Setting:
    """How a fit is to be done.

    Attributes:
        batch_size: rows of a step.
        send_size: rows run through at a time; None takes the whole batch.
        iterations: batches to learn.
        update_rule: one of `tagi_cli.nn.rules.RULES`.
        damping: one of `tagi_cli.arch.latent.learner.DAMPING`.
        min_var: least error variance.
        update_int: iterations from one line of the log to the next; None for none.
        priors: shrinkage of each group's `p` and `u`.

    Raises:
        ValueError: an unknown rule or damping, or a number out of its range.
    """

    batch_size: int
    iterations: int
    send_size: int | None = None
    update_rule: str = "information"
    damping: str = "auto"
    min_var: float = 1e-6
    update_int: int | None = None
    priors: Mapping[str, Sequence[Shrinkage | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("update_rule", self.update_rule, RULES),
            ("damping", self.damping, DAMPING),
        ):
            if value not in allowed:
                raise ValueError(f"{name}: found '{value}'. Allowed: {', '.join(allowed)}")
        if not self.min_var > 0:
            raise ValueError(f"min_var: found {self.min_var:g}. Allowed: above 0")

    def start(self, core: Core, x: Host, y: Host, rng: np.random.Generator) -> Fit:
        """A fit of a model to rows, with the priors that the model has now.

        Raises:
            ValueError: batches are larger than the data, or chunks larger than batches.
        """
        request.check_sizes(len(x), self.batch_size, self.send_size)
        learner = Learner(
            core.layer,
            core.network.parameters,
            core.psi,
            x,
            y,
            batch_size=self.batch_size,
            send_size=self.send_size,
            rule=self.update_rule,
            damping=self.damping,
            min_var=self.min_var,
        )
        shrunk = [
            Shrunk(parameter, kind, transposed=role == "p")
            for role, kinds in self.priors.items()
            for parameter, kind in zip(core.tensors.parameters(role), kinds, strict=True)
            if kind is not None and parameter.trainable
        ]
        return Fit(learner, rng, self.iterations, self.update_int, shrunk)


class Fit:
    """Learns a number of batches, in passes over the rows in random order.

    Args:
        learner: what learns.
        rng: draws the order of each pass.
        iterations: batches to learn.
        update_int: iterations from one line of the log to the next; None for none.
        shrunk: modes whose prior is renewed after each pass.

    Attributes:
        elapsed_time: seconds from the beginning to the end of each iteration.
        obj: negative log predictive density per row of each batch, before it is learnt.
    """

    def __init__(
        self,
        learner: Learner,
        rng: np.random.Generator,
        iterations: int,
        update_int: int | None = None,
        shrunk: Sequence[Shrunk] = (),
    ) -> None:
        self.learner = learner
        self.elapsed_time = np.zeros(iterations)
        self.obj = np.zeros(iterations)
        self._rng = rng
        self._update_int = update_int
        self._shrunk = shrunk

    def run(self) -> None:
        """All iterations.

        Raises:
            FloatingPointError: a parameter is not finite any more.
        """
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[int]:
        """Iterations one by one, by their numbers from 0; see `run`."""
        learner = self.learner
        begun = time.perf_counter()
        position, epoch = learner.rows, 0
        for i in range(len(self.obj)):
            if position >= learner.rows:
                learner.load(self._rng.permutation(learner.rows))
                position, epoch = 0, epoch + 1
            rows = min(learner.batch_size, learner.rows - position)
            learner.start_scores()
            learner.step(rows)
            self.obj[i] = learner.nll() / rows
            position += rows
            if position >= learner.rows:
                for shrunk in self._shrunk:
                    shrunk.renew(epoch)
            self.elapsed_time[i] = time.perf_counter() - begun
            if not np.isfinite(self.obj[i]) or (position >= learner.rows and not learner.finite()):
                raise FloatingPointError(
                    f"iteration {i}: parameters are not finite any more; try damping='full', "
                    "smaller batches or precision='float64'"
                )
            if self._update_int and i % self._update_int == 0:
                log.info(
                    "iteration %d: negative log density per row %.6g, %.1f s",
                    i, self.obj[i], self.elapsed_time[i],
                )  # fmt: skip
            yield i

    def final(self) -> float:
        """Mean of `obj` over the last pass, or over the last quarter of fewer iterations."""
        batches = -(-self.learner.rows // self.learner.batch_size)
        last = min(batches, max(1, len(self.obj) // 4))
        return float(self.obj[-last:].mean()) if len(self.obj) else np.inf


def fit(
    core: Core,
    x: Host,
    y: Host,
    setting: Setting,
    rng: np.random.Generator,
    restarts: int = 1,
    unset: Collection[int] = (),
    kept: Collection[str] = (),
) -> Fit:
    """Fit a model, from its present values and then from fresh ones; the best fit stays.

    Args:
        core: the model; its trainable parameters learn.
        x: inputs `(n, I)`.
        y: targets `(n, K)`, NaN where missing.
        setting: how.
        rng: draws orders and fresh values.
        restarts: number of fits.
        unset: output groups whose error variances start from those of the targets.
        kept: names of parameters that are not drawn anew.

    Raises:
        ValueError: the data do not fit the setting, or there is to be no fit.
        FloatingPointError: no fit ended with finite parameters.
    """
    if restarts < 1:
        raise ValueError(f"restarts: found {restarts}. Allowed: at least 1")
    core.psi.start(y, unset)
    psi = core.psi.state_dict()
    best: Fit | None = None
    state: dict[str, Host] = {}
    for i in range(restarts):
        if i:
            core.redraw(rng, kept)
            core.psi.load_state_dict(psi)
        made = setting.start(core, x, y, rng)
        try:
            made.run()
        except FloatingPointError:
            if best is None and i == restarts - 1:
                raise
            continue
        if best is None or made.final() < best.final():
            best = made
            state = core.state_dict() if restarts > 1 else {}
    assert best is not None
    if state:
        core.load_state_dict(state)
    return best
