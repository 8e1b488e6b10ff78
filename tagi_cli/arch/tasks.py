"""Does an architecture suit a task, and what does it look like for it?"""

from __future__ import annotations

import dataclasses
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.output import BOUNDED, CLASS_PROBABILITIES, OutputOptions

PER_STEP = ("vl_regression",)
"""Tasks with one set of outputs per step, and windows that are padded at their end."""


_CHAINS = ("sequential", "graph")
"""Kinds of layers that are made of others, the last of which gives their output."""


def faults(options: Any, task: str) -> list[str]:
    """What stands between the options of an architecture and a task, one message each."""
    if task == "classification" and isinstance(options, nn.SequentialOptions | nn.GraphOptions):
        return _second_heads(options)
    if not isinstance(options, OutputOptions):
        return []
    found = options.step_faults() if task in PER_STEP else []
    activation = options.output_activation
    if task == "classification" and activation in BOUNDED:
        found.append(
            f"arch.output_activation: found '{activation}', which gives no class probabilities. "
            f"Allowed: null, {', '.join(CLASS_PROBABILITIES)}"
        )
    if task != "classification" and activation in CLASS_PROBABILITIES:
        found.append(
            f"arch.output_activation: found '{activation}', which gives class probabilities, but "
            f"the task is {task}. Allowed: null, {', '.join(BOUNDED)}, or task=classification"
        )
    return found


def _second_heads(options: Any) -> list[str]:
    """Probabilities that a network given layer by layer ends in, as if there were no head."""
    where, last, kind = "arch", options, ""
    while kind in ("", *_CHAINS):  # a chain may end in a chain
        group = "nodes" if hasattr(last, "nodes") else "layers"
        items = getattr(last, group)
        if not items:
            return []
        where, last = f"{where}.{group}.{len(items) - 1}", items[-1]
        kind = (nn.nodes if group == "nodes" else nn.registry).of(last).name
    if kind not in CLASS_PROBABILITIES:
        return []
    return [
        f"{where}: found '{kind}' at the end, but task.head makes probabilities of what the last "
        f"layer gives. Leave it out, and set task.head={kind}"
    ]


def for_task(options: Any, task: str) -> Any:
    """The options, with what they leave to the task.

    Under classification the last activation belongs to the task, which knows its likelihood.
    """
    if not isinstance(options, OutputOptions):
        return options
    if task == "classification":
        return dataclasses.replace(options, output_activation=None)
    return options.per_step() if task in PER_STEP else options
