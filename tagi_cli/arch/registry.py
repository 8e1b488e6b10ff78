"""Architectures by name: `kind.build(options, input_shape, outputs)` gives a fresh layer."""

from __future__ import annotations

import dataclasses
from typing import Any

from tagi_cli import plugins
from tagi_cli.nn import Layer
from tagi_cli.options import Registry


def _adopt(name: str, options: Any) -> None:
    """Register the options class of a plugin, which builds the network in its method `build`."""
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        raise TypeError(f"{options!r} is no dataclass of options")
    if not callable(getattr(options, "build", None)):
        raise TypeError(f"{options.__name__} has no method build(input_shape, outputs)")

    def build(options: Any, input_shape: tuple[int, ...], outputs: int) -> Layer:
        layer = options.build(input_shape, outputs)
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(options).__name__}.build gave {layer!r}, which is no nn.Layer")
        return layer

    registry.register(name, options, build)


registry = Registry("arch", plugins.ARCHITECTURES, _adopt)
