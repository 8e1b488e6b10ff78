"""Tables of images: errors, calibration and time on MNIST."""

from __future__ import annotations

from typing import Any

from cells import figure, origin, rows
from published import MNIST

TITLES = {
    "fnn_3": "784-128-128, 3 epochs",
    "fnn_10": "784-128-128, 10 epochs",
    "head_hrc": "hierarchical softmax, 3 epochs",
    "head_remax": "Remax, 3 epochs",
    "head_closed_form": "closed-form softmax, 3 epochs",
    "cnn_5": "32c4-64c5-256 with normalisation, 5 epochs",
    "small_cnn_1": "16c4-32c5-100, 1 epoch",
}

NOTES = {name: number for number, name in enumerate(MNIST, 1)}
"""Numbers of the notes that tell where figures of pytagi come from."""


def mnist(record: dict[str, Any]) -> dict[str, str]:
    """Test errors by network, and by batch size."""
    tasks = record["tasks"]
    classes = {name: tasks[name] for name in TITLES if name in tasks}
    sizes = {name: task for name, task in tasks.items() if name.startswith("large_batch")}
    text = rows(
        ["network", "test error", "each seed", "NLL", "ECE", "s an epoch", "pytagi"],
        [[TITLES[name], *_reached(task), _peer(name)] for name, task in classes.items()],
    )
    sources = {name: one.source for name in classes for one in MNIST.get(name, {}).values()}
    text += "".join(f"\n({NOTES[name]}) {source}.\n" for name, source in sources.items())
    if "autoencoder_10" in tasks:
        task = tasks["autoencoder_10"]
        linear = task["rmse_of_16_principal_components"]
        text += (
            f"\nThe autoencoder's 16 numbers an image leave an RMSE of "
            f"{figure(task['figures']['rmse']['mean'])} of 255 on test images after 10 epochs, 16 "
            f"principal components {figure(linear)}.\n"
        )
    if sizes:
        text += f"\nTest errors of 784-128-128 after 3 epochs, by batch size:\n\n{_batches(sizes)}"
    return {"mnist": text + origin(list(tasks.values()))}


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _reached(task: dict[str, Any]) -> list[str]:
    found = task["figures"]
    return [
        _percent(found["error_rate"]["mean"]),
        ", ".join(f"{100 * rate:.2f}" for rate in found["error_rate"]["seeds"]),
        figure(found["nll"]["mean"]),
        figure(found["ece"]["mean"], 2),
        figure(found["seconds_per_epoch"]["mean"], 2),
    ]


def _peer(name: str) -> str:
    """Figures of pytagi on a task, and the number of the note that says where from."""
    words = []
    for found in MNIST.get(name, {}).values():
        if found.error_rate is not None:
            words.append(_percent(found.error_rate))
        if found.nll is not None:
            words.append(f"NLL {found.nll:g}")
        if found.seconds_per_epoch is not None:
            words.append(f"{found.seconds_per_epoch:g} s an epoch")
        words[-1] += f" ({NOTES[name]})"
    return ", ".join(words)


def _batches(tasks: dict[str, Any]) -> str:
    """Test errors by update rule and rows of a batch, from names `large_batch_<rule>_<rows>`."""
    found: dict[str, dict[int, str]] = {}
    for name, task in tasks.items():
        rule, _, size = name.removeprefix("large_batch_").rpartition("_")
        found.setdefault(rule, {})[int(size)] = _percent(task["figures"]["error_rate"]["mean"])
    sizes = sorted({size for errors in found.values() for size in errors})
    lines = [
        [f"`{rule}`", *(errors.get(size, "") for size in sizes)] for rule, errors in found.items()
    ]
    return rows(["rows of a batch", *map(str, sizes)], lines)
