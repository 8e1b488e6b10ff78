from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn

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
