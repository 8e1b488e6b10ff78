"""Named architectures built from layers."""

from __future__ import annotations

from tagi_cli.arch import graph as graph
from tagi_cli.arch import mlp as mlp
from tagi_cli.arch import sequential as sequential
from tagi_cli.arch.registry import registry as registry
