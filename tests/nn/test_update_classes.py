"""Observing the classes of rows from Python."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli import nn
from tagi_cli.backend import select


def network() -> nn.Network:
    layer = nn.Sequential(nn.Linear(2, 3, gain_weight=1e-4, gain_bias=1e-4), nn.Softmax())
    backend = select(precision="float64")
    return nn.Network(layer, (2,), rng=np.random.default_rng(0), backend=backend, rule="sum")


def test_weights_follow_the_gradient_of_the_likelihood() -> None:
    net, x = network(), np.array([[0.5, -1.0], [1.5, 0.3]])
    y = np.array([[0.0, 0.0, 1.0], [np.nan] * 3])
    weight = net.parameters.tensors["linear_0.weight"]
    mu, var = weight.mu.copy(), weight.var.copy()
    p = net(x).mu
    nn.OutputUpdater(net).update_classes(y)
    net.backward()
    net.step()
    np.testing.assert_allclose(weight.mu - mu, var * np.outer(y[0] - p[0], x[0]), rtol=1e-6)


def test_labels_of_another_size_are_refused() -> None:
    net = network()
    net(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"the output is \(4, 3\), the one-hot labels \(4, 2\)"):
        nn.OutputUpdater(net).update_classes(np.zeros((4, 2)))
