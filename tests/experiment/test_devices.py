"""Devices as the configuration, the doctor and opened runs see them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import broken_compiler
import fake_cupy
import pytest

import tagi_cli
from tagi_cli.backend.notes import say_once
from tagi_cli.data.options import DataOptions
from tagi_cli.errors import UserError
from tagi_cli.experiment import doctor, run
from tagi_cli.experiment.members import backend_to_open, make_backend
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.experiment.tasks import RegressionOptions

from .conftest import summary


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("given", [{"device": "cuda:1"}, {"precision": "tf32"}])
def test_a_run_of_a_gpu_is_opened_on_the_cpu(
    given: dict[str, str],
    make_settings: Callable[..., Settings],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserError):
        make_backend(make_settings(**given))
    say_once.cache_clear()
    for _ in range(2):
        backend = backend_to_open(make_settings(**given))
        assert backend.name != "cuda"
        assert backend.dtype == "float32"
    assert capfd.readouterr().err.count("tagi: on the CPU, in float32: ") == 1


@pytest.mark.usefixtures("no_gpu")
def test_a_run_of_compiled_kernels_is_opened_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    make_settings: Callable[..., Settings],
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken_compiler.install(monkeypatch, tmp_path)
    with pytest.raises(UserError, match=r"kernels: no compiled ones here: .* Allowed: numpy, or"):
        make_backend(make_settings(kernels="host"))
    backend = backend_to_open(make_settings(kernels="host", precision="float64"))
    assert (backend.name, backend.dtype) == ("numpy", "float64")
    said = capfd.readouterr().err
    assert said.count("tagi: kernels run on NumPy, which is slower: ") == 1


def test_a_run_goes_on_and_says_so_where_kernels_do_not_compile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    changes = {"trainer.max_epochs": 2, "viz.enabled": False}
    on_numpy = run.train(make_settings(kernels="numpy", **changes), "tagi train", tmp_path)
    broken_compiler.install(monkeypatch, tmp_path, compiles="runtime.cpp")
    folder = run.train(make_settings(**changes), "tagi train", tmp_path)
    assert summary(folder)["test"] == summary(on_numpy)["test"]
    origin = json.loads((folder / "environment.json").read_text())
    assert origin["device"].startswith("NumPy")
    model = tagi_cli.load(folder)
    again = tagi_cli.load(on_numpy)
    x = {"a": [0.5], "kind": ["red"]}
    assert model.predict(x).mean == again.predict(x).mean


def test_device_and_precision_are_checked_together() -> None:
    fields = {
        f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        for f in dataclasses.fields(Settings)
    }
    fields |= {"dtype": "float32", "task": RegressionOptions(), "data": DataOptions(name="sine")}
    for group, kind in (("arch", "mlp"), ("noise", "auto")):
        fields[group] = registries()[group][kind].options()
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
