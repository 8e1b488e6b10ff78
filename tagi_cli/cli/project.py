"""`tagi project`."""

from __future__ import annotations

import sys

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Write the latents that a latent regression projects rows on.

usage: tagi project run=<run folder> output=<file.csv> [input=<file>] [apply_specific_m=false]
                    [checkpoint=best|last|<file or CSV folder>] [overwrite=true]

  run=...           a run of arch=latent_regression
  output=...        one line per row, network of the ensemble, input group and latent: row, subject
                    (where there are several), network, group, latent (from 1), mu, sd. Latents are
                    those of the scaled data; what is found again from fit to fit is the subspace,
                    not single latents
  input=...         a table with the run's input columns; without it the run's own data
  apply_specific_m=true  false gives latents before the specific part of a map in parts
  checkpoint=best   which networks (default best)
  overwrite=true    replace the output file if it is there

example:
  tagi project run=outputs/latent-synthetic/2026-01-31_12-00-00-1f3a output=latents.csv
"""


def run(arguments: list[str]) -> int:
    """Write the latents and say where."""
    flags = {"overwrite": "false", "apply_specific_m": "true"}
    given = keyed(arguments, ["run", "output"], ["input", "checkpoint", *flags])
    for key, default in flags.items():
        flags[key] = given.get(key, default)
        if flags[key] not in ("true", "false"):
            raise UserError(f"{key}: found '{flags[key]}'. Allowed: true or false")
    from tagi_cli.experiment.latent.projection import project

    notices: list[str] = []
    path = project(
        given["run"],
        given.get("input"),
        given["output"],
        given.get("checkpoint", "best"),
        apply_specific_m=flags["apply_specific_m"] == "true",
        overwrite=flags["overwrite"] == "true",
        notices=notices,
    )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    print(path)
    return 0
