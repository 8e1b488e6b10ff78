"""The GPU's kernels and drivers, run on the CPU, against their NumPy references."""

from __future__ import annotations

import fake_cupy
import kernel_harness
import pytest
from kernel_cases import cases

from tagi_cli.backend import sources
from tagi_cli.backend.cuda import linear as cuda_linear
from tagi_cli.backend.cuda.backend import CudaBackend
from tagi_cli.backend.reference import KERNELS
from tagi_cli.paths import resource_dir

pytestmark = kernel_harness.needs_compiler


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))
    monkeypatch.setattr(kernel_harness, "compiled", CudaBackend)


globals().update(cases())


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All layers count as large, so that they are left to cuBLAS."""
    monkeypatch.setattr(cuda_linear, "FUSED_WORK", 0)


for name, case in cases().items():
    if "kernels_linear" in name:
        globals()[f"{name}_by_cublas"] = pytest.mark.usefixtures("large")(case)


def test_every_kernel_runs_on_a_gpu() -> None:
    drivers = set(CudaBackend()._drivers)
    assert set(KERNELS) <= drivers | set(sources.cuda_units())


def test_formulas_stand_once() -> None:
    """A kernel of both folders is written for the host alone in the shared one."""
    folder = resource_dir("kernels")
    for path in (folder / "gpu").glob("*.cu"):
        shared = folder / path.name
        if shared.is_file():
            text = sources.without_host(shared.read_text())
            again = {*sources.kernel_names(text)} & {*sources.kernel_names(path.read_text())}
            assert not again
