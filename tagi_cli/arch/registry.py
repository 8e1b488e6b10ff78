"""Architectures by name: `kind.build(options, input_shape, outputs)` gives a fresh layer."""

from __future__ import annotations

from tagi_cli.options import Registry

registry = Registry("arch")
