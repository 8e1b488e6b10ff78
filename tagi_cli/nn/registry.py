"""Layers by the name that configs use, with options read off their constructors."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tagi_cli import plugins
from tagi_cli.nn.init import METHODS
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers import (
    activations,
    attention,
    averages,
    batch_norm,
    conv,
    conv_transpose,
    dropout,
    embedding,
    layer_norm,
    linear,
    lstm,
    mixtures,
    pooling,
    positional_encoding,
    recurrent,
    rms_norm,
    scale,
    select,
    slstm,
    softmax,
    structure,
    transpose,
)
from tagi_cli.nn.layers.normalisation import STATISTICS
from tagi_cli.options import Registry, option


def _adopt(name: str, layer: Any) -> None:
    """Register the class of a plugin's layer."""
    if not (isinstance(layer, type) and issubclass(layer, Layer)):
        raise TypeError(f"{layer!r} is no subclass of tagi_cli.nn.Layer")
    if layer.kind != name:
        raise ValueError(f"{layer.__name__}.kind is '{layer.kind}' and not '{name}'")
    registry.register(name, *_made(layer))


registry = Registry("layer", plugins.LAYERS, _adopt)

# Ranges by argument name: a name means the same thing in every layer.
_RANGES: dict[str, dict[str, Any]] = {
    "input_size": {"minimum": 0},
    "output_size": {"minimum": 1},
    "in_channels": {"minimum": 0},
    "out_channels": {"minimum": 1},
    "in_width": {"minimum": 0},
    "in_height": {"minimum": 0},
    "kernel_size": {"minimum": 1},
    "stride": {"minimum": 1},
    "dilation": {"minimum": 1},
    "groups": {"minimum": 1},
    "padding_type": {"choices": (0, 1, 2)},
    "gain_weight": {"above": 0},
    "gain_bias": {"above": 0},
    "gain_mean": {"minimum": 0},
    "init_method": {"choices": METHODS},
    "negative_slope": {"minimum": 0},
    "num_features": {"minimum": 0},
    "normalized_shape": {"minimum": 1},
    "eps": {"above": 0},
    "momentum": {"minimum": 0, "maximum": 1},
    "statistics": {"choices": STATISTICS},
    "keep": {"minimum": 0, "maximum": 1},
    "mode": {"choices": dropout.MODES},
    "buffer_size": {"minimum": 1},
    "num_embeddings": {"minimum": 1},
    "embedding_dim": {"minimum": 1},
    "scale": {"above": 0},
    "padding_idx": {"minimum": -1},
    "shape": {"minimum": -1},
    "sizes": {"minimum": 1},
    "indices": {"minimum": 0},
    "per": {"choices": scale.SHARING},
    "spread": {"minimum": 0},
    "sd": {"minimum": 0},
    "base": {"above": 1},
    "axes": {"minimum": 0},
    "embed_dim": {"minimum": 0},
    "num_heads": {"minimum": 1},
    "num_kv_heads": {"minimum": 1},
    "theta": {"above": 1},
    "weighting": {"choices": attention.WEIGHTINGS},
    "seq_len": {"minimum": 0},
    "depth": {"minimum": 1},
    "dropout": {"minimum": 0, "below": 1},
    "output": {"choices": lstm.OUTPUTS},
    "covariance": {"choices": recurrent.COVARIANCES},
    "internal_state": {"choices": recurrent.INTERNAL_STATES},
    "state_var": {"minimum": 0},
    "carry": {"choices": recurrent.CARRIES},
}


# Of a pool it may be that of the kernel.
_POOL_RANGES = {**_RANGES, "stride": {"minimum": -1}}


def _documents(layer: type[Layer]) -> dict[str, str]:
    """The `Args:` entries of a layer's docstring."""
    text = inspect.getdoc(layer) or ""
    body = text.partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {6,}.*)*)", body, re.M)
    return {name: re.sub(r"\s+", " ", doc) for name, doc in entries}


def options_of(layer: type[Layer]) -> type[Any]:
    """A frozen dataclass with one option per constructor argument.

    `input_size`, `in_channels` and `embed_dim` are optional here: they are inferred from
    the layer before.
    """
    documents, hints = _documents(layer), typing.get_type_hints(layer.__init__)
    ranges = _POOL_RANGES if layer in (pooling.AvgPool2d, pooling.MaxPool2d) else _RANGES
    required: list[Any] = []
    optional: list[Any] = []
    for name, argument in inspect.signature(layer).parameters.items():
        default = 0 if name in ("input_size", "in_channels", "embed_dim") else argument.default
        known: dict[str, Any] = {} if default is inspect.Parameter.empty else {"default": default}
        if name not in documents:
            raise ValueError(f"the docstring of {layer.__name__} has no entry Args: {name}")
        field = option(doc=documents[name], **known, **ranges.get(name, {}))
        (optional if known else required).append((name, hints[name], field))
    made = dataclasses.make_dataclass(
        f"{layer.__name__}Options",
        required + optional,
        frozen=True,
        namespace={"faults": _faults(layer, [name for name, _, _ in required + optional])},
    )
    made.__doc__ = inspect.getdoc(layer)
    made.__module__ = __name__
    return made


def _faults(layer: type[Layer], names: Sequence[str]) -> Callable[[Any], list[str]]:
    """The method of options that tells what the layer itself refuses."""

    def faults(self: Any) -> list[str]:
        try:
            layer(**{name: getattr(self, name) for name in names})
        except ValueError as error:
            return [f": {error}"]
        return []

    return faults


def build_layer(options: Any) -> Layer:
    """The layer that an options dataclass of this registry describes."""
    try:
        kind = registry.of(options)
    except KeyError:
        raise TypeError(f"{type(options).__name__} describes no layer") from None
    return kind.build(options)  # type: ignore[no-any-return]


def _made(layer: type[Layer]) -> tuple[type[Any], Callable[..., Any]]:
    """Options and builder of a layer."""

    def build(options: Any) -> Layer:
        return layer(**{f.name: getattr(options, f.name) for f in dataclasses.fields(options)})

    return options_of(layer), build


for _layer in (
    linear.Linear,
    conv.Conv2d,
    conv_transpose.ConvTranspose2d,
    pooling.AvgPool2d,
    pooling.MaxPool2d,
    activations.ReLU,
    activations.LeakyReLU,
    activations.MixtureReLU,
    activations.Tanh,
    activations.Sigmoid,
    activations.EvenExp,
    activations.Softplus,
    mixtures.MixtureLeakyReLU,
    mixtures.MixtureTanh,
    mixtures.MixtureSigmoid,
    softmax.Softmax,
    softmax.ClosedFormSoftmax,
    softmax.Remax,
    batch_norm.BatchNorm2d,
    layer_norm.LayerNorm,
    rms_norm.RMSNorm,
    dropout.Dropout,
    averages.MovingAverage,
    averages.ExponentialMovingAverage,
    embedding.Embedding,
    attention.MultiheadAttention,
    scale.Scale,
    scale.Offset,
    positional_encoding.PositionalEncoding,
    lstm.LSTM,
    slstm.SLSTM,
    slstm.SLinear,
    structure.Flatten,
    structure.Reshape,
    structure.Add,
    structure.Concat,
    structure.Split,
    select.Select,
    transpose.Transpose,
):
    registry.register_late(_layer.kind, partial(_made, _layer))
