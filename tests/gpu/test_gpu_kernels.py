"""Every kernel on a GPU against its NumPy reference: the cases of the CPU."""

from __future__ import annotations

import kernel_harness
import pytest
from kernel_cases import cases

from tagi_cli.backend.cuda import linear as cuda_linear
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.select import without_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(without_gpu()), reason=without_gpu())]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_harness, "compiled", CudaBackend)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers count as large, so that they are left to cuBLAS."""
    monkeypatch.setattr(cuda_linear, "FUSED_WORK", 0)


globals().update(cases())
for name, case in cases().items():
    if "kernels_linear" in name:
        globals()[f"{name}_by_cublas"] = pytest.mark.usefixtures("large")(case)
