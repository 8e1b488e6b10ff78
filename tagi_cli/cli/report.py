"""`tagi report`."""

from __future__ import annotations

from tagi_cli.cli.arguments import keyed

HELP = """
Write report.html and the figures of a run again.

usage: tagi report run=<run folder>

examples:
  tagi report run=outputs/quickstart/2026-01-31_12-00-00-1f3a
"""


def run(arguments: list[str]) -> int:
    """Write the report and say where."""
    given = keyed(arguments, ["run"])
    from tagi_cli.experiment.folder import RunFolder
    from tagi_cli.experiment.report.page import write_report

    folder = RunFolder.open(given["run"])
    with folder.locked():
        print(write_report(folder))
    return 0
