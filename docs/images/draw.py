"""Draw the picture of the README: train on the bundled sine, predict inside and outside the data.

python docs/images/draw.py writes docs/images/sine.svg.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tagi_cli
from tagi_cli.data import bundled

PICTURE = Path(__file__).with_name("sine.svg")
BLUE = "#1f5fa8"


def trained(folder: str) -> Path:
    """The run folder of `tagi train config=sine`."""
    command = [sys.executable, "-m", "tagi_cli.cli.main", "train", "config=sine"]
    subprocess.run(command, cwd=folder, check=True)
    (summary,) = Path(folder).glob("outputs/*/*/summary.json")
    return summary.parent


def draw(run: Path) -> None:
    """Data, mean, 90 % interval, and the part of it that more data would remove."""
    table = bundled.sine_table()
    model = tagi_cli.load(str(run))
    x = np.linspace(-7.0, 7.0, 201)
    moments = model.predict(x[:, None])
    low, high = (model.quantile(x[:, None], p)[:, 0] for p in (0.05, 0.95))
    mean, epistemic = moments.mean[:, 0], 1.645 * moments.sd_epistemic[:, 0]

    plt.rcParams.update({"svg.hashsalt": "tagi", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7.2, 2.9), layout="constrained")
    axes.fill_between(x, low, high, color=BLUE, alpha=0.2, lw=0, label="90 % interval")
    axes.fill_between(
        x,
        mean - epistemic,
        mean + epistemic,
        color=BLUE,
        alpha=0.35,
        lw=0,
        label="part of it that more data would remove",
    )
    axes.plot(x, mean, color=BLUE, lw=1.4, label="mean")
    axes.plot(table["x"], table["y"], ".", color="#999", ms=2, label="data", zorder=0)
    axes.set(xlabel="x", ylabel="y", xlim=(x[0], x[-1]), ylim=(-1.9, 2.4))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=2, loc="upper center")
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "Agg")
    with tempfile.TemporaryDirectory() as scratch:
        draw(trained(scratch))
