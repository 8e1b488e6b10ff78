"""Every kind of layer on the GPU backend, run on the CPU."""

from __future__ import annotations

import fake_cupy
import pytest
from every_layer import KINDS, assert_layer_agrees
from kernel_harness import needs_compiler

from tagi_cli.backend.cuda.backend import CudaBackend

pytestmark = needs_compiler


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_as_on_the_cpu(
    kind: str, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Step by step; the second is captured as a graph, which the third replays."""
    fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))
    assert_layer_agrees(kind, CudaBackend("float64"))
