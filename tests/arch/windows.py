"""Networks of architectures on windows, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import arch, nn
from tagi_cli.backend import select

Host = np.ndarray[Any, Any]


def network(
    kind: str, shape: tuple[int, ...], outputs: int, rows: int = 1, **options: Any
) -> nn.Network:
    """The network of an architecture, in double precision, with the prior means of seed 0."""
    made = arch.registry[kind]
    backend = select(kernels="numpy", precision="float64")
    return nn.Network(
        made.build(made.options(**options), shape, outputs),
        shape,
        rng=np.random.default_rng(0),
        backend=backend,
        rule="information",
        parameters=nn.Parameters(backend, rows),
    )


def learn(net: nn.Network, x: Host, y: Host) -> None:
    """One step on `y (B, outputs)`, NaN where missing, with an error variance of 0.1."""
    net(x)
    nn.OutputUpdater(net).update(y, np.array(0.1))
    net.backward()
    net.step()
