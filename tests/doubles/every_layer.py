"""Every kind of layer on another backend than the CPU's, beside the references."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.backend import Backend, select

_PATH = Path(__file__).parents[1] / "nn" / "test_every_layer.py"
_SPEC = importlib.util.spec_from_file_location("cases_of_every_layer", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
_LAYERS: Any = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _LAYERS  # dataclasses look their module up
_SPEC.loader.exec_module(_LAYERS)

KINDS = list(_LAYERS.CASES)


def assert_layer_agrees(kind: str, backend: Backend) -> None:
    """Assert that three steps and a prediction are those of the references, in float64."""
    found: list[dict[str, Any]] = []
    for where in (select(kernels="numpy", precision="float64"), backend):
        net = _LAYERS.network(kind, where, input_innovation=True)
        x, v = _LAYERS.rows(kind)
        results = {}
        for count in range(3):
            results |= {f"{name} {count}": a for name, a in _LAYERS.step(net, x, v).items()}
        net.eval()
        found.append({**results, **dict(zip(("mean", "variance"), net(x, v), strict=True))})
    for name, want in found[0].items():
        np.testing.assert_allclose(found[1][name], want, rtol=1e-9, atol=1e-12, err_msg=name)
