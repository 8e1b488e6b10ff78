"""Latent regression at the size of a recording: seconds per epoch of `tagi train`, and memory.

python benchmarks/latent.py [--rows 100000] [--inputs 500] [--outputs 500] [--latents 20]
                            [--batch 64 256] [--epochs 3] [--save <file>]

Outputs are drawn through latents of inputs, as a linear map with noise; the table is an NPZ file in
a temporary folder, which takes about 4 bytes per value. Each run is a process of its own. Seconds
are those that the run itself records for each epoch, of which the best counts, as others share the
machine. Memory is the largest that the process had at once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import environment
from results import add_save, destination, keep

BLOCK = 10_000
NOISE = 0.5

ARCH = """
arch:
  kind: latent_regression
  inputs: {{x: {{columns: ["x*"], latents: {latents}}}}}
  outputs: {{y: {{columns: ["y*"], latents: {latents}}}}}
"""


def write(path: Path, rows: int, inputs: int, outputs: int, latents: int) -> None:
    """Draw the table, some rows at a time."""
    rng = np.random.default_rng(0)
    p, u = (rng.standard_normal((n, latents), np.float32) for n in (inputs, outputs))
    x = np.empty((rows, inputs), np.float32)
    y = np.empty((rows, outputs), np.float32)
    for begin in range(0, rows, BLOCK):
        part = slice(begin, begin + BLOCK)
        x[part] = rng.standard_normal(x[part].shape, np.float32)
        y[part] = x[part] @ (p / inputs**0.5) @ (u.T / latents**0.5)
        y[part] += NOISE * rng.standard_normal(y[part].shape, np.float32)
    np.savez(path, x=x, y=y)


def run(folder: Path, arguments: argparse.Namespace, batch: int) -> dict[str, Any]:
    """Train once, in a process of its own."""
    (folder / "arch.yaml").write_text(ARCH.format(latents=arguments.latents))
    words = [
        "train", "config=arch.yaml", "data.path=table.npz", "data.out_components=[y*]",
        "data.split_portions=[0.98,0,0.02]", f"data.batch_size={batch}", f"name=b{batch}",
        f"trainer.max_epochs={arguments.epochs}", "trainer.update_rule=information",
        "trainer.early_stopping.enabled=false", "ensemble.size=1", "viz.enabled=false",
        "predictor.splits=[]", "device=cpu",
    ]  # fmt: skip
    script = "import sys; from tagi_cli.cli.main import main; sys.exit(main(sys.argv[1:]))"
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", script, *words], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
    seconds = time.perf_counter() - begun
    (made,) = folder.glob(f"outputs/b{batch}/*")
    lines = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    epochs = np.diff([0.0, *(line["seconds"] for line in lines)]).tolist()
    test = json.loads((made / "summary.json").read_text())["test"]
    return {
        "batch_size": batch,
        "seconds_per_epoch": min(epochs),
        "epochs": epochs,
        "seconds_of_command": seconds,
        "peak_memory_bytes": 1024 * usage.ru_maxrss,
        "rmse": test["rmse"],
        "coverage_90": test["coverage_90"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, value in (("rows", 100_000), ("inputs", 500), ("outputs", 500), ("latents", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--epochs", type=int, default=3)
    add_save(parser)
    arguments = parser.parse_args()
    target = destination(parser, arguments, "latent", free=set())
    sizes = {name: getattr(arguments, name) for name in ("rows", "inputs", "outputs", "latents")}
    found, before = [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "table.npz", **sizes)
        for batch in arguments.batch:
            found.append(run(folder, arguments, batch))
            one = found[-1]
            print(
                f"batches of {batch}: {one['seconds_per_epoch']:.1f} s per epoch, "
                f"{one['seconds_of_command']:.0f} s in all, "
                f"{one['peak_memory_bytes'] / 2**30:.1f} GiB, "
                f"RMSE {one['rmse']:.4f} (noise {NOISE})",
                flush=True,
            )
    record = {"environment": environment(), "load_average": [before, os.getloadavg()[0]]}
    keep(target, record | sizes | {"noise": NOISE, "runs": found}, "regression")


if __name__ == "__main__":
    main()
