"""How a process finds its ranks, and every mistake in asking for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tagi_cli.distributed import ALONE, BACKENDS, DistributedOptions, connect
from tagi_cli.distributed.mpi import MpiCommunicator
from tagi_cli.distributed.nccl import NcclCommunicator
from tagi_cli.errors import UserError

connecting = sys.modules["tagi_cli.distributed.connect"]


class FakeRanks:
    """As much of MPI's communicator as connecting needs."""

    def __init__(self, size: int) -> None:
        self.size = size

    def Dup(self) -> FakeRanks:
        return self

    def Split_type(self, kind: int) -> FakeRanks:
        return self

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return self.size

    def allgather(self, value: Any) -> list[Any]:
        return [value] * self.size


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Connections are kept for the whole process."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield
    connecting._world.cache_clear()
    connecting._nccl.cache_clear()


def launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")


def install(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    package, module = ModuleType("mpi4py"), ModuleType("mpi4py.MPI")
    module.COMM_WORLD, module.COMM_TYPE_SHARED = FakeRanks(size), 1  # type: ignore[attr-defined]
    package.MPI = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mpi4py", package)
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", module)


def install_cupy(monkeypatch: pytest.MonkeyPatch, gpus: int, nccl: bool = True) -> None:
    cupy, cuda, library = ModuleType("cupy"), ModuleType("cupy.cuda"), ModuleType("cupy.cuda.nccl")
    library.available = nccl  # type: ignore[attr-defined]
    library.NCCL_FLOAT32, library.NCCL_FLOAT64, library.NCCL_INT32 = 7, 8, 2  # type: ignore[attr-defined]
    cuda.nccl, cuda.is_available = library, lambda: gpus > 0  # type: ignore[attr-defined]
    cuda.runtime = SimpleNamespace(getDeviceCount=lambda: gpus)  # type: ignore[attr-defined]
    cupy.cuda = cuda  # type: ignore[attr-defined]
    for name, module in (("cupy", cupy), ("cupy.cuda", cuda), ("cupy.cuda.nccl", library)):
        monkeypatch.setitem(sys.modules, name, module)


def missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)


def test_alone_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """MPI is not even imported."""
    missing(monkeypatch, "mpi4py")
    assert connect("auto") is ALONE
    assert connect("none") is ALONE
    assert DistributedOptions().backend == "auto"
    assert set(BACKENDS) == {"auto", "none", "mpi", "nccl"}


def test_unknown_word() -> None:
    with pytest.raises(UserError, match=r"distributed\.backend: found 'mpl'.*mpi"):
        connect("mpl")


def test_alone_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch)
    with pytest.raises(UserError, match=r"found 'none', but a launcher has started 2 ranks"):
        connect("none")


@pytest.mark.parametrize("backend", ["mpi", "nccl"])
def test_without_mpi4py(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    missing(monkeypatch, "mpi4py")
    with pytest.raises(UserError, match=r"mpi4py is not installed. Install tagi-cli\[mpi\]"):
        connect(backend)


def test_mpiexec_of_another_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 1)
    launch(monkeypatch)
    with pytest.raises(UserError, match=r"has started 2 ranks, but mpi4py sees 1"):
        connect("auto")


def test_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 2)
    missing(monkeypatch, "cupy")
    launch(monkeypatch)
    found = connect("mpi", timeout=30)
    assert isinstance(found, MpiCommunicator)
    assert found.watch.timeout == 30
    assert (found.rank, found.size, found.local_size) == (0, 2, 2)
    assert connect("mpi") is found
    assert connect("auto").backend == "mpi"


def test_one_rank_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 1)
    assert connect("mpi") is ALONE


def test_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 2)
    install_cupy(monkeypatch, 2)
    launch(monkeypatch)
    for backend in ("nccl", "auto"):
        found = connect(backend)
        assert isinstance(found, NcclCommunicator)
        assert found.size == 2


@pytest.mark.parametrize(
    ("gpus", "library", "reason"),
    [
        (2, False, "CuPy finds no NCCL library"),
        (0, True, "no NVIDIA GPU is visible"),
        (1, True, "2 ranks on a machine with 1 visible GPUs"),
    ],
)
def test_no_nccl_names_mpi(
    monkeypatch: pytest.MonkeyPatch, gpus: int, library: bool, reason: str
) -> None:
    install(monkeypatch, 2)
    install_cupy(monkeypatch, gpus, library)
    with pytest.raises(UserError, match=f"found 'nccl', but .*{reason}.*Allowed here: mpi"):
        connect("nccl")
    launch(monkeypatch)
    assert connect("auto").backend == "mpi"


def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 2)
    missing(monkeypatch, "cupy")
    missing(monkeypatch, "cupy.cuda")
    with pytest.raises(UserError, match="CuPy is not installed"):
        connect("nccl")


def test_a_cupy_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, 2)
    install_cupy(monkeypatch, 2)
    monkeypatch.delattr(sys.modules["cupy.cuda"], "is_available")
    with pytest.raises(UserError, match=r"CuPy does not load \(cannot import name"):
        connect("nccl")
