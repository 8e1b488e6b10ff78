"""Latent regression on the GPU backend, run on the CPU."""

from __future__ import annotations

import fake_cupy
import numpy as np
import pytest
from kernel_harness import needs_compiler

from tagi_cli.arch.latent_regression import LatentRegModel, group_maps, synthetic
from tagi_cli.backend import Backend, select
from tagi_cli.backend.cuda.backend import CudaBackend

pytestmark = needs_compiler


def fitted(backend: Backend) -> LatentRegModel:
    data = synthetic(24, 0)
    groups = data.groups
    model = LatentRegModel(
        groups.d_in, groups.d_out, groups.d_proj, groups.d_trans,
        group_maps.linear(groups.d_proj, groups.d_trans), [None], use_scales=True,
        use_offsets=True, direct_pairs=groups.direct_pairs, seed=0, backend=backend,
    )  # fmt: skip
    y = data.y[0].copy()
    y[::3, ::2] = np.nan
    model.p_trainable[1] = False
    model.fit(data.x, [y], 10, 4, epochs=2, restarts=2)
    return model


def test_a_fit_is_as_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Chunks, missing outputs, frozen modes, restarts, draws and recursions."""
    fake_cupy.install(monkeypatch, pytestconfig.cache.mkdir("cuda_on_the_cpu"))
    models = [fitted(select(precision="float64")), fitted(CudaBackend("float64"))]
    states = [model.state_dict() for model in models]
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    x = [a[:5].copy() for a in synthetic(24, 0).x]
    x[0][3] = np.nan
    drawn = [
        model.recursive_generate(x, [(0, 0)], rng=np.random.default_rng(1)) for model in models
    ]
    np.testing.assert_allclose(drawn[1][0], drawn[0][0], rtol=1e-9)
    moments = [model.recursive_moments(x, [(0, 0)])[0].var for model in models]
    np.testing.assert_allclose(moments[1], moments[0], rtol=1e-9)
    latents = [model.project([a[:2] for a in x])[0] for model in models]
    np.testing.assert_allclose(latents[1].mu, latents[0].mu, rtol=1e-9)
    np.testing.assert_allclose(latents[1].var, latents[0].var, rtol=1e-9)
