"""The benchmarks run from end to end, on data of a moment, and leave the tracked results alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
Module = Callable[[str], ModuleType]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def saved(folder: Path, name: str, *words: str) -> dict[str, Any]:
    """What a benchmark saves; the tracked results and the page stay as they were."""
    tracked = [*RESULTS.glob("*.json"), ROOT / "docs" / "performance.md"]
    before = {path: path.read_bytes() for path in tracked}
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words]
    done = subprocess.run(
        [*command, "--save", "saved.json"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert {path: path.read_bytes() for path in tracked} == before
    found: dict[str, Any] = json.loads((folder / "saved.json").read_text())
    return found


def idx(path: Path, values: np.ndarray) -> None:
    """Write a compressed IDX file of bytes."""
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(head + values.tobytes()))


def write_set(folder: Path) -> None:
    """Sixty rows of three inputs, as the UCI sets are kept."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x.sum(axis=1) + 0.1 * rng.normal(size=60)
    folder.mkdir()
    np.savetxt(folder / "data.txt", np.column_stack([x, y]))
    (folder / "index_features.txt").write_text("0\n1\n2\n")
    (folder / "index_target.txt").write_text("3\n")


def test_uci(tmp_path: Path, module: Module) -> None:
    write_set(tmp_path / "yacht")
    write_set(tmp_path / "stranger")
    found = saved(
        tmp_path,
        "uci",
        *("--data", ".", "--splits", "2"),
        *("trainer.max_epochs=2", "ensemble.size=1", "viz.enabled=false"),
    )
    assert found["sets"]["yacht"]["rows"] == 60
    assert found["sets"]["yacht"]["inputs"] == 3
    assert set(found["sets"]["stranger"]["results"]) == {"defaults"}
    tested = [(test["of"], test["against"]) for test in found["sets"]["yacht"]["sign_tests"]]
    assert ("defaults", "paper") in tested
    made = module("accuracy_tables").uci(found)
    assert "| stranger, 60 x 3 | tagi, defaults | " in made["uci"]
    assert "PBP 400" in made["published"]


def test_ablations(tmp_path: Path, module: Module) -> None:
    write_set(tmp_path / "yacht")
    found = saved(
        tmp_path,
        "ablations",
        *("--data", ".", "--sets", "yacht", "--splits", "2", "--only", "ensemble"),
    )
    (alternatives,) = found["sets"]["yacht"]["changed"].values()
    for one in alternatives.values():
        gain = one["gain"]["mean"]
        assert gain == pytest.approx(
            found["sets"]["yacht"]["defaults"]["nll"]["mean"] - one["nll"]["mean"]
        )
    assert "| ensemble | 1 | " in module("ablation_tables").ablations(found)["ablations"]


def test_mnist(tmp_path: Path, module: Module) -> None:
    rng = np.random.default_rng(0)
    for part, count in (("train", 64), ("t10k", 32)):
        idx(
            tmp_path / f"{part}-images-idx3-ubyte.gz",
            rng.integers(0, 256, (count, 28, 28), dtype=np.uint8),
        )
        idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8) % 10)
    found = saved(
        tmp_path,
        "mnist",
        *("trainer.max_epochs=1", "data.batch_size=16"),
        *("--data", ".", "--only", "fnn", "autoencoder", "--seeds", "0"),
    )
    assert set(found["tasks"]) == {"fnn_3", "fnn_10", "autoencoder_10"}
    assert found["tasks"]["autoencoder_10"]["rmse_of_16_principal_components"] > 0
    assert "| 784-128-128, 3 epochs | " in module("image_tables").mnist(found)["mnist"]


def test_series(tmp_path: Path, module: Module) -> None:
    (tmp_path / "sine").mkdir()
    for name in ("train", "test"):
        lines = [f"2021-07-{1 + k:02d},{np.sin(k / 3):.4f}" for k in range(30)]
        (tmp_path / "sine" / f"{name}.csv").write_text("\n".join(["datetime,sin", *lines]) + "\n")
    found = saved(
        tmp_path,
        "series",
        *("--data", ".", "--only", "sine", "quarterly", "recall10", "--series", "8"),
        *("--forecast-seeds", "1", "--memory-seeds", "1", "--memory-epochs", "1"),
        *("trainer.max_epochs=1", "ensemble.size=1"),
    )
    assert set(found["forecasts"]) == {"sine", "quarterly"}
    assert found["memory"]["recall10"]["epochs"] == 1
    made = module("series_tables").series(found)
    assert "| 300 generated series" in made["forecasts"]
    assert "| recall10 | " in made["memory"]


def test_latent(tmp_path: Path, module: Module) -> None:
    found = saved(
        tmp_path,
        "latent",
        *("--rows", "300", "--inputs", "6", "--outputs", "5", "--latents", "2"),
        *("--epochs", "1", "--batch", "32"),
    )
    (run,) = found["regression"]["runs"]
    assert run["peak_memory_bytes"] > 0
    assert "| 32 | " in module("accuracy_tables").latent(found)["latent"]


def test_speed(tmp_path: Path, module: Module) -> None:
    workload = "13-50-1, B=10"
    found = saved(
        tmp_path, "speed", "--parts", "workloads", "--workloads", workload, "--rounds", "1"
    )
    (measured,) = found["workloads"]["measured"]
    assert measured["name"] == workload
    assert measured["seconds"]["numpy"]["samples"] == 1
    assert f"| {workload}, epoch | " in module("speed_tables").speed(found)["workloads"]
