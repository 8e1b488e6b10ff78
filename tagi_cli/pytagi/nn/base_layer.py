"""What all layers have in common: sizes, parameters, innovations of parameters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.backend import Backend, host_copy, overwrite, select, threads
from tagi_cli.nn import Layer, Parameter, flat_size, interop
from tagi_cli.pytagi import cuda
from tagi_cli.pytagi.randomness import generator

if TYPE_CHECKING:
    from tagi_cli.pytagi.nn.sequential import Sequential

Host = np.ndarray[Any, Any]

_SIZES = (
    "input_size", "output_size", "in_width", "in_height", "in_channels", "out_width", "out_height",
    "out_channels",
)  # fmt: skip


def _size(name: str, doc: str) -> Any:
    """A property for one of the sizes."""

    def get(self: BaseLayer) -> int:
        return self._sizes()[name]

    def set_(self: BaseLayer, value: int) -> None:
        self._set_size(name, int(value))

    return property(get, set_, doc=doc)


def _moment(which: str, part: str, doc: str) -> Any:
    """A property for means or variances of weights or biases."""

    def get(self: BaseLayer) -> Host:
        parameter = getattr(self._leaf, which)
        return np.empty(0, np.float32) if parameter is None else _copy(getattr(parameter, part))

    def set_(self: BaseLayer, value: Any) -> None:
        parameter = self._checked(which, part, value)
        if parameter is not None:
            mu, var = (host_copy(a) for a in (parameter.mu, parameter.var))
            parameter.assign(*((value, var) if part == "mu" else (mu, value)))

    return property(get, set_, doc=doc)


def _innovation(which: str, part: str, power: int, doc: str) -> Any:
    """A property for the change that a step would make: `var G`, or `var^2 L`."""

    def get(self: BaseLayer) -> Host:
        parameter = getattr(self._leaf, which)
        if parameter is None or parameter.G is None or self._owner is None:
            return np.zeros(0 if parameter is None else parameter.size, np.float32)
        var, sums = self._owner.before_step(parameter, part)
        return var**power * sums

    def set_(self: BaseLayer, value: Any) -> None:
        parameter = self._checked(which, "delta", value)
        if parameter is None:
            return
        if parameter.G is None:
            raise RuntimeError(f"{self._leaf.name} is not part of a network yet")
        var = host_copy(parameter.var) ** power
        delta = np.asarray(value, var.dtype).reshape(var.shape)
        sums = parameter.G if part == "G" else parameter.L
        assert sums is not None
        overwrite(sums, np.divide(delta, var, out=np.zeros_like(var), where=var > 0))

    return property(get, set_, doc=doc)


def _copy(array: Any) -> Host:
    return host_copy(array).ravel()


class BaseLayer:
    """A layer: a thin constructor of one of `tagi_cli.nn`, which does the work.

    Sizes and parameters can be set; what does not fit is refused. Parameters are flat, row-major.
    """

    _layer: Layer | None = None
    _owner: Sequential | None = None

    def __init__(self) -> None:
        self._declared: dict[str, int] = {}

    @property
    def layer(self) -> Layer:
        """The layer of `tagi_cli.nn` behind this one.

        Raises:
            TypeError: this is a bare `BaseLayer`.
        """
        if self._layer is None:
            raise TypeError(f"{type(self).__name__} is no layer by itself")
        return self._layer

    def _network(self) -> Sequential:
        """The network that this layer is part of."""
        if self._owner is None:
            raise RuntimeError(f"{self.get_layer_info()} is not part of a network yet")
        return self._owner

    @property
    def _leaf(self) -> interop.Leaf:
        return interop.Leaf(self.get_layer_info(), self._layer)  # type: ignore[arg-type]

    def get_layer_info(self) -> str:
        """Name and sizes, e.g. `Linear(2,3)`."""
        return type(self).__name__ + "()" if self._layer is None else interop.info(self._layer)

    def __repr__(self) -> str:
        return self.get_layer_info()

    def get_layer_name(self) -> str:
        """Name of the layer, e.g. `Linear`."""
        return type(self).__name__

    def get_max_num_states(self) -> int:
        """Units of a row of input or output, whichever are more; 0 before they are known."""
        return max(self.input_size, self.output_size)

    def to_cuda(self) -> None:
        """Check that there is a GPU to run on; the network's `to_device` moves the layer.

        Raises:
            RuntimeError: there is none.
        """
        check_device("cuda")

    def init_weight_bias(self) -> None:
        """Draw new prior means and set the prior variances, where the sizes are known."""
        draw = getattr(self.layer, "draw", None)
        if draw is not None and (self.layer.input_shape is not None or self._drawable()):
            draw(generator())

    def _drawable(self) -> bool:
        """Whether the weights' sizes are known before the layer sees an input."""
        return False

    def _inner(self) -> list[BaseLayer]:
        """The layers inside this one."""
        return []

    def _input_shape(self) -> tuple[int, ...] | None:
        """Shape of one row of input where the layer's own options tell it."""
        return None

    def _sizes(self) -> dict[str, int]:
        sizes = dict.fromkeys(_SIZES, 0)
        layer = self._layer
        if layer is None:
            return sizes | self._declared
        for name in _SIZES:
            sizes[name] = int(getattr(layer, name, 0) or 0)
        for side, shape in (("in", layer.input_shape), ("out", layer.output_shape)):
            if shape is not None:
                sizes["input_size" if side == "in" else "output_size"] = flat_size(shape)
                image = shape if len(shape) == 3 else (0, 0, 0)
                for name, n in zip(("channels", "height", "width"), image, strict=True):
                    sizes[f"{side}_{name}"] = n
        if not sizes["input_size"]:
            sizes["input_size"] = flat_size(self._input_shape() or (0,))
        return sizes | self._declared

    def _set_size(self, name: str, value: int) -> None:
        if value < 0:
            raise ValueError(f"{self.get_layer_info()}: {name} {value} is negative")
        layer = self._layer
        if layer is not None and layer.input_shape is not None:
            known = self._sizes()[name]
            if value != known:
                raise ValueError(
                    f"{self.get_layer_info()}: {name} is {known} in this network, not {value}"
                )
        elif layer is not None and hasattr(layer, name):
            setattr(layer, name, value)
            self._redraw()
        else:
            self._declared[name] = value

    def _redraw(self) -> None:
        """Forget weights of other sizes."""
        layer: Any = self.layer
        for which in ("weight", "bias"):
            if hasattr(layer, which):
                setattr(layer, which, None)
        if self._drawable():
            layer.draw(generator())

    def _join(self, owner: Sequential) -> None:
        """Become part of a network that is built: sizes that were set must be its sizes."""
        declared, self._declared = self._declared, {}
        self._owner = owner
        for name, value in declared.items():
            self._set_size(name, value)

    def _checked(self, which: str, part: str, value: Any) -> Parameter | None:
        parameter: Parameter | None = getattr(self._leaf, which)
        need = 0 if parameter is None else parameter.size
        if np.size(value) != need:
            raise ValueError(
                f"{self.get_layer_info()}: {part} of {which} has {need} values, {np.size(value)} "
                "were given"
            )
        return parameter

    input_size: int = _size("input_size", "Units of a row of input; 0 before they are known.")
    output_size: int = _size("output_size", "Units of a row of output; 0 before they are known.")
    in_width: int = _size("in_width", "Width of an input image.")
    in_height: int = _size("in_height", "Height of an input image.")
    in_channels: int = _size("in_channels", "Channels of an input image.")
    out_width: int = _size("out_width", "Width of an output image.")
    out_height: int = _size("out_height", "Height of an output image.")
    out_channels: int = _size("out_channels", "Channels of an output image.")

    mu_w: Host = _moment("weight", "mu", "Means of the weights.")
    var_w: Host = _moment("weight", "var", "Variances of the weights.")
    mu_b: Host = _moment("bias", "mu", "Means of the biases.")
    var_b: Host = _moment("bias", "var", "Variances of the biases.")

    delta_mu_w: Host = _innovation("weight", "G", 1, "`var G` of the weights, from `backward` on.")
    delta_var_w: Host = _innovation(
        "weight", "L", 2, "`var^2 L` of the weights, from `backward` on."
    )
    delta_mu_b: Host = _innovation("bias", "G", 1, "`var G` of the biases, from `backward` on.")
    delta_var_b: Host = _innovation("bias", "L", 2, "`var^2 L` of the biases, from `backward` on.")

    @property
    def bias(self) -> bool:
        """Whether there are biases."""
        return bool(getattr(self._layer, "has_bias", False))

    @bias.setter
    def bias(self, value: bool) -> None:
        layer: Any = self._layer
        if bool(value) == self.bias:
            return
        if not hasattr(layer, "has_bias") or layer.input_shape is not None:
            raise ValueError(f"{self.get_layer_info()}: bias is {self.bias} and stays so")
        layer.has_bias = bool(value)
        self._redraw()

    @property
    def num_weights(self) -> int:
        """Number of weights; 0 before they are drawn."""
        return 0 if self._leaf.weight is None else self._leaf.weight.size

    @num_weights.setter
    def num_weights(self, value: int) -> None:
        self._expect("num_weights", self.num_weights, value)

    @property
    def num_biases(self) -> int:
        """Number of biases; 0 before they are drawn."""
        return 0 if self._leaf.bias is None else self._leaf.bias.size

    @num_biases.setter
    def num_biases(self, value: int) -> None:
        self._expect("num_biases", self.num_biases, value)

    def _expect(self, name: str, known: int, value: int) -> None:
        if value != known:
            raise ValueError(f"{self.get_layer_info()}: {name} is {known}, not {value}")

    @property
    def num_threads(self) -> int:
        """CPU threads of the whole process; setting it sets them for all layers."""
        return max(threads.counts(), default=1)

    @num_threads.setter
    def num_threads(self, value: int) -> None:
        set_threads(value)

    @property
    def training(self) -> bool:
        """Whether the layer behaves as in training; can be set for this layer alone.

        The network's `train` and `eval` set it for all layers.
        """
        own = self.layer.training
        if own is not None:
            return own
        return True if self._owner is None else self._owner.training

    @training.setter
    def training(self, value: bool) -> None:
        self.layer.training = bool(value)
        if self._owner is not None:
            self._owner.network.forget()

    @property
    def device(self) -> str:
        """Where the layer runs: that of its network."""
        return "cpu" if self._owner is None else self._owner.device

    @device.setter
    def device(self, value: str) -> None:
        check_device(value)


def set_threads(num_threads: int) -> None:
    """Set the CPU threads of matrix products and kernels, for the whole process.

    More than there are cores would only wait for each other: as many as cores are then used.

    Raises:
        ValueError: fewer than one.
    """
    if num_threads < 1:
        raise ValueError(f"{num_threads} threads: at least 1 is needed")
    threads.limited(min(num_threads, len(os.sched_getaffinity(0))))


def check_device(device: str) -> Backend:
    """Make sure that layers can run on a device.

    Returns:
        What runs them there.

    Raises:
        ValueError: `device` is neither `cpu` nor `cuda` nor `cuda:<index>`.
        RuntimeError: there is no such GPU.
    """
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise ValueError(f"device '{device}': allowed are cpu, cuda, cuda:<index>")
    if kind == "cuda" and not cuda.is_device_available(int(index or 0)):
        raise RuntimeError(
            f"device '{device}': found {cuda.get_device_count()} CUDA devices; "
            "pytagi.cuda.is_available() tells beforehand"
        )
    backend = select(device)
    if kind == "cuda" and backend.name != "cuda":
        raise RuntimeError(f"device '{device}': networks run on the CPU in this version")
    return backend
