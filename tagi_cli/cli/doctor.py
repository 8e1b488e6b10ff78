"""`tagi doctor`."""

from __future__ import annotations

from tagi_cli.cli.arguments import words

HELP = """
Say what this machine offers, what is in use, and why.

usage: tagi doctor

Exit code 0 if all is well, else 1.
"""


def run(arguments: list[str]) -> int:
    """Print the findings."""
    words(arguments, [])
    from tagi_cli.experiment.doctor import examine

    findings = examine()
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        print(f"{'' if finding.well else '! '}{finding.topic:<{width}}  {finding.found}")
    return 0 if all(finding.well for finding in findings) else 1
