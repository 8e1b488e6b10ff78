"""What is said of networks that carry states where they come to a new table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tagi_cli.data.parts import Part
from tagi_cli.errors import listing
from tagi_cli.training.interface import Learner
from tagi_cli.training.learner import Learner as Network


def notices(learners: Sequence[Learner], part: Part) -> list[str]:
    """Which series of a new table go on from where training ended, and which start anew.

    Args:
        learners: the networks; those that carry no states need no remark.
        part: prediction points of the table.
    """
    tracking = [one.tracking for one in learners if isinstance(one, Network) and one.tracking]
    if not tracking or part.in_training is None:
        return []
    places, earliest = part.in_training
    codes = np.unique(places[:, 0])
    rows = [each.from_training(places, earliest) for each in tracking]
    go_on = np.unique(places[np.concatenate(rows), 0])
    anew = np.setdiff1d(codes, go_on)
    known = "states go on from where training ended"
    if not len(anew):
        return [known + (f" in all {len(codes)} series" if len(codes) > 1 else "")]
    why = "no row of the file follows the last one learnt, as far as its times tell"
    if not len(go_on):
        return [f"states start anew with the file: {why}"]
    names = listing([part.series[code] for code in anew.tolist()])
    return [
        f"{known} in {len(go_on)} of {len(codes)} series; in the others ({names}) they start anew: "
        f"{why}"
    ]
