"""An LSTM for use from Python, with KnowIt's words and defaults; configs build `recurrence`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.internal_state import InternalState as InternalState
from tagi_cli.arch.internal_state import InternalStateOptions as Internal
from tagi_cli.arch.output import BOUNDED, CLASS_PROBABILITIES
from tagi_cli.arch.recurrence import LSTMOptions as ArchArgs
from tagi_cli.arch.recurrence import recurrent_layer
from tagi_cli.arch.tasks import faults
from tagi_cli.backend import Backend, select
from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.nn.parameters import Host
from tagi_cli.options import Limits

TASKS = ("regression", "classification")

# Of the options of `recurrence`, what `internal_state` says here.
_ELSEWHERE = ("internal_state", "state_var", "recurrent")


class Model:
    """LSTM layers over a window, and an output layer over their hidden units at all its steps.

    ```python
    model = Model([24, 3], [6, 1], "regression", {"width": 40})
    for x, y in batches:                # (B, 24, 3) and (B, 6, 1)
        mu, var = model.forward(x)
        model.learn(y, sigma_v=0.3)
    model.eval()
    mu, var = model.forward(x)
    ```

    Args:
        input_dim: steps and columns of a window, `(in_chunk, in_components)`.
        output_dim: steps and columns of the output, `(out_chunk, out_components)`; for classes
            `(1, classes)`.
        task_name: `regression` or `classification`.
        arch_args: options of `arch: lstm`, but those of states; by default `width` 32, `depth` 1,
            `dropout` 0, `bidirectional` False and `output_activation` None. For classes None stands
            for `softmax`.
        internal_state: `init_hidden_state` and `init_cell_state` as `InternalState` takes them, and
            `tracking`.
        seed: of the prior means and of `random` states.
        update_rule: one of `tagi_cli.nn.rules.RULES`.
        backend: where it runs; default: float32 on the CPU.

    Attributes:
        input_size: columns of a window.
        model_out_dim: number of output units.
        final_out_shape: shape of the output of one row.
        task_name: the task.
        network: the network, whose parameters are saved by `state_dict`.

    Raises:
        UserError: an unknown word, or options that do not go together.
    """

    def __init__(
        self,
        input_dim: Sequence[int],
        output_dim: Sequence[int],
        task_name: str,
        arch_args: Mapping[str, Any] | None = None,
        internal_state: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        update_rule: str = "information_capped",
        backend: Backend | None = None,
    ) -> None:
        if task_name not in TASKS:
            raise UserError(
                f"task_name: found '{task_name}'.{nearest(task_name, TASKS)} Allowed: "
                f"{listing(TASKS)}"
            )
        self._window = _sizes("input_dim", input_dim)
        steps, components = _sizes("output_dim", output_dim)
        states = _known(
            "internal_state", internal_state, [f.name for f in dataclasses.fields(Internal)]
        )
        tracking = bool(states.get("tracking", False))
        self._options = _options(arch_args, task_name, tracking)
        self._internal = InternalState(
            self._options.width,
            self._options.depth,
            states.get("init_hidden_state"),
            states.get("init_cell_state"),
            track_hidden=tracking,
            bidirect=self._options.bidirectional,
            seed=seed,
        )
        if task_name == "classification" and steps != 1:
            raise UserError(
                f"output_dim: found {list(output_dim)}. Allowed for classes: [1, classes]"
            )
        self.task_name = task_name
        self.input_size = self._window[1]
        self.model_out_dim = steps * components
        self.final_out_shape = (
            [components] if task_name == "classification" else [steps, components]
        )
        self._rule = update_rule
        self._backend = backend or select()
        self._seed = seed
        self.network = self._build(1)

    @property
    def lstm_layers(self) -> nn.LSTM:
        """The recurrent layers."""
        return self._chain[0]  # type: ignore[return-value]

    @property
    def model_output(self) -> nn.Sequential:
        """The output layer, and its activation."""
        return nn.Sequential(*self._chain[1:])

    @property
    def internal_state(self) -> InternalState:
        """The states in which the next batch starts."""
        return self._internal

    @property
    def _chain(self) -> list[nn.Layer]:
        return list(self.network.layer)  # type: ignore[call-overload, no-any-return]

    def _build(self, rows: int) -> nn.Network:
        """A network that carries the states of so many rows."""
        options, (steps, columns) = self._options, self._window
        layer = nn.Sequential(
            recurrent_layer(options, steps, columns, "given"),
            *options.output(steps, self.model_out_dim),
        )
        return nn.Network(
            layer,
            self._window,
            rng=np.random.default_rng(self._seed),
            backend=self._backend,
            rule=self._rule,
            parameters=nn.Parameters(self._backend, rows),
        )

    def _make_room(self, rows: int) -> None:
        """Carry the states of so many rows at least."""
        old = self.network
        if rows <= old.parameters.rows:
            return
        self.network = self._build(rows)
        self.network.training = old.training
        host = self._backend.to_host
        for name, tensor in old.parameters.tensors.items():
            self.network.parameters.tensors[name].assign(host(tensor.mu), host(tensor.var))

    def train(self) -> None:
        """Behave as in training from the next call on: dropout, and states drawn at random."""
        self.network.train()

    def eval(self) -> None:
        """Behave as in prediction from the next call on."""
        self.network.eval()

    def forward(self, x: Any) -> nn.Moments:
        """Moments of the output for a batch.

        Args:
            x: `(batch, in_chunk, in_components)`.

        Returns:
            Mean and variance, `(batch, out_chunk, out_components)`, or class probabilities and
            their variance `(batch, classes)`. Noise of observations is not part of them.

        Raises:
            UserError: another shape.
        """
        x = np.asarray(x)
        if x.ndim != 3 or x.shape[1:] != self._window:
            raise UserError(
                f"x: found shape {x.shape}. Allowed: (batch, {self._window[0]}, {self._window[1]})"
            )
        self._make_room(len(x))
        self._internal.training = self.network.training
        self._internal.initialize(len(x))
        self._set_states(len(x))
        mu, var = self.network(x)
        self._keep_states(len(x))
        shape = (len(x), *self.final_out_shape)
        return nn.Moments(mu.reshape(shape), var.reshape(shape))

    __call__ = forward

    def learn(self, y: Any, sigma_v: Any = None) -> None:
        """Condition the network on what was observed of the batch of the latest `forward`.

        Args:
            y: targets of the output's shape, NaN where missing; for classes their numbers
                `(batch,)`, or one-hot rows.
            sigma_v: standard deviation of the noise, one number or of the shape of `y`. None, for
                classes alone: an observed class has the variance of an indicator.

        Raises:
            UserError: another shape, a label that is no class, or no `sigma_v` where it is needed.
        """
        rows = self.network.current.plan.batch
        targets = self._targets(np.asarray(y, np.float64), (rows, *self.final_out_shape))
        updater = nn.OutputUpdater(self.network)
        if sigma_v is not None:
            variance = np.square(np.asarray(sigma_v, np.float64))
            updater.update(targets.reshape(rows, -1), np.broadcast_to(variance, targets.shape))
        elif self.task_name == "classification":
            updater.update_classes(targets)
        else:
            raise UserError("sigma_v: give the standard deviation of the noise")
        self.network.backward()
        self._keep_states(rows)
        self.network.step()

    def _targets(self, y: Host, shape: tuple[int, ...]) -> Host:
        if self.task_name == "classification" and y.shape == shape[:1]:
            K = shape[1]
            if not (np.isnan(y) | np.isin(y, np.arange(K))).all():
                raise UserError(
                    f"y: found labels from {y.min():g} to {y.max():g}. Allowed: 0 to {K - 1}"
                )
            return np.where(np.isnan(y)[:, None], np.nan, y[:, None] == np.arange(K))
        if y.shape != shape:
            raise UserError(f"y: found shape {y.shape}. Allowed: {shape}")
        return y

    def _set_states(self, rows: int) -> None:
        """Let the network start from `h0` and `c0`."""
        h0, c0 = self._internal.h0, self._internal.c0
        assert h0 is not None
        assert c0 is not None
        empty = np.zeros((self.network.parameters.rows - rows, self._options.width))
        states = [
            [np.concatenate([part[place], empty]) for part in (h0.mu, h0.var, c0.mu, c0.var)]
            for place in range(len(h0.mu))
        ]
        nn.RecurrentStates(self.network.layer, self.network.parameters).set(states)

    def _keep_states(self, rows: int) -> None:
        """Where states are tracked, take over those in which the batch ended."""
        if not self._internal.tracking:
            return
        found = nn.RecurrentStates(self.network.layer, self.network.parameters).get()
        mu_h, var_h, mu_c, var_c = np.stack(found, axis=1)[:, :, :rows]
        self._internal.update((mu_c, var_c), (mu_h, var_h))


def get_output_activation(output_activation: str | None) -> nn.Layer | None:
    """A fresh layer for an output activation; None for none.

    Raises:
        UserError: there is none of that name.
    """
    if output_activation is None:
        return None
    allowed = (*BOUNDED, *CLASS_PROBABILITIES)
    if output_activation not in allowed:
        raise UserError(
            f"output_activation: found '{output_activation}'."
            f"{nearest(output_activation, allowed)} Allowed: None, {listing(allowed)}"
        )
    kind = nn.registry[output_activation]
    layer: nn.Layer = kind.build(kind.options())
    return layer


def _sizes(name: str, given: Sequence[int]) -> tuple[int, int]:
    sizes = tuple(int(size) for size in given)
    if len(sizes) != 2 or min(sizes) < 1:
        raise UserError(f"{name}: found {list(given)}. Allowed: two sizes, steps and columns")
    return sizes[0], sizes[1]


def _known(name: str, given: Mapping[str, Any] | None, allowed: Sequence[str]) -> Mapping[str, Any]:
    """What was given, if all of its words are known."""
    for word in given or {}:
        if word not in allowed:
            raise UserError(
                f"{name}: found '{word}'.{nearest(word, allowed)} Allowed: {listing(allowed, 30)}"
            )
    return given or {}


def _options(given: Mapping[str, Any] | None, task: str, tracking: bool) -> ArchArgs:
    """The options of the layers.

    Raises:
        UserErrors: words or values that are not allowed.
    """
    fields = {f.name: f for f in dataclasses.fields(ArchArgs) if f.name not in _ELSEWHERE}
    known = _known("arch_args", given, list(fields))
    wrong = []
    for word, value in known.items():
        limits: Limits = fields[word].metadata["limits"]
        if not limits.accepts(value):
            wrong.append(f"arch_args: found {word} {value!r}. Allowed: {limits.describe()}")
    if wrong:
        raise UserErrors(wrong)
    options = ArchArgs(**known, internal_state=Internal(tracking=tracking))
    wrong = [*options.faults(), *faults(options, task)]
    if wrong:
        raise UserErrors(wrong)
    if task == "classification" and options.output_activation is None:
        options = dataclasses.replace(options, output_activation="softmax")
    return options
