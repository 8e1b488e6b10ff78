"""Choosing a backend: what the words mean, what is refused, and how."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cupy
import pytest

from tagi_cli.backend import select
from tagi_cli.backend.notes import say_once
from tagi_cli.backend.select import KERNELS, PRECISIONS, faults
from tagi_cli.errors import UserError

Gpus = Callable[[int | None], Any]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gpus:
    """Pretend to have so many GPUs, or with None no CuPy."""

    def pretend(count: int | None) -> Any:
        say_once.cache_clear()
        if count is None:
            monkeypatch.setitem(sys.modules, "cupy", None)
            return None
        return fake_cupy.install(monkeypatch, tmp_path, count)

    return pretend


def test_auto_takes_the_first_gpu(gpus: Gpus) -> None:
    gpus(2)
    assert "cuda:0" in select("auto").describe()
    assert select("auto", precision="float64").dtype == "float64"
    assert select("auto", precision="tf32").dtype == "float32"
    assert "tf32" in select("auto", precision="tf32").describe()


def test_a_gpu_is_taken_by_number(gpus: Gpus) -> None:
    gpus(2)
    assert "cuda:0" in select("cuda").describe()
    assert "cuda:1" in select("cuda:1").describe()


@pytest.mark.parametrize("count", [None, 0])
def test_auto_takes_the_cpu_without_a_gpu(gpus: Gpus, count: int | None) -> None:
    gpus(count)
    assert select("auto").name != "cuda"


@pytest.mark.parametrize("arguments", [("cpu",), ("auto", "numpy"), ()])
def test_the_cpu_is_taken_when_asked_for(gpus: Gpus, arguments: tuple[str, ...]) -> None:
    gpus(1)
    assert select(*arguments).name != "cuda"


def test_without_cupy_the_extra_to_install_is_named(gpus: Gpus) -> None:
    gpus(None)
    with pytest.raises(UserError, match=r"'cuda:1', but CuPy .* Install tagi-cli\[cuda12\] or"):
        select("cuda:1")


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("OSError('[Errno 30] Read-only')", r"load: \[Errno 30\] Read-only. .* CUPY_CACHE_DIR"),
        ("ImportError('libcublas.so.13:\\n cannot open')", "load: libcublas.so.13: cannot open."),
        ("ModuleNotFoundError('No fastrlock', name='fastrlock')", "load: No fastrlock."),
    ],
)
def test_why_cupy_does_not_load_is_told(
    raised: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cupy.py").write_text(f"raise {raised}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(UserError, match=f"'cuda', but CuPy does not {told}"):
        select("cuda")
    assert select("auto").name != "cuda"


def test_without_a_gpu_the_places_to_look_are_named(gpus: Gpus) -> None:
    gpus(0)
    with pytest.raises(UserError, match=r"no NVIDIA GPU is visible: .*CUDA_VISIBLE_DEVICES"):
        select("cuda")


@pytest.mark.parametrize(
    ("count", "there"),
    [(1, "1 GPU is visible. Allowed: auto, cpu, cuda:0"), (2, "2 GPUs are .* cuda:0, cuda:1")],
)
def test_a_gpu_that_is_not_there_is_refused(gpus: Gpus, count: int, there: str) -> None:
    gpus(count)
    with pytest.raises(UserError, match=f"device: found 'cuda:2', but {there}"):
        select("cuda:2")


@pytest.mark.parametrize("kind", [ImportError, RuntimeError])
def test_a_broken_cuda_is_told_and_auto_goes_on_without(
    gpus: Gpus, kind: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise kind("libnvrtc.so is not there")

    gpus(1).cuda.nvrtc.getVersion = broken
    message = "device: found 'cuda', but CUDA does not work here: libnvrtc.so is not there"
    with pytest.raises(UserError, match=message):
        select("cuda")
    assert select("auto").name != "cuda"
    assert "tagi: not on the GPU: device: found 'cuda:0', but CUDA" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gpu",), "device: found 'gpu'. Allowed: auto, cpu, cuda, or cuda:<number>"),
        (("gpu:1",), "one of several GPUs. Did you mean 'cuda'?"),
        (("cuda:",), "device: found 'cuda:'. Allowed: "),
        (("cdua",), "Did you mean 'cuda'?"),
        (("cpu", "nunpy"), "kernels: found 'nunpy'. Allowed: auto, numpy, host. Did you mean"),
        (("cpu", "auto", "float23"), "precision: found 'float23'. Allowed: float32, float64, tf32"),
        (("cpu", "auto", "tf32"), "precision: found 'tf32', which is an arithmetic of GPUs. All"),
        (("auto", "numpy", "tf32"), "precision: found 'tf32', which is an arithmetic of GPUs. All"),
        (("auto", "auto", "tf32"), "precision: found 'tf32', .* no GPU is in use. Allowed on the"),
        (("cuda", "host"), "kernels: found 'host', a way to run on the CPU, with device 'cuda'"),
    ],
)
def test_mistakes_are_told(gpus: Gpus, arguments: tuple[str, ...], message: str) -> None:
    gpus(None)
    pattern = message.replace("?", r"\?").replace("'. ", r"'\. ")
    with pytest.raises(UserError, match=pattern):
        select(*arguments)


def test_all_mistakes_are_found_at_once() -> None:
    assert len(faults("gpu", "nunpy", "float16")) == 3
    assert not [f for k in KERNELS for p in PRECISIONS[:2] for f in faults("cpu", k, p)]
    assert not [f for d in ("auto", "cuda", "cuda:12") for f in faults(d, "auto", "tf32")]
