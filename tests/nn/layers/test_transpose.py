"""Axes in another order: against NumPy, there and back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import Backend, select


@pytest.fixture(params=["numpy", "auto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param, precision="float64")


def orders(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(len(shape))))


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (2, 1, 3, 5), (2, 1, 2, 1, 2)])
def test_moments_and_innovations_move_as_numpy_moves_them(
    backend: Backend, shape: tuple[int, ...], certain: bool
) -> None:
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(3, *shape)), rng.random((3, *shape))
    for axes in orders(shape):
        behind = (0, *(axis + 1 for axis in axes))
        net = nn.Network(nn.Transpose(axes), shape, backend=backend, input_innovation=True)
        mu, var = net(x, None if certain else v)
        np.testing.assert_array_equal(mu, x.transpose(behind))
        np.testing.assert_array_equal(var, 0 * mu if certain else v.transpose(behind))
        for buffer, values in zip(net.innovations(), (x, v), strict=True):
            buffer[...] = values.transpose(behind)
        net.backward()
        np.testing.assert_array_equal(net.input_innovations(), (x, v))


def test_a_value_with_two_uses_adds_up(backend: Backend) -> None:
    nodes = [
        nn.Node("turned", nn.Transpose((1, 0)), ("input",)),
        nn.Node("straight", nn.Reshape((3, 2)), ("input",)),
        nn.Node("both", nn.Concat(0), ("turned", "straight")),
    ]
    net = nn.Network(nn.Graph(nodes), (2, 3), backend=backend, input_innovation=True)
    net(np.zeros((1, 2, 3)))
    d = np.random.default_rng(0).normal(size=(1, 6, 2))
    for buffer in net.innovations():
        buffer[...] = d
    net.backward()
    want = d[:, :3].transpose(0, 2, 1) + d[:, 3:].reshape(1, 2, 3)
    for found in net.input_innovations():
        np.testing.assert_allclose(found, want, rtol=1e-14)


def test_empty_batches_pass(backend: Backend) -> None:
    net = nn.Network(nn.Transpose((1, 0)), (2, 3), backend=backend)
    assert net(np.zeros((0, 2, 3))).mu.shape == (0, 3, 2)


def test_what_cannot_be_moved_is_refused() -> None:
    for axes in ((), (0, 0), (1, 2), (0, -1)):
        with pytest.raises(ValueError, match="give each axis of a row once"):
            nn.Transpose(axes)
    message = r"Transpose\(1,0\) takes rows of 2 axes but gets 3 \(2, 3, 4\)"
    with pytest.raises(nn.ShapeError, match=message):
        nn.Network(nn.Transpose((1, 0)), (2, 3, 4))
    with pytest.raises(nn.ShapeError, match="more than 4 axes"):
        nn.Network(nn.Transpose((4, 3, 2, 1, 0)), (2, 2, 2, 2, 2))
