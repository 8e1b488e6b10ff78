"""`tagi convert`."""

from __future__ import annotations

from tagi_cli.cli.arguments import keyed, words
from tagi_cli.errors import UserError

HELP = """
Convert a checkpoint to CSV files or pytagi's, and back.

usage: tagi convert <source> <target>
       tagi convert <source> <target> format=pytagi|pytagi_csv [run=<run folder>] [member=<number>]

  <source>         a .safetensors file, a folder of CSV files, or a run folder (its best)
  <target>         the folder to make, or the .safetensors file
  format=          what pytagi reads and writes: its binary file, or its four CSV files, for which
                   <source> or <target> is the prefix of their names
  run=             the run whose network it is; with pytagi's files as <source>, its best with the
                   parameters from there becomes <target>
  member=          which network of an ensemble, from 0

examples:
  tagi convert outputs/quickstart/2026-01-31_12-00-00-1f3a parameters
  tagi convert parameters edited.safetensors
  tagi convert outputs/mine/2026-01-31_12-00-00-1f3a net.bin format=pytagi
  tagi convert net.bin net.safetensors format=pytagi run=outputs/mine/2026-01-31_12-00-00-1f3a
"""


def run(arguments: list[str]) -> int:
    """Convert and say what was written."""
    given = [a for a in arguments if a.partition("=")[0].isidentifier() and "=" in a]
    options = keyed(given, [], ["format", "run", "member"])
    source, target = words([a for a in arguments if a not in given], ["source", "target"])
    from tagi_cli.experiment.convert import convert, exchange

    if "format" not in options:
        if options:
            raise UserError(
                f"{', '.join(options)}: only for pytagi's files; give format=pytagi or "
                "format=pytagi_csv, too"
            )
        print(convert(source, target))
        return 0
    member = options.get("member")
    if member is not None and not member.isdecimal():
        raise UserError(f"member: found '{member}'. Allowed: the number of a network, from 0")
    number = None if member is None else int(member)
    for path in exchange(source, target, options["format"], options.get("run"), number):
        print(path)
    return 0
