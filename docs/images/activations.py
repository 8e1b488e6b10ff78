"""Draw the moments of activations for the theory pages.

python docs/images/activations.py writes docs/images/activations.svg and docs/images/softmax.svg.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import softmax

from tagi_cli import nn
from tagi_cli.backend import select

FOLDER = Path(__file__).parent
BLUE, ORANGE, GREY = "#1f5fa8", "#c7691b", "#999"
Host = np.ndarray[Any, Any]
Function = Callable[[Host], Host]

ELEMENTWISE: list[tuple[nn.Layer, Function]] = [
    (nn.ReLU(), lambda z: np.maximum(z, 0)),
    (nn.LeakyReLU(), lambda z: np.where(z > 0, z, 0.1 * z)),
    (nn.Sigmoid(), lambda z: 1 / (1 + np.exp(-z))),
    (nn.Tanh(), np.tanh),
    (nn.Softplus(), lambda z: np.logaddexp(0, z)),
    (nn.MixtureReLU(), lambda z: np.maximum(z, 0)),
    (nn.MixtureLeakyReLU(), lambda z: np.where(z > 0, z, 0.1 * z)),
    (nn.MixtureSigmoid(), lambda z: np.clip((z + 1) / 2, 0, 1)),
    (nn.MixtureTanh(), lambda z: np.clip(z, -1, 1)),
    (nn.EvenExp(), np.exp),
]


def share(z: Host) -> Host:
    """Share of each rectified element of a row in their sum."""
    r = np.maximum(z, 0)
    total = r.sum(axis=-1, keepdims=True)
    return np.where(total > 0, r / np.where(total > 0, total, 1), 1 / z.shape[-1])


ROWS: list[tuple[nn.Layer, Function]] = [
    (nn.Softmax(), lambda z: softmax(z, axis=-1)),
    (nn.ClosedFormSoftmax(), lambda z: softmax(z, axis=-1)),
    (nn.Remax(), share),
]


def moments(layer: nn.Layer, m: Host, v: Host) -> tuple[Host, Host, Host]:
    """Mean, standard deviation and Jacobian that a layer gives for inputs `N(m, v)`."""
    backend = select(kernels="numpy", precision="float64")
    net = nn.Network(layer, m.shape[1:], backend=backend)
    mu, var = net(m, v)
    return mu, np.sqrt(var), np.array(net.current.plan.output.jac)


def panel(axes: Axes, m: Host, ours: tuple[Host, ...], sampled: Host, title: str) -> None:
    """Mean, band and Jacobian of a layer, and the sampled mean and band."""
    mu, sd, jac = ours
    axes.fill_between(m, mu - sd, mu + sd, color=BLUE, alpha=0.2, lw=0, label="mean, 1 sd: ours")
    axes.plot(m, mu, color=BLUE, lw=1.4)
    axes.plot(m, jac, color=ORANGE, lw=1, ls="--", label="J")
    centre, spread = sampled.mean(axis=0), sampled.std(axis=0)
    for line in (centre, centre - spread, centre + spread):
        axes.plot(m, line, color=GREY, lw=0.8, ls=":", label="sampled" if line is centre else None)
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def write(figure: Figure, name: str) -> None:
    """Save a figure with coordinates to a hundredth of a point: a third of the size."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    (FOLDER / name).write_text(re.sub(r"(\.\d\d)\d+", r"\1", text.getvalue()))
    plt.close(figure)


def draw_elementwise() -> None:
    """All elementwise activations over the mean of their input, at variance 1."""
    m = np.linspace(-4, 4, 49)
    z = m + np.random.default_rng(0).standard_normal((20_000, 1))
    figure, grid = plt.subplots(2, 5, figsize=(10, 4.4), layout="constrained", sharex=True)
    for axes, (layer, function) in zip(grid.flat, ELEMENTWISE, strict=True):
        x = np.repeat(m, 2)[None] if isinstance(layer, nn.EvenExp) else m[None]
        ours = [part[0] for part in moments(layer, x, np.ones_like(x))]
        if isinstance(layer, nn.EvenExp):
            ours = [part[1::2] for part in ours]
            axes.set_ylim(-2, 30)
        panel(axes, m, tuple(ours), function(z), layer.name)
    grid[0, 0].legend(frameon=False, fontsize=7, loc="upper left")
    figure.supxlabel("mean of the input (its variance is 1)", fontsize=9)
    write(figure, "activations.svg")


def draw_rows() -> None:
    """The first of four class probabilities over the mean of its logit; all variances 0.5."""
    m, v = np.linspace(-4, 6, 41), 0.5
    logits = np.stack([m, *np.full((3, m.size), 0.5)], axis=1)
    noise = np.sqrt(v) * np.random.default_rng(0).standard_normal((20_000, 1, 4))
    figure, grid = plt.subplots(1, 3, figsize=(8, 2.6), layout="constrained", sharey=True)
    for axes, (layer, function) in zip(grid, ROWS, strict=True):
        ours = [part[:, 0] for part in moments(layer, logits, np.full_like(logits, v))]
        panel(axes, m, tuple(ours), function(logits + noise)[..., 0], layer.name)
        axes.set_ylim(-0.1, 1.25)
    grid[0].legend(frameon=False, fontsize=7, loc="upper left")
    figure.supxlabel("mean of the first of four logits (the others 0.5, variances 0.5)", fontsize=9)
    write(figure, "softmax.svg")


if __name__ == "__main__":
    plt.rcParams.update({"svg.hashsalt": "tagi", "font.size": 8, "svg.fonttype": "none"})
    draw_elementwise()
    draw_rows()
