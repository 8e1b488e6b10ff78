"""Double precision, and the same draws in every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tagi_cli import objax
from tagi_cli.objax import device


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    before = device.backend()
    objax.random.DEFAULT_GENERATOR.seed(0)
    objax.use(kernels="numpy", precision="float64")
    yield
    device._backend = before
