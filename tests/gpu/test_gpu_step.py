"""Sums and update of a fully connected layer in one kernel, on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from fused_step import NETWORKS, SHAPES, assert_step_agrees, limited, trained

from tagi_cli.backend.cuda import linear as cuda_linear
from tagi_cli.backend.select import without_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(without_gpu()), reason=without_gpu())]


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("shape", [*SHAPES, (100, 784, 128), (128, 1000, 777)])
def test_it_equals_sums_then_step(
    shape: tuple[int, int, int], size: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(monkeypatch, size)
    assert_step_agrees(shape, bias=True, precision=precision)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_is_the_same_with_it_and_without(
    name: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as all_by_cublas:
        all_by_cublas.setattr(cuda_linear, "FUSED_WORK", 0)
        want, _ = trained(name, "information_capped", monkeypatch, "none", "float64")
    got, fused = trained(name, "information_capped", monkeypatch, size, "float64")
    assert fused == NETWORKS[name][2]
    for key, value in want.items():
        np.testing.assert_allclose(got[key], value, rtol=1e-9, atol=1e-12, err_msg=key)
