"""What 90 % intervals promise: to hold 87 to 93 % of the test values, or a remark is due."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.predictions import Predictions

# Coverage of the 90 % intervals that needs no remark, however many values there are.
_PROMISED = (0.87, 0.93)

# Outputs that are remarked on one by one.
_NAMED = 5


def broken(share: float, n: int) -> str:
    """How 90 % intervals that hold this share of n values are wrong; empty if they are not.

    What chance allows is no fault: the shares between which 95 of 100 samples of n values are.
    """
    from scipy.stats import binom  # takes a while to import

    low, high = (float(binom.ppf(p, n, 0.9)) / n for p in (0.025, 0.975))
    if share < min(low, _PROMISED[0]):
        return "too narrow"
    return "too wide" if share > max(high, _PROMISED[1]) else ""


def remarks(law: Law, metrics: Mapping[str, Any]) -> list[str]:
    """A line for each of the first outputs of the test part whose intervals are wrong.

    Args:
        law: what is predicted and what was observed.
        metrics: those of `law`, with coverages.
    """
    if not isinstance(law, Predictions) or law.y is None:
        return []
    single = law.by_component
    assert single.y is not None
    observed = np.isfinite(single.y).sum(axis=0)
    found = []
    for name, n in zip(single.names, observed.tolist(), strict=True):
        share = metrics.get("components", {}).get(name, metrics).get("coverage_90")
        words = "" if share is None or not n else broken(share, n)
        if words:
            found.append(
                f"the 90 % intervals of {name} hold {100 * share:.1f} % of {n:,} test values: they "
                f"are {words}, more than chance allows"
            )
    more = len(found) - _NAMED
    return found if more <= 0 else [*found[:_NAMED], f"so are those of {more} other outputs"]
