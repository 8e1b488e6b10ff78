"""A latent regression as a member of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.learner import Learner as Steps
from tagi_cli.arch.latent.learner import first_share
from tagi_cli.arch.latent.model import LatentRegModel
from tagi_cli.arch.latent.shrinkage import Lasso, Shrinkage, Shrunk
from tagi_cli.backend import Backend
from tagi_cli.backend.notes import say_once
from tagi_cli.errors import UserError
from tagi_cli.training.health import LayerHealth, measure
from tagi_cli.training.interface import (
    Indices,
    NumericalError,
    Prediction,
    Scores,
    Tensors,
    Values,
)
from tagi_cli.training.stateless import Stateless

Host = np.ndarray[Any, Any]
Kinds = Mapping[str, Shrinkage | None]

SCORES = ("count", "nll_sum", "se_sum")
_SHARE, _FLOORED, _PRIOR = "damping.share", "health.floored", "shrinkage."
_SEEN, _PASSES = "seen", "passes"


class LatentLearner(Stateless):
    """Learns rows by the steps of `tagi_cli.arch.latent.learner`.

    Args:
        model: with its parameters in place.
        layout: which columns make up its groups.
        batch_size: rows learnt at a time.
        send_size: rows run through at a time; None takes the whole batch.
        update_rule: one of `tagi_cli.nn.rules.RULES`.
        cap: divisor of the capped rules; None takes it from `batch_size`.
        damping: one of `tagi_cli.arch.latent.learner.DAMPING`.
        min_var: floor of the learnt error variances.
        shrinkage: by role, `p` and `u`, the prior that is renewed after each epoch.
        penalties: by role an l1 penalty on the mean of its entries (or their sum, see
            `by_entry`), which becomes a Laplace prior once the number of rows is known.
        by_entry: whether penalties are on the mean of the entries.

    Raises:
        UserError: chunks are larger than batches.
    """

    def __init__(
        self,
        model: LatentRegModel,
        layout: Layout,
        *,
        batch_size: int,
        send_size: int | None = None,
        update_rule: str = "information",
        cap: float | None = None,
        damping: str = "auto",
        min_var: float = 1e-6,
        shrinkage: Kinds | None = None,
        penalties: Mapping[str, float | None] | None = None,
        by_entry: bool = True,
    ) -> None:
        if send_size is not None and send_size > batch_size:
            raise UserError(
                f"arch.send_size: found {send_size}. Allowed: 1 to data.batch_size, {batch_size}"
            )
        self.model = model
        self.layout = layout
        self.batch_size = batch_size
        self.outputs = sum(layout.groups.d_out)
        self._send_size, self._rule, self._cap = send_size, update_rule, cap
        self._damping, self._min_var = damping, min_var
        self._share = first_share(self.backend, self.outputs, damping)
        self._prior_var = {n: float(t.var.mean()) for n, t in self.parameters.tensors.items()}
        self._penalties = {role: value for role, value in (penalties or {}).items() if value}
        self._by_entry = by_entry
        self._shrunk: dict[str, Shrunk] = {}
        for role, kind in (shrinkage or {}).items():
            if kind is not None:
                self._shrink(role, kind)
        self._epoch = self._passes = 0
        self._steps: Steps | None = None
        # Which variables there was something to learn from: others are missing in all rows.
        sizes = sum(layout.groups.d_in), self.outputs
        self._seen: list[Host] = [np.ones(n, bool) for n in sizes]

    def _shrink(self, role: str, kind: Shrinkage, only: nn.Parameter | None = None) -> None:
        """Renew the prior of the tensors of a role, or of one, if they are learnt."""
        for parameter in self.model.core.tensors.parameters(role):
            if parameter.trainable and only in (None, parameter):
                self._shrunk[parameter.name] = Shrunk(parameter, kind, transposed=role == "p")

    @property
    def backend(self) -> Backend:
        """Where it runs."""
        return self.model.core.network.backend

    @property
    def layer(self) -> nn.Layer:
        """The network."""
        return self.model.core.layer

    @property
    def parameters(self) -> nn.Parameters:
        """Its parameters; error variances are apart."""
        return self.model.core.network.parameters

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one row as the network sees it."""
        return self.model.core.network.input_shape

    @property
    def seen_inputs(self) -> list[Host]:
        """Of each input group, which variables were ever other than 0, `(d_in,)`."""
        return np.split(self._seen[0], np.cumsum(self.layout.groups.d_in)[:-1])

    @property
    def seen_outputs(self) -> list[Host]:
        """Of each output group, which variables were observed, `(d_out,)`."""
        return np.split(self._seen[1], np.cumsum(self.layout.groups.d_out)[:-1])

    def seen_once(self, parameter: nn.Parameter) -> Host:
        """Variances of a parameter as if each row had been learnt once.

        A row that is learnt E times counts E times, so that variances are too small by that factor:
        of the precision that the data have added, an E-th part is theirs.
        """
        prior = self._prior_var[parameter.name]
        var = self.backend.to_host(parameter.var).astype(np.float64)
        if prior == 0 or self._passes == 0:
            return var
        added = np.divide(1.0, var, out=np.full_like(var, np.inf), where=var > 0) - 1 / prior
        return np.asarray(1 / (1 / prior + np.maximum(added, 0) / self._passes))

    def take_shared_map(self, other: LatentLearner) -> None:
        """Take over the shared part of another subject's map, as it is now."""
        self.model.core.load_part(other.model.core.part("shared_m"))

    def begin_shared_map(self, values: Mapping[str, tuple[Host, ...]]) -> None:
        """Begin with these values of the shared part of the map."""
        self.model.core.load_part(values)

    def learn_shared_map(self, learns: bool) -> None:
        """Let the shared part of the map learn from the next step on, or stay as it is."""
        shared = {id(parameter) for parameter in self.model.core.parameters("shared_m")}
        own = self.model.trainable_parameters()
        self.model.choose([t for t in own if learns or id(t) not in shared])
        if self._steps is not None:
            self._steps.trace_anew()

    def bind(self, x: Values, y: Values, index: Indices | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.bind`."""
        rows, targets = self.layout.rows(x), self.layout.targets(y)
        self._seen = [np.any(rows != 0, axis=0), np.any(np.isfinite(targets), axis=0)]
        self._steps = Steps(
            self.layer,
            self.parameters,
            self.model.core.psi,
            rows,
            targets,
            batch_size=self.batch_size,
            send_size=self._send_size,
            rule=self._rule,
            damping=self._damping,
            min_var=self._min_var,
            cap=self._cap,
            share=self._share,
        )
        for role, penalty in self._penalties.items():
            for parameter in self.model.core.tensors.parameters(role):
                rate = len(rows) * penalty / (parameter.size if self._by_entry else 1)
                say_once(
                    f"arch.l1_{role}_lambda: a penalty of {penalty:g} on {parameter.shape[::-1]} "
                    f"entries is a Laplace prior of rate {rate:.4g} for {len(rows)} rows "
                    f"({role}_shrinkage of kind lasso); no entry gets exactly zero"
                )
                # What was bound before keeps its prior, and only the rate follows the rows.
                if parameter.name in self._shrunk:
                    self._shrunk[parameter.name].kind = Lasso(rate)
                else:
                    self._shrink(role, Lasso(rate), parameter)

    def start_epoch(self, epoch: int, scores: Scores | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.start_epoch`."""
        self._epoch = epoch
        values = np.zeros((self.outputs, 3))
        if scores is not None:
            values = self.layout.targets(np.stack([scores[name] for name in SCORES])).T
        self.backend.write(self._bound().scores, values)

    def train(self, order: Indices, begin: int, end: int, follows: Host | None = None) -> None:
        """See `tagi_cli.training.interface.Learner.train`."""
        steps = self._bound()
        steps.load(order[begin:end])
        full, rest = divmod(end - begin, self.batch_size)
        if full:
            steps.step(self.batch_size, full)
        if rest:
            steps.step(rest)
        if end == len(order):
            self._passes += 1
            for shrunk in self._shrunk.values():
                shrunk.renew(self._epoch + 1)

    def _bound(self) -> Steps:
        if self._steps is None:
            raise RuntimeError("bind the data first")
        return self._steps

    @property
    def is_bound(self) -> bool:
        """Whether there are rows to train on."""
        return self._steps is not None

    def scores(self) -> Scores:
        """See `tagi_cli.training.interface.Learner.scores`."""
        sums = self.backend.to_host(self._bound().scores)
        return dict(zip(SCORES, self.layout.in_order(sums.T), strict=True))

    def predict(self, x: Values, var_x: Values | None = None) -> Prediction:
        """See `tagi_cli.training.interface.Learner.predict`."""
        certain = None if var_x is None else self.layout.rows(var_x)
        mu, var = self.model.core.outputs(self.layout.rows(x), certain)
        noise = self.backend.to_host(self.model.core.psi.mean).astype(np.float64)
        parts = (mu, var, np.broadcast_to(noise, mu.shape))
        return Prediction(*(self.layout.in_order(part) for part in parts))

    def state_dict(self) -> Tensors:
        """See `tagi_cli.training.interface.Learner.state_dict`."""
        host = self.backend.to_host
        found = {
            **self.model.state_dict(),
            _SHARE: host(self._share),
            _FLOORED: host(self.parameters.floored),
            _SEEN: np.concatenate(self._seen).astype(np.uint8),
            _PASSES: np.array(self._passes),
        }
        for name, shrunk in self._shrunk.items():
            mean, precision = shrunk.state()
            found[f"{_PRIOR}{name}.mean"] = mean
            found[f"{_PRIOR}{name}.precision"] = precision
        return found

    def load_state_dict(self, state: Mapping[str, Host]) -> None:
        """See `tagi_cli.training.interface.Learner.load_state_dict`."""
        own = (_SHARE, _FLOORED, _SEEN, _PASSES)
        known = {k: v for k, v in state.items() if k not in own and not k.startswith(_PRIOR)}
        self.model.load_state_dict(known)
        self.backend.write(self._share, state[_SHARE])
        self.backend.write(self.parameters.floored, state[_FLOORED])
        self._passes = int(state[_PASSES])
        self._seen = np.split(state[_SEEN].astype(bool), [sum(self.layout.groups.d_in)])
        for name, shrunk in self._shrunk.items():
            shrunk.restore(state[f"{_PRIOR}{name}.mean"], state[f"{_PRIOR}{name}.precision"])

    def health(self) -> dict[str, LayerHealth]:
        """See `tagi_cli.training.interface.Learner.health`."""
        host, parameters = self.backend.to_host, self.parameters
        return measure(parameters.tensors, host(parameters.floored), self._prior_var, host)

    def check_finite(self, epoch: int) -> None:
        """See `tagi_cli.training.interface.Learner.check_finite`."""
        host = self.backend.to_host
        psi = self.model.core.psi
        groups = [(f"psi of output group {h}", t) for h, t in enumerate(psi.groups)]
        for name, tensor in [*self.parameters.tensors.items(), *groups]:
            mu, var = host(tensor.mu), host(tensor.var)
            good = np.isfinite(mu) & np.isfinite(var) & (var >= 0)
            if not good.all():
                raise NumericalError(
                    f"epoch {epoch}: {int((~good).sum())} of {tensor.size} parameters of {name} "
                    "are not finite; try arch.damping=full, a smaller data.batch_size or "
                    "precision=float64"
                )
