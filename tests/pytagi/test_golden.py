"""Reference trajectories through the stand-in's own interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_replay import PARTS, cases, distance, load

import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn

TOLERANCE = 1e-5


def build(layers: list[tuple[str, dict[str, Any]]]) -> list[nn.BaseLayer]:
    made: list[nn.BaseLayer] = []
    for name, arguments in layers:
        if name == "ResNetBlock":
            branches = [arguments["main"], arguments.get("shortcut")]
            made.append(nn.ResNetBlock(*(nn.LayerBlock(*build(b)) for b in branches if b)))
        else:
            options = {key: value for key, value in arguments.items() if key != "_"}
            if name == "LSTM" and arguments["_"][2] > 1:
                options["recurrent"] = False
            made.append(getattr(nn, name)(*arguments["_"], **options))
    return made


@pytest.mark.parametrize("name", cases())
def test_a_case_agrees_to_1e_5(name: str) -> None:
    case, z = load(name)
    net = nn.Sequential(*build(case["layers"]))
    net.input_state_update = "input_delta_mu" in z
    net.preinit_layer()
    keys = {key.split("/")[1] for key in z if key.startswith("init/")}
    net.load_state_dict({k: tuple(z[f"init/{k}/{part}"] for part in PARTS) for k in keys})
    if "x_warmup" in z:
        net(z["x_warmup"].ravel())
    updater = nn.OutputUpdater(net.device)
    found: dict[str, float] = {}
    for step in range(case["steps"]):
        var_x = z["x_var"][step].ravel() if "x_var" in z else None
        mu, var = net(z["x"][step].ravel(), var_x)
        found[f"mu_out[{step}]"] = distance(mu, z["mu_out"][step])
        found[f"var_out[{step}]"] = distance(var, z["var_out"][step])
        states, deltas = net.output_z_buffer, net.input_delta_z_buffer
        if case["updater"] == "heteros":
            updater.update_heteros(states, z["y"][step].ravel(), deltas)
        elif case["updater"] == "update":
            noise = np.full(z["y"][step].size, case["sigma_v"] ** 2, np.float32)
            updater.update(states, z["y"][step].ravel(), noise, deltas)
        else:
            obs, index, _ = pytagi.Utils().label_to_obs(z["labels"][step], case["classes"])
            noise = np.full(obs.size, case["sigma_v"] ** 2, np.float32)
            updater.update_using_indices(states, obs, noise, index, deltas)
        net.backward()
        if "input_delta_mu" in z:
            for part, got in zip(("mu", "var"), net.get_input_states(), strict=True):
                found[f"input_{part}[{step}]"] = distance(got, z[f"input_delta_{part}"][step])
        net.step()
    if "smooth_mu" in z:
        for part, got in zip(("mu", "var"), net.smoother(), strict=True):
            found[f"smooth_{part}"] = distance(got, z[f"smooth_{part}"])
    for layer, states in net.get_lstm_states().items():
        for part, got in zip(("mu_h", "var_h", "mu_c", "var_c"), states, strict=True):
            if f"lstm/{layer}/{part}" in z:
                found[f"lstm/{layer}/{part}"] = distance(got, z[f"lstm/{layer}/{part}"])
    for key, entry in net.state_dict().items():
        for part, array in zip(PARTS, entry, strict=True):
            found[f"final/{key}/{part}"] = distance(array, z[f"final/{key}/{part}"])
    if "x_eval" in z:
        net.eval()
        mu, var = net(z["x_eval"].ravel())
        found |= {"mu_eval": distance(mu, z["mu_eval"]), "var_eval": distance(var, z["var_eval"])}
    assert not {what: d for what, d in found.items() if not d <= TOLERANCE}
