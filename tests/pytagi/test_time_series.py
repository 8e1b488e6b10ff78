"""Scripts for time series as they are written for pytagi, with other imports and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

FORECASTING = """
import numpy as np

import pytagi
from pytagi import Normalizer as normalizer
from pytagi import Utils, exponential_scheduler
from pytagi import metric
from pytagi.nn import LSTM, Linear, OutputUpdater, Sequential

pytagi.manual_seed(SEED)
seq_len, batch_size, sigma_v = 5, 5, 1.0
series = np.sin(2 * np.pi * np.arange(600) / 24).reshape(-1, 1).astype(np.float32)
x_all, y_all = Utils().create_rolling_window(series, [0], seq_len, 1, 1, 1)
x_mean, x_std = normalizer.compute_mean_std(series[:400])
x_all = normalizer.standardize(x_all, x_mean, x_std)
y_all = normalizer.standardize(y_all, x_mean, x_std)
x_train, y_train, x_test, y_test = x_all[:395], y_all[:395], x_all[400:], y_all[400:]

net = Sequential(LSTM(1, 8, seq_len), LSTM(8, 8, seq_len), Linear(8 * seq_len, 1))
net.set_threads(1)
out_updater = OutputUpdater(net.device)
for epoch in range(20):
    sigma_v = exponential_scheduler(curr_v=sigma_v, min_v=0.1, decaying_factor=0.9, curr_iter=epoch)
    var_y = np.full((batch_size,), sigma_v**2, dtype=np.float32)
    for i in range(0, len(x_train), batch_size):
        x, y = x_train[i : i + batch_size].flatten(), y_train[i : i + batch_size].flatten()
        m_pred, v_pred = net(x)
        out_updater.update(
            output_states=net.output_z_buffer,
            mu_obs=y,
            var_obs=var_y,
            delta_states=net.input_delta_z_buffer,
        )
        net.backward()
        net.step()
    net.reset_lstm_states()

net.eval()
m_pred, v_pred = net(x_test.flatten())
mu = normalizer.unstandardize(m_pred, x_mean, x_std)
std = normalizer.unstandardize_std(np.sqrt(v_pred + sigma_v**2), x_std)
y_test = normalizer.unstandardize(y_test.flatten(), x_mean, x_std)
rmse = metric.rmse(mu, y_test)
log_lik = metric.log_likelihood(prediction=mu, observation=y_test, std=std)
"""

SMOOTHING = """
import numpy as np

import pytagi
from pytagi.nn.output_updater import OutputUpdater
from pytagi.nn.sequential import Sequential
from pytagi.nn.slinear import SLinear
from pytagi.nn.slstm import SLSTM

pytagi.manual_seed(SEED)
num, lags, sigma_v = 200, 12, 1.0
truth = -np.sin(2 * np.pi * np.arange(num) / 24).astype(np.float32)
y_all = truth.copy()
y_all[:24] = np.nan
y_all[120:130] = np.nan

net = Sequential(SLSTM(lags, 20, 1), SLSTM(20, 20, 1), SLinear(20, 1))
net.num_samples = num
out_updater = OutputUpdater(net.device)
first = np.zeros(lags, dtype=np.float32)
for epoch in range(15):
    sigma_v = max(0.1, 0.8 * sigma_v)
    var_y = np.full((1,), sigma_v**2, dtype=np.float32)
    past = list(first)
    for y in y_all:
        m_pred, v_pred = net(np.array(past[-lags:], dtype=np.float32))
        out_updater.update(net.output_z_buffer, np.array([y]), var_y, net.input_delta_z_buffer)
        net.backward()
        net.step()
        past.append(m_pred[0] if np.isnan(y) else y)
    mu_smooth, var_smooth = net.smoother()
    first = mu_smooth[:lags]

states = net.get_lstm_states()
mu_again, var_again = net.get_outputs_smoother()
seen = ~np.isnan(y_all)
rmse_seen = np.sqrt(np.mean((mu_smooth - truth)[seen] ** 2))
rmse_gap = np.sqrt(np.mean((mu_smooth - truth)[120:130] ** 2))
"""


def run(script: str, seed: int) -> dict[str, Any]:
    """What a script leaves behind, after a change of its imports."""
    changed = script.replace("import pytagi\n", "import tagi_cli.pytagi as pytagi\n")
    changed = changed.replace("from pytagi", "from tagi_cli.pytagi")
    left: dict[str, Any] = {"SEED": seed}
    exec(compile(changed, "script", "exec"), left)
    return left


@pytest.mark.parametrize("seed", [0, 1])
def test_one_step_forecasts(seed: int) -> None:
    """Of a sine with amplitude 1; the value before is off by 0.19."""
    left = run(FORECASTING, seed)
    assert left["rmse"] < 0.02
    assert left["log_lik"] > 1.5  # the right mean with an sd of 0.07 has 1.73
    assert not any(a.any() for state in left["net"].get_lstm_states().values() for a in state)


@pytest.mark.parametrize("seed", [0, 1])
def test_smoothing_with_missing_observations(seed: int) -> None:
    """A gap of 10 steps is filled from both sides; the standard deviation is 0.71."""
    left = run(SMOOTHING, seed)
    assert left["mu_smooth"].shape == left["var_smooth"].shape == (200,)
    assert left["rmse_seen"] < 0.06
    assert left["rmse_gap"] < 0.06
    np.testing.assert_array_equal(left["mu_again"], left["mu_smooth"])
    np.testing.assert_array_equal(left["var_again"], left["var_smooth"])
