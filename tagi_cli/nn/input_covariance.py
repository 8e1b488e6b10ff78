"""Covariances between a network's outputs and its inputs, as its own inference has them.

The backward pass of TAGI carries what is learnt of an output to all that it covaries with. An
innovation of 1 in the mean of one output arrives at an input as `cov(y, x) / var_x`: how far the
mean of the output moves where the input is known to be one unit larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tagi_cli.backend import collective, overwrite
from tagi_cli.nn.derivatives import combinations
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.parameters import Parameters, flat_size
from tagi_cli.nn.plan import Plan

Host = np.ndarray[Any, Any]

_ROWS = 1024


class Regression(NamedTuple):
    """What an uncertain input says about the output, for B rows, K outputs and I inputs.

    Attributes:
        mean: `(B, K)` of the outputs.
        variance: `(B, K)` of the outputs.
        slope: `(B, K, I)`, `cov(y, x) / var_x`.
    """

    mean: Host
    variance: Host
    slope: Host


def input_covariances(
    layer: Layer, parameters: Parameters, x: Host, var_x: Host, outputs: Sequence[int] | Host
) -> Regression:
    """Regress some outputs on the inputs, which are Gaussian around `x`.

    Args:
        layer: a built network.
        parameters: its store; what it has learnt stays as it is.
        x: means of the inputs `(B, ...)`.
        var_x: their variances, of the same shape.
        outputs: which units of the flattened output; or sums of them, weights `(K, units)`, whose
            variances count units as independent.
    """
    backend, I = parameters.backend, flat_size(x.shape[1:])
    block = _ROWS if parameters.rows == 1 else min(_ROWS, parameters.rows)
    found: list[Regression] = []
    for begin in range(0, len(x), block):
        rows = slice(begin, min(begin + block, len(x)))
        plan = Plan(backend, parameters, rows.stop - begin, training=False, differentiable=True)
        plan.input = plan.value(x.shape[1:])
        output = plan.output = layer.trace(plan, plan.input)
        forward = collective.bind(backend, plan.take())
        d_mu, d_var, _ = output.send()
        plan.emit_backward()
        backward = collective.bind(backend, plan.take())
        assert plan.input.var is not None
        assert output.var is not None
        backend.write(plan.input.mu, x[rows])
        backend.write(plan.input.var, var_x[rows])
        forward.run(1)
        weights = combinations(outputs, flat_size(output.shape))
        seed = np.zeros((rows.stop - begin, weights.shape[1]))
        overwrite(d_var, seed.reshape(d_var.shape))
        slopes = []
        for one in weights:
            seed[:] = one
            overwrite(d_mu, seed.reshape(d_mu.shape))
            backward.run(1)
            slopes.append(backend.to_host(plan.input.innovation()[0]).reshape(-1, I))
        mean, variance = (
            backend.to_host(part).reshape(len(seed), -1).astype(np.float64) @ power.T
            for part, power in ((output.mu, weights), (output.var, weights**2))
        )
        found.append(Regression(mean, variance, np.stack(slopes, axis=1).astype(np.float64)))
    if not found:
        none = np.empty((0, len(outputs)))
        return Regression(none, none, np.empty((0, len(outputs), I)))
    return Regression(*(np.concatenate(part) for part in zip(*found, strict=True)))
