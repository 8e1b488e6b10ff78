"""What is told of a tensor's variances, against NumPy's own words."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tagi_cli.training.health import measure


def test_shrunk_floored_and_signal() -> None:
    rng = np.random.default_rng(0)
    mu, var = rng.normal(size=101), rng.uniform(0.1, 2.0, size=101)
    tensors = {"a": SimpleNamespace(mu=mu, var=var), "b": SimpleNamespace(mu=mu[:1], var=var[:1])}
    found = measure(tensors, np.array([4, 0]), {"a": 2.0, "b": 0.0}, np.asarray)
    assert (found["a"].floored, found["b"].shrunk) == (4, 0.0)
    assert found["a"].shrunk == np.mean(var < 1.0)
    assert found["a"].signal == pytest.approx(np.median(np.abs(mu) / np.sqrt(var)))


def test_what_is_certain_has_a_signal_without_bound() -> None:
    certain = SimpleNamespace(mu=np.ones(3), var=np.array([0.0, 0.0, 1.0]))
    found = measure({"a": certain}, np.array([0]), {"a": np.zeros(3)}, np.asarray)
    assert found["a"].signal == np.inf
