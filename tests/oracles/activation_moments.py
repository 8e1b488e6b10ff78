"""Moments of an activation as a network gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import select

Host = np.ndarray[Any, Any]


def moments(
    layer: nn.Layer, m: Host, v: Host | None, kernels: str = "numpy", precision: str = "float64"
) -> tuple[Host, Host, Host]:
    """Mean, variance and Jacobian, `(B, K)`, of a layer for `m, v (B, K)`."""
    net = nn.Network(layer, m.shape[1:], backend=select(kernels=kernels, precision=precision))
    mu, var = net(m, v)
    jac = net.current.plan.output.jac
    assert jac is not None
    return mu, var, np.array(jac)
