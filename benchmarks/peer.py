"""The peer, pytagi, trained on one split as its users would; needs `pip install pytagi`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def available() -> bool:
    """Whether pytagi can be imported here (it needs Open MPI and NCCL libraries; see README.md)."""
    try:
        import pytagi  # noqa: F401
    except ImportError:
        return False
    return True


def prior(inputs: int, outputs: int, rng: np.random.Generator) -> tuple[list[float], ...]:
    """The TAGI paper's prior: weights N(m, 1/(4 inputs)), biases N(m, 0.01), each m drawn so."""
    var_w, var_b = 0.25 / inputs, 0.01
    return (
        rng.normal(0.0, var_w**0.5, inputs * outputs).tolist(),
        [var_w] * (inputs * outputs),
        rng.normal(0.0, var_b**0.5, outputs).tolist(),
        [var_b] * outputs,
    )


def train(
    x: Array, y: Array, x_test: Array, *, width: int, sigma_v: float, seed: int
) -> tuple[Array, Array, float]:
    """Forty epochs in batches of ten, one hidden layer of ReLU units.

    Args:
        x: `(n, inputs)` and y: `(n,)`, the training rows, original units.
        x_test: `(m, inputs)`.
        width: hidden units.
        sigma_v: observation noise, a standard deviation in standardised units.
        seed: of the prior means and the order of the rows.

    Returns:
        Predictive means and variances `(m,)` in original units, and seconds spent in training.
    """
    from pytagi.nn import Linear, OutputUpdater, ReLU, Sequential

    rng = np.random.default_rng(seed)
    center_x, scale_x, center_y, scale_y = x.mean(0), x.std(0), y.mean(), y.std()
    scale_x[scale_x <= 1e-8 * np.maximum(1.0, np.abs(center_x))] = 1.0
    scaled = np.ascontiguousarray((x - center_x) / scale_x, dtype=np.float32)
    target = ((y - center_y) / scale_y).astype(np.float32)
    inputs, batch = x.shape[1], 10

    network: Any = Sequential(Linear(inputs, width), ReLU(), Linear(width, 1))
    network.set_threads(1)
    network(scaled[:batch].ravel())
    network.load_state_dict(
        {"Linear.0": prior(inputs, width, rng), "Linear.2": prior(width, 1, rng)}
    )
    updater: Any = OutputUpdater(network.device)
    begin = time.perf_counter()
    for _ in range(40):
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            network(scaled[rows].ravel())
            updater.update(
                output_states=network.output_z_buffer,
                mu_obs=target[rows],
                var_obs=np.full(len(rows), sigma_v**2, dtype=np.float32),
                delta_states=network.input_delta_z_buffer,
            )
            network.backward()
            network.step()
    seconds = time.perf_counter() - begin

    mu, var = np.empty(len(x_test)), np.empty(len(x_test))
    scaled_test = np.ascontiguousarray((x_test - center_x) / scale_x, dtype=np.float32)
    for start in range(0, len(x_test), batch):
        some = slice(start, start + batch)
        size = len(scaled_test[some])
        mean, variance = network(scaled_test[some].ravel())
        mu[some], var[some] = mean[:size], variance[:size]
    return mu * scale_y + center_y, (var + sigma_v**2) * scale_y**2, seconds
