"""Devices as the configuration, the doctor and opened runs see them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_cupy
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment import doctor
from tagi_cli.experiment.members import backend_to_open, make_backend
from tagi_cli.experiment.settings import Settings


def settings(**given: Any) -> Any:
    return SimpleNamespace(**{"device": "auto", "kernels": "auto", "precision": "float32", **given})


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("given", [{"device": "cuda:1"}, {"precision": "tf32"}])
def test_a_run_of_a_gpu_is_opened_on_the_cpu(given: dict[str, str]) -> None:
    with pytest.raises(UserError):
        make_backend(settings(**given))
    backend = backend_to_open(settings(**given))
    assert backend.name != "cuda"
    assert backend.dtype == "float32"


@pytest.mark.usefixtures("no_gpu")
def test_other_mistakes_are_told_when_a_run_is_opened() -> None:
    with pytest.raises(UserError, match="kernels: found 'host'"):
        backend_to_open(settings(device="cuda", kernels="host"))


def test_device_and_precision_are_checked_together() -> None:
    fields = {f.name: f.default for f in dataclasses.fields(Settings)}
    whole = SimpleNamespace(**fields | {"name": None, "device": "cpu", "precision": "tf32"})
    assert [f[:9] for f in Settings.faults(whole)] == ["precision"]
    whole = SimpleNamespace(**fields | {"name": "a/b", "device": "gpu"})
    assert [f.partition(":")[0] for f in Settings.faults(whole)] == ["device", "name"]


def test_the_doctor_tells_whether_a_gpu_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found() -> doctor.Finding:
        return next(f for f in doctor.examine() if f.topic == "CUDA")

    def gone() -> None:
        raise OSError("gone")

    cupy = fake_cupy.install(monkeypatch, tmp_path)
    assert found().found.startswith("CUDA kernels on GPU of the tests (cuda:0)")
    cupy.cuda.nvrtc.getVersion = gone
    assert found().found.endswith("CUDA does not work here: gone. Allowed here: cpu")
    assert not found().well
    fake_cupy.install(monkeypatch, tmp_path, devices=0)
    assert found().found.startswith("not used: no NVIDIA GPU is visible")
    assert found().well
