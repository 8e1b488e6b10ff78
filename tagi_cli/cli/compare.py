"""`tagi compare`."""

from __future__ import annotations

from tagi_cli.cli.arguments import keyed
from tagi_cli.cli.table import show_table
from tagi_cli.errors import UserError
from tagi_cli.paths import user_path

HELP = """
Compare runs: one sorted table with the options in which they differ.

usage: tagi compare <folder>... [sort=<column>] [output=<file.csv>]

  <folder>         run folders, sweep folders, or outputs/<name> with all its runs
  sort=...         the column to sort by (default valid_nll), e.g. test_rmse
  output=...       also write the table as CSV, at full precision

examples:
  tagi compare outputs/quickstart
  tagi compare outputs/quickstart/2026-01-31_12-00-00-1f3a sort=test_crps
"""


def run(arguments: list[str]) -> int:
    """Print the table, best run first."""
    options = [argument for argument in arguments if argument.partition("=")[0] in _KEYS]
    given = keyed(options, [], _KEYS)
    folders = [argument for argument in arguments if argument not in options]
    for folder in folders:
        if folder.startswith("-"):
            raise UserError(f"{folder}: unknown option. Allowed: sort=..., output=..., --help")
    if not folders:
        raise UserError("found no folder. Allowed: <folder>... [sort=<column>] [output=<file.csv>]")
    output = user_path(given["output"]) if "output" in given else None
    if output is not None and output.exists():
        raise UserError(f"output: {output} is there already; nothing is overwritten")
    from tagi_cli.experiment.compare import compare

    found = compare(folders, given.get("sort"))
    show_table(found.header, found.rows)
    if output is not None:
        found.write_csv(output)
        print(f"\n{output}")
    return 0


_KEYS = ("sort", "output")
