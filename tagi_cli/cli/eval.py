"""`tagi eval`."""

from __future__ import annotations

import sys

from tagi_cli.atomic import json_text
from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Score a trained model on a part of its data, or on another file.

usage: tagi eval run=<run folder> [split=train|valid|test] [data.path=<file>] [ood.path=<file>]
                 [checkpoint=best|last|<file or CSV folder>]

  split=test       the part of the run's own data (default test)
  checkpoint=best  which networks (default best)
  data.path=...    score all rows of this file instead; it needs the target columns
                   (of a model of images: any folder or file of images with labels)
  ood.path=...     rows or images of another kind, which a model of classes should be less sure
                   of: how well their entropy, and its epistemic part, tells them from the others

Metrics are in the units of the data, as JSON; of classes also precision, recall, F1 and support.

examples:
  tagi eval run=outputs/quickstart/2026-01-31_12-00-00-1f3a
  tagi eval run=outputs/houses/2026-01-31_12-00-00-1f3a data.path=next_year.csv
  tagi eval run=outputs/mnist/2026-01-31_12-00-00-1f3a ood.path=~/data/fashion-mnist
"""


def run(arguments: list[str]) -> int:
    """Print the metrics."""
    given = keyed(arguments, ["run"], ["split", "checkpoint", "data.path", "ood.path"])
    if "split" in given and "data.path" in given:
        raise UserError(
            "split: contradicts data.path, which is scored as a whole; give one of them"
        )
    from tagi_cli.experiment.evaluation import evaluate

    found = evaluate(
        given["run"],
        given.get("checkpoint", "best"),
        given.get("split", "test"),
        given.get("data.path"),
        given.get("ood.path"),
    )
    for notice in found.notices:
        print(f"note: {notice}", file=sys.stderr)
    told = {"of": found.of, "rows": found.rows, **found.metrics}
    told |= {"classes": found.classes} if found.classes else {}
    told |= {"ood": found.ood} if found.ood else {}
    print(json_text(told))
    if found.predictions is not None:
        print(f"predictions: {found.predictions}", file=sys.stderr)
    return 0
