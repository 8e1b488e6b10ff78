"""Reference trajectories of pytagi on every way to run the kernels."""

from __future__ import annotations

import pytest
from golden_replay import cases, replay

from tagi_cli.backend import Backend, select

TOLERANCE = 1e-5


@pytest.fixture(params=["numpy", "auto"], scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    return select(kernels=request.param)


@pytest.mark.parametrize("name", cases())
def test_a_case_agrees_to_1e_5(name: str, backend: Backend) -> None:
    worst = {what: d for what, d in replay(name, backend).items() if not d <= TOLERANCE}
    assert not worst
