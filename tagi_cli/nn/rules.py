"""Update rules by name; their formulas are the `step_*` kernels."""

from __future__ import annotations

import math

from tagi_cli.backend import Array
from tagi_cli.errors import nearest
from tagi_cli.nn.parameters import Parameters
from tagi_cli.nn.plan import Plan

RULES = ("sum", "capped", "information", "information_capped", "site")


def default_cap(rule: str, batch_size: int) -> float:
    """Divisor of the standard deviation limiting a step, 0.1 for one row.

    Of `capped`, as in pytagi: 2 below 256 rows, else 3. Of `information_capped`: 2 up to 64 rows,
    and from there a quarter of the root of their number, as many rows tell the same thing.
    """
    if batch_size == 1:
        return 0.1
    if rule == "information_capped":
        return max(2.0, math.sqrt(batch_size) / 4)
    return 2.0 if batch_size < 256 else 3.0


def checked(rule: str) -> str:
    """The rule.

    Raises:
        ValueError: it is none of `RULES`.
    """
    if rule not in RULES:
        raise ValueError(f"update rule '{rule}'.{nearest(rule, RULES)} Allowed: {', '.join(RULES)}")
    return rule


def emit_step(plan: Plan, parameters: Parameters, rule: str, cap: float, rows: Array) -> None:
    """Emit the parameter update from the accumulated `G, L`.

    Args:
        plan: where the call goes.
        parameters: the store to update.
        rule: one of `RULES`.
        cap: divisor of the capped rules.
        rows: one-element array with the number of rows that `G, L` sum over.
    """
    plan.call(
        f"step_{checked(rule)}", parameters.mu, parameters.var, parameters.G, parameters.L,
        parameters.floored, parameters.ends, rows, float(cap), len(parameters.tensors),
        parameters.size,
    )  # fmt: skip
