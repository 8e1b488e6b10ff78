"""Replays a reference case on `nn.Network`: what pytagi computed, step by step.

A case is `tests/golden/<name>.json` (the layers, by class and arguments) with `<name>.npz`: initial
parameters, inputs, targets, outputs before each update, parameters after the last.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import Backend
from tagi_cli.nn import interop

FOLDER = Path(__file__).parents[1] / "golden"
PARTS = ("mu_w", "var_w", "mu_b", "var_b")


def cases() -> list[str]:
    """Names of the cases in `tests/golden`."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The description and the arrays of a case."""
    description = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return description, dict(arrays)


def layer_of(name: str, arguments: dict[str, Any]) -> nn.Layer:
    """One layer from its class and arguments."""
    if name == "ResNetBlock":
        shortcut = arguments.get("shortcut")
        return nn.ResNetBlock(
            chain(arguments["main"]), None if shortcut is None else chain(shortcut)
        )
    options = {key: value for key, value in arguments.items() if key != "_"}
    if name == "LSTM":
        # Without recurrence but from call to call, which are of one row and one step.
        single = arguments["_"][2] == 1
        options |= {"covariance": "peer", "recurrent": single, "tracking": single}
    elif name == "SLSTM":
        options["covariance"] = "peer"
    return getattr(nn, name)(*arguments["_"], **options)  # type: ignore[no-any-return]


def chain(layers: list[tuple[str, dict[str, Any]]]) -> nn.Sequential:
    """The layers of a case, one after the other."""
    return nn.Sequential(*(layer_of(*layer) for layer in layers))


def input_shape(description: dict[str, Any]) -> tuple[int, ...]:
    """Shape of one row: an image, a window of steps, or a vector."""
    name, arguments = description["layers"][0]
    if name.startswith("Conv"):
        return (arguments["_"][0], arguments["in_height"], arguments["in_width"])
    if "seq_len" in description:
        return (description["seq_len"], description["input_size"])
    return (description["input_size"],)


def distance(got: Any, want: np.ndarray) -> float:
    """Largest difference over the largest reference value."""
    if not want.size:
        return 0.0 if np.size(got) == 0 else np.inf
    return float(np.abs(np.reshape(got, want.shape) - want).max() / np.abs(want).max())


def observe(net: nn.Network, case: dict[str, Any], z: dict[str, np.ndarray], step: int) -> None:
    """Condition the output on the targets of a step."""
    updater = nn.OutputUpdater(net)
    if case["updater"] == "heteros":
        updater.update_heteros(z["y"][step])
    elif case["updater"] == "update":
        updater.update(z["y"][step], case["sigma_v"] ** 2)
    else:
        obs, index = nn.HRCSoftmax(case["classes"]).encode(z["labels"][step])
        updater.update_using_indices(obs, np.full(obs.size, case["sigma_v"] ** 2), index)


def replay(name: str, backend: Backend) -> dict[str, float]:
    """Run a case; the `distance` of every array it holds, by its name (`mu_out[2]`, ...)."""
    case, z = load(name)
    net = nn.Network(
        chain(case["layers"]),
        input_shape(case),
        backend=backend,
        input_innovation="input_delta_mu" in z,
    )
    names = {key.split("/")[1] for key in z if key.startswith("init/")}
    interop.load_state_dict(
        net.layer, {n: [z[f"init/{n}/{part}"] for part in PARTS] for n in names}
    )
    if "x_warmup" in z:
        net(z["x_warmup"])
    smoother = nn.Smoother(net) if "smooth_mu" in z else None
    found: dict[str, float] = {}
    for step in range(case["steps"]):
        mu, var = net(z["x"][step], z["x_var"][step] if "x_var" in z else None)
        found[f"mu_out[{step}]"] = distance(mu, z["mu_out"][step])
        found[f"var_out[{step}]"] = distance(var, z["var_out"][step])
        observe(net, case, z, step)
        net.backward()
        if "input_delta_mu" in z:
            d_mu, d_var = net.input_innovations()
            found[f"input_delta_mu[{step}]"] = distance(d_mu, z["input_delta_mu"][step])
            found[f"input_delta_var[{step}]"] = distance(d_var, z["input_delta_var"][step])
        if smoother is not None:
            smoother.record()
        net.step()
    if smoother is not None:
        smoothed = smoother.smooth()
        found["smooth_mu"] = distance(smoothed.mu, z["smooth_mu"])
        found["smooth_var"] = distance(smoothed.var, z["smooth_var"])
    for layer, entry in interop.state_dict(net.layer).items():
        for part, array in zip(PARTS, entry, strict=True):
            found[f"final/{layer}/{part}"] = distance(array, z[f"final/{layer}/{part}"])
    if "x_eval" in z:
        net.eval()
        mu, var = net(z["x_eval"])
        found["mu_eval"] = distance(mu, z["mu_eval"])
        found["var_eval"] = distance(var, z["var_eval"])
    return found
