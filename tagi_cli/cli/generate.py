"""`tagi generate`."""

from __future__ import annotations

import sys

from tagi_cli.cli.arguments import keyed
from tagi_cli.errors import UserError

HELP = """
Draw outputs of a latent regression step by step.

usage: tagi generate run=<run folder> input=<file> output=<file.csv>
                     [r_map=<output group>:<input group>,...] [samples=<n>] [seed=<n>]
                     [mode=posterior|plugin|marginal]
                     [checkpoint=best|last|<file or CSV folder>] [overwrite=true]

  run=...          a run of arch=latent_regression
  input=...        a table with the run's input columns, one row per step
  output=...       one line per trajectory, row and output: sample, row, component, y
  r_map=y:a        empty cells of input group a take what output group y gave one step before
  samples=1        trajectories
  mode=posterior   one draw of the parameters for each trajectory; plugin: their means; marginal:
                   each value by itself, from its predictive law
  seed=0           draws parameters and noise
  checkpoint=best  which networks, in turn (default best)
  overwrite=true   replace the output file if it is there

example:
  tagi generate run=outputs/brain/2026-01-31_12-00-00-1f3a input=start.csv output=paths.csv \\
    r_map=motor:motor_before samples=20
"""


def run(arguments: list[str]) -> int:
    """Write the trajectories and say where."""
    optional = ["r_map", "samples", "seed", "mode", "checkpoint", "overwrite"]
    given = keyed(arguments, ["run", "input", "output"], optional)
    overwrite = given.get("overwrite", "false")
    if overwrite not in ("true", "false"):
        raise UserError(f"overwrite: found '{overwrite}'. Allowed: true or false")
    samples, seed = _whole(given, "samples", 1, 1), _whole(given, "seed", 0, 0)
    pairs = []
    for word in given["r_map"].split(",") if "r_map" in given else []:
        h, colon, g = word.partition(":")
        if not (h and colon and g):
            raise UserError(f"r_map: found '{word}'. Allowed: <output group>:<input group>")
        pairs.append((h, g))
    from tagi_cli.experiment.latent.generation import generate

    notices: list[str] = []
    path = generate(
        given["run"],
        given["input"],
        given["output"],
        pairs,
        samples=samples,
        seed=seed,
        mode=given.get("mode", "posterior"),
        checkpoint=given.get("checkpoint", "best"),
        overwrite=overwrite == "true",
        notices=notices,
    )
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    print(path)
    return 0


def _whole(given: dict[str, str], key: str, default: int, least: int) -> int:
    text = given.get(key, str(default))
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise UserError(f"{key}: found '{text}'. Allowed: a whole number, at least {least}")
    return int(text)
