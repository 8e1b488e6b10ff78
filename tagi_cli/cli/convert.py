"""`tagi convert`."""

from __future__ import annotations

from tagi_cli.cli.arguments import words

HELP = """
Convert a checkpoint: binary file to CSV files and back, without loss.

usage: tagi convert <source> <target>

  <source>         a .safetensors file, a folder of CSV files, or a run folder (its best)
  <target>         the folder to make, or the .safetensors file

examples:
  tagi convert outputs/quickstart/2026-01-31_12-00-00-1f3a parameters
  tagi convert parameters edited.safetensors
"""


def run(arguments: list[str]) -> int:
    """Convert and say what was written."""
    source, target = words(arguments, ["source", "target"])
    from tagi_cli.experiment.convert import convert

    print(convert(source, target))
    return 0
