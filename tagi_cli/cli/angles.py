"""`tagi angles`."""

from __future__ import annotations

from tagi_cli.atomic import json_text
from tagi_cli.cli.arguments import words

HELP = """
Compare the subspaces of two latent regressions.

usage: tagi angles <run folder> <run folder>

As JSON, by p.<input group> and u.<output group>, of several subjects behind <subject>.: angles in
degrees, the smallest first, between what the latents of both runs see (p) or move (u), in the units
of the data, of the first network of each. Groups go by their names; those of one name must have the
same columns.

example:
  tagi angles outputs/latent-synthetic/2026-01-31_12-00-00-1f3a outputs/latent-synthetic/...-77b0
"""


def run(arguments: list[str]) -> int:
    """Print the angles."""
    first, second = words(arguments, ["run folder", "run folder"])
    from tagi_cli.experiment.latent.projection import angles

    print(json_text(angles(first, second)))
    return 0
