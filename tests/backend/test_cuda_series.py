"""Windows and carried states on the GPU backend, run on the CPU."""

from __future__ import annotations

import fake_cupy
import numpy as np
import pytest
from kernel_harness import needs_compiler
from series_learner import Series, bound, learner, train

from tagi_cli.backend.cuda.backend import CudaBackend

pytestmark = needs_compiler


def test_series_are_learnt_and_continued_as_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))
    series = Series(9, 4, 12, T=3)
    later = series.index[:, 2] >= 4
    part = series.part(~later)
    found = []
    for backend in (None, CudaBackend("float64")):
        one = bound(learner(2, T=3, backend=backend), part)
        train(one, part, cut=2)
        ahead = one.predict_along(series.x[later], series.index[later], continues=True)
        assert ahead is not None
        found.append({**one.state_dict(), "mu": ahead.mu, "var": ahead.var_epistemic})
    for name, value in found[0].items():
        np.testing.assert_allclose(found[1][name], value, rtol=1e-9, atol=1e-12, err_msg=name)
