"""The network: a chain of layers, stepped batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import host_copy
from tagi_cli.pytagi.carried import hold
from tagi_cli.pytagi.nn.base_layer import BaseLayer, check_device, set_threads
from tagi_cli.pytagi.nn.data_struct import (
    BaseDeltaStates,
    BaseHiddenStates,
    InnovationView,
    StateView,
)
from tagi_cli.pytagi.nn.recurrent import Recurrent
from tagi_cli.pytagi.randomness import generator

Host = np.ndarray[Any, Any]


class Sequential(Recurrent):
    """Layers applied one after the other, with their buffers.

    ```python
    net = Sequential(Linear(13, 50), ReLU(), Linear(50, 1))
    updater = OutputUpdater(net.device)
    mu, var = net(x)
    updater.update(net.output_z_buffer, y, var_y, net.input_delta_z_buffer)
    net.backward()
    net.step()
    ```

    Buffers are views of the latest call and returned arrays are copies. The batch may have any
    size, and another one in each call.

    Args:
        layers: the layers. Where the first one does not tell its input's size, the first call
            does, which then takes rows as an array's first axis.

    Raises:
        ShapeError: layers do not fit together.
    """

    def __init__(self, *layers: BaseLayer) -> None:
        super().__init__()
        self._layers = list(layers)
        self._chain = nn.Sequential(*(layer.layer for layer in layers))
        self._device = "cpu"
        self._copy: Callable[[Any], Host] = np.array
        self._input_state_update = False
        self._training = True
        self._num_samples = 0
        self._network: nn.Network | None = None
        self._output = StateView(self, lambda passes: passes.plan.output)
        self._output_innovation = InnovationView(self, lambda passes: passes.below)
        self._input_innovation = InnovationView(self, lambda passes: passes.source)
        shape = next((s for layer in layers if (s := layer._input_shape())), None)
        if shape is not None:
            self._build(shape)

    def _build(self, shape: tuple[int, ...]) -> nn.Network:
        self._network = nn.Network(
            self._chain, shape, rng=generator(), backend=check_device(self._device),
            preactivation=True, flat_input=True, input_innovation=self._input_state_update,
        )  # fmt: skip
        self._network.training = self._training
        self.updater = nn.OutputUpdater(self._network)
        for layer in self._all():
            layer._join(self)
        self._find_recurrent(self._network)
        return self._network

    def _all(self) -> Iterator[BaseLayer]:
        """All layers, those in blocks included."""
        pending = list(reversed(self._layers))
        while pending:
            layer = pending.pop()
            yield layer
            pending += reversed(layer._inner())

    @property
    def network(self) -> nn.Network:
        """The network of `tagi_cli.nn` that does the work.

        Raises:
            RuntimeError: the size of the input is not known yet.
        """
        if self._network is None:
            raise RuntimeError("the size of the input is not known yet: run the network forward")
        return self._network

    def __call__(self, mu_x: Any, var_x: Any = None) -> tuple[Host, Host]:
        """See `forward`."""
        return self.forward(mu_x, var_x)

    def forward(self, mu_x: Any, var_x: Any = None) -> tuple[Host, Host]:
        """Moments of the output.

        Args:
            mu_x: means of the input, any shape of whole rows; or the output buffer of another
                network, whose means, variances and Jacobians are then the input.
            var_x: variances of the input; None for a certain one.

        Returns:
            Means and variances of the output, flat.

        Raises:
            ValueError: no whole number of rows, or `var_x` differs in size.
        """
        network = self._network
        if network is None or type(mu_x) is not np.ndarray:
            return self._forward_first(mu_x, var_x)
        if self._carried is not None:
            self._enter_array(mu_x)
        passes = network.run(mu_x, var_x)
        return self._copy(passes.mu), self._copy(passes.var)

    def _forward_first(self, mu_x: Any, var_x: Any) -> tuple[Host, Host]:
        """Forward of what is no array, or before the size of the input is known."""
        if isinstance(mu_x, BaseHiddenStates):
            network = self._network or self._build((mu_x.actual_size,))
            self._enter(mu_x.block_size)
            network.run_activation(mu_x.mu_a, mu_x.var_a, mu_x.jcb)
            return self.get_outputs()
        mu_x = np.asarray(mu_x)
        if self._network is None:
            if mu_x.ndim < 2:
                raise ValueError(
                    f"the size of the input is not known: {self._layers[0].get_layer_info()} does "
                    "not tell it, and neither does a flat array"
                )
            self._build(mu_x.shape[1:])
        self._enter_array(mu_x)
        self.network.run(mu_x, var_x)
        return self.get_outputs()

    def backward(self) -> None:
        """Send the innovations of the output back to all parameters."""
        self.network.current.backward()
        self._stepped = False
        if self._smoother is not None and self._training:
            self._smoother.record()

    def step(self) -> None:
        """Turn the innovations of the parameters into their posterior."""
        current = self.network.current
        if self._keeps_prior:
            self._keep_prior()
        current.step()
        self._stepped = True

    def _keep_prior(self) -> None:
        store = self.network.parameters
        self._prior = store.var.copy(), store.G.copy(), store.L.copy()

    @property
    def training(self) -> bool:
        """Whether layers behave as in training."""
        return self._training

    def _set_mode(self, training: bool) -> None:
        self._training = training
        own = [layer for layer in self._all() if layer.layer.training is not None]
        for layer in own:
            layer.layer.training = None
        if self._network is not None:
            self._network.training = training
            if own:
                self._network.forget()

    def train(self) -> None:
        """Behave as in training: statistics of the batch."""
        self._set_mode(True)

    def eval(self) -> None:
        """Behave as in prediction: running statistics."""
        self._set_mode(False)

    @property
    def layers(self) -> list[BaseLayer]:
        """The layers."""
        return list(self._layers)

    @property
    def output_z_buffer(self) -> BaseHiddenStates:
        """Moments of the output of the latest call, with the last activation's Jacobian."""
        return self._output

    @output_z_buffer.setter
    def output_z_buffer(self, value: BaseHiddenStates) -> None:
        buffer = self._output
        buffer.mu_a, buffer.var_a = value.mu_a, value.var_a
        if (buffer.jcb != value.jcb).any():
            buffer.jcb = value.jcb

    @property
    def input_delta_z_buffer(self) -> BaseDeltaStates:
        """Innovations of the output's pre-activation: what the backward pass starts from."""
        return self._output_innovation

    @input_delta_z_buffer.setter
    def input_delta_z_buffer(self, value: BaseDeltaStates) -> None:
        self.set_delta_z(value.delta_mu, value.delta_var)

    @property
    def output_delta_z_buffer(self) -> BaseDeltaStates:
        """Innovations of the input: what the backward pass ends in."""
        return self._input_innovation

    @output_delta_z_buffer.setter
    def output_delta_z_buffer(self, value: BaseDeltaStates) -> None:
        buffer = self._input_innovation
        buffer.delta_mu, buffer.delta_var = value.delta_mu, value.delta_var

    def _most_units(self) -> int:
        shapes = [self.network.input_shape, *(cost.output for cost in self._chain.costs())]
        return max(nn.flat_size(shape) for shape in shapes)

    @property
    def z_buffer_size(self) -> int:
        """Values of the largest activation of the latest call."""
        return self.z_buffer_block_size * (self._most_units() if self.z_buffer_block_size else 0)

    @z_buffer_size.setter
    def z_buffer_size(self, value: int) -> None:
        units = self._most_units()
        if value < 0 or value % units:
            raise ValueError(f"z_buffer_size {value}: not a multiple of {units} units")
        self.z_buffer_block_size = value // units

    @property
    def z_buffer_block_size(self) -> int:
        """Rows of the latest call; 0 before it."""
        network = self._network
        return 0 if network is None or network._current is None else network.current.plan.batch

    @z_buffer_block_size.setter
    def z_buffer_block_size(self, value: int) -> None:
        if value < 0:
            raise ValueError(f"z_buffer_block_size {value} is negative")
        if self._carried is not None:
            hold(self.network, value)
        self.network.passes(value, has_variance=False)

    @property
    def device(self) -> str:
        """`cpu`, or `cuda:<index>`."""
        return self._device

    @device.setter
    def device(self, value: str) -> None:
        self.to_device(value)

    @property
    def input_state_update(self) -> bool:
        """Whether the innovations of the input are computed, too, from the next call on."""
        return self._input_state_update

    @input_state_update.setter
    def input_state_update(self, value: bool) -> None:
        self._input_state_update = bool(value)
        if self._network is not None:
            self._network.input_innovation = bool(value)

    @property
    def num_samples(self) -> int:
        """Number of time steps of a series; accepted, never needed."""
        return self._num_samples

    @num_samples.setter
    def num_samples(self, value: int) -> None:
        self._num_samples = int(value)

    def to_device(self, device: str) -> None:
        """Move the network.

        Raises:
            ValueError: neither `cpu` nor `cuda` nor `cuda:<index>`.
            RuntimeError: there is no such GPU.
        """
        backend = check_device(device)
        if device != self._device and self._network is not None:
            self._network.move(backend)
        self._device = device
        self._copy = np.array if backend.xp is np else host_copy

    def params_to_device(self) -> None:
        """Parameters live where the network runs: nothing needs to be moved."""

    def params_to_host(self) -> None:
        """Parameters that are read are copies on the host: nothing needs to be moved."""

    def set_threads(self, num_threads: int) -> None:
        """Set the CPU threads of matrix products and kernels, for the whole process.

        Raises:
            ValueError: fewer than one.
        """
        set_threads(num_threads)

    def set_delta_z(self, delta_mu: Any, delta_var: Any) -> None:
        """Set the innovations of the output's pre-activation, for an output update of one's own.

        Raises:
            ValueError: not as many as the output has values.
        """
        buffer = self._output_innovation
        buffer.delta_mu, buffer.delta_var = delta_mu, delta_var

    def get_outputs(self) -> tuple[Host, Host]:
        """Means and variances of the output of the latest call, flat."""
        passes = self.network.current
        return self._copy(passes.mu), self._copy(passes.var)

    def output_to_host(self) -> list[float]:
        """Means of the output of the latest call."""
        return self.get_outputs()[0].tolist()  # type: ignore[no-any-return]

    def delta_z_to_host(self) -> list[float]:
        """Innovations of the means of the output's pre-activation."""
        return self._output_innovation.delta_mu.tolist()  # type: ignore[no-any-return]

    def get_input_states(self) -> tuple[Host, Host]:
        """Innovations of the input's mean and variance, divided by its variance and its square.

        Raises:
            RuntimeError: `input_state_update` was not set before the call.
        """
        buffer = self._input_innovation
        return buffer.delta_mu.copy(), buffer.delta_var.copy()

    def get_layer_stack_info(self) -> str:
        """One line per layer."""
        return "".join(f"{layer.get_layer_info()}\n" for layer in self._layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._layers))})"

    def preinit_layer(self) -> None:
        """Draw the prior of all layers now; it is done already where the input's size is known.

        Raises:
            RuntimeError: the size of the input is not known yet.
        """
        self.network  # noqa: B018
