from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select

ROWS = (1, 2, 16, 64, 100, 255, 256, 1024)


@pytest.mark.parametrize(
    ("rule", "divisors"),
    [
        ("capped", (0.1, 2, 2, 2, 2, 2, 3, 3)),
        ("information_capped", (0.1, 2, 2, 2, 2.5, 255**0.5 / 4, 4, 8)),
    ],
)
def test_a_step_too_far_ends_at_the_limit_of_its_batch(
    rule: str, divisors: tuple[float, ...]
) -> None:
    found = []
    for rows in ROWS:
        net = nn.Network(nn.Linear(1, 1, bias=False), (1,), rule=rule)
        net.parameters.var.fill(0.25)
        before = float(net.parameters.mu[0])
        net(np.ones((rows, 1)))
        nn.OutputUpdater(net).update(np.full((rows, 1), 1e6), 1.0)
        net.backward()
        net.step()
        found.append(0.5 / (float(net.parameters.mu[0]) - before))
    np.testing.assert_allclose(found, divisors, rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 4, 32])
def test_alike_rows_are_counted_as_if_each_came_alone(rows: int) -> None:
    """The sum of their innovations against the exact posterior of Bayesian linear regression."""
    inputs, noise, y = np.array([0.5, -1.0, 2.0]), 0.3, 1.7
    net = nn.Network(
        nn.Linear(3, 1, bias=False), (3,), rule="sum", backend=select(precision="float64")
    )
    mu, var = net.parameters.mu.copy(), net.parameters.var.copy()
    x = np.tile(inputs, (rows, 1))
    covariance = x @ np.diag(var) @ x.T + noise * np.eye(rows)
    exact = var * (x.T @ np.linalg.solve(covariance, y - x @ mu))
    net(x)
    nn.OutputUpdater(net).update(np.full((rows, 1), y), noise)
    net.backward()
    net.step()
    v = float(var @ inputs**2)
    excess = 1 + (rows - 1) * v / (v + noise)
    np.testing.assert_allclose(net.parameters.mu - mu, excess * exact, rtol=1e-10)
