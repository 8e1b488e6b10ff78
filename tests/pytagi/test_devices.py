"""States of recurrent layers on a GPU; a stand-in for CuPy runs the CUDA text on the CPU."""

from __future__ import annotations

from pathlib import Path

import fake_cupy
import numpy as np
import pytest

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn


def test_a_series_moves_to_a_gpu_and_is_smoothed_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_cupy.install(monkeypatch, tmp_path, 1)
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    found = []
    for moved in (None, 0, 3):
        pytagi.manual_seed(0)
        net = nn.Sequential(nn.LSTM(2, 3, 1), nn.SLSTM(3, 3, 1), nn.SLinear(3, 1))
        for k, row in enumerate(x):
            if k == moved:
                net.to_device("cuda")
            net(row)
            nn.OutputUpdater(net.device).update(
                net.output_z_buffer, np.ones(1), np.full(1, 0.1), net.input_delta_z_buffer
            )
            net.backward()
            net.step()
        states = net.get_lstm_states()
        outputs = net.smoother()
        net.set_lstm_states(states)
        again = net.get_lstm_states()
        for key, state in states.items():
            for a, b in zip(state, again[key], strict=True):
                np.testing.assert_array_equal(a, b)
        net.reset_lstm_states()
        rows = net(x[:3])
        found.append([*outputs, *states[0], *states[1], *rows])
    for other in found[1:]:
        for got, want in zip(other, found[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
