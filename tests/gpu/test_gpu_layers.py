"""Every kind of layer on a GPU."""

from __future__ import annotations

import pytest
from every_layer import KINDS, assert_layer_agrees

from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.select import without_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(without_gpu()), reason=without_gpu())]


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_as_on_the_cpu(kind: str) -> None:
    assert_layer_agrees(kind, CudaBackend("float64"))
