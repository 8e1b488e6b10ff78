"""Units picked from a row."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import Backend, select

PICKED = (2, 3, 0, 3)


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def test_values_are_picked_and_innovations_gathered(backend: Backend) -> None:
    net = nn.Network(nn.Select(PICKED), (2, 2), backend=backend, input_innovation=True)
    rng = np.random.default_rng(0)
    x, var = rng.normal(size=(3, 2, 2)), rng.random((3, 2, 2))
    found = net(x, var)
    np.testing.assert_array_equal(found.mu, x.reshape(3, 4)[:, PICKED])
    np.testing.assert_array_equal(found.var, var.reshape(3, 4)[:, PICKED])
    sent = rng.normal(size=(2, 3, 4))
    for buffer, values in zip(net.innovations(), sent, strict=True):
        buffer[...] = values
    net.backward()
    matrix = np.eye(4)[list(PICKED)]
    for got, values in zip(net.input_innovations(), sent, strict=True):
        np.testing.assert_allclose(got.reshape(3, 4), values @ matrix)


def test_innovations_add_to_those_of_other_uses(backend: Backend) -> None:
    graph = nn.Graph(
        [
            nn.Node("some", nn.Select((1,)), ("input",)),
            nn.Node("all", nn.Select((0, 1)), ("input",)),
            nn.Node("y", nn.Concat(), ("some", "all")),
        ]
    )
    net = nn.Network(graph, (2,), backend=backend, input_innovation=True)
    net(np.zeros((1, 2)), np.ones((1, 2)))
    for buffer in net.innovations():
        buffer[...] = [[1.0, 10.0, 100.0]]
    net.backward()
    for got in net.input_innovations():
        np.testing.assert_array_equal(got, [[10.0, 101.0]])


def test_a_unit_that_is_not_there_is_named() -> None:
    with pytest.raises(nn.ShapeError, match=r"takes unit 4, counted from 0, but gets 4 units"):
        nn.Network(nn.Select((0, 4)), (4,))
    for indices in ((), (-1,)):
        with pytest.raises(ValueError, match="at least one index"):
            nn.Select(indices)
