"""`tagi compare`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tagi_cli.cli.arguments import keyed
from tagi_cli.cli.table import show_table
from tagi_cli.errors import UserError, nearest
from tagi_cli.paths import user_path

if TYPE_CHECKING:
    from tagi_cli.experiment.sweeps.compare import Comparison

HELP = """
Compare runs: a sorted table of where they differ, and a figure.

usage: tagi compare <folder>... [sort=<column>] [output=<file.csv|file.html>] [figure=<file.png>]
                    [--select best [to=<folder>]]

  <folder>         run folders, sweep folders, or outputs/<name> with all its runs
  sort=...         the column to sort by (default valid_nll), e.g. test_rmse
  output=...       also write the table as CSV, at full precision; or as .html, a page by itself
                   with the figures and links to the reports
  figure=...       parallel coordinates of the completed runs, .png or .svg; of a single sweep
                   they are drawn without it, as parallel_coordinates.png in its folder
  --select best    copy the folder of the run that ranks first
  to=...           to this folder (default: outputs/<name>-best/<its name>)

examples:
  tagi compare outputs/quickstart
  tagi compare outputs/sweep/2026-01-31_12-00-00-1f3a --select best to=winner
  tagi compare outputs/quickstart/2026-01-31_12-00-00-1f3a sort=test_crps output=runs.html
"""

_KEYS = ("sort", "output", "figure", "to")
_SELECT = "--select"


def run(arguments: list[str]) -> int:
    """Print the table, best run first; draw it; copy the best run if asked to."""
    arguments, select = _take_select(arguments)
    options = [argument for argument in arguments if argument.partition("=")[0] in _KEYS]
    given = keyed(options, [], _KEYS)
    folders = [argument for argument in arguments if argument not in options]
    for folder in folders:
        if folder.startswith("-"):
            raise UserError(
                f"{folder}: unknown option. Allowed: sort=..., output=..., figure=..., "
                f"{_SELECT} best, to=..., --help"
            )
    if not folders:
        raise UserError("found no folder. Allowed: <folder>... [sort=<column>] [output=<file>]")
    output = _free("output", given)
    if output is not None and output.suffix not in (".csv", ".html"):
        raise UserError(
            f"output: found '{output.name}'. Allowed: a name that ends in .csv or .html"
        )
    figure = _free("figure", given)
    if figure is not None and figure.suffix not in (".png", ".svg"):
        raise UserError(f"figure: found '{figure.name}'. Allowed: a name that ends in .png or .svg")
    if "to" in given and not select:
        raise UserError(f"to: says where {_SELECT} best copies the best run to; add that")
    from tagi_cli.experiment.folder import from_here
    from tagi_cli.experiment.sweeps.compare import compare
    from tagi_cli.experiment.sweeps.selection import copy_run, place_for

    found = compare(folders, given.get("sort"))
    show_table(found.header, found.rows)
    for line in (*found.failed, *found.notes):
        print(line)
    if select:
        target = user_path(given["to"]) if "to" in given else place_for(found.best())
        copy = copy_run(found.best(), target).path
    if found.ranked and len(found.rows) > 1:
        _show_best(found)
    for path in _draw(found, folders, figure):
        print(from_here(path))
    if output is not None:
        if output.suffix == ".html":
            from tagi_cli.experiment.sweeps.comparison_page import write_page

            write_page(found, output)
        else:
            found.write_csv(output)
        print(f"\n{output}")
    if select:
        print(f"\n{from_here(copy)}\ntagi predict run={shlex.quote(str(from_here(copy)))} ...")
    return 0


def _take_select(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without `--select best`, and whether it was there.

    Raises:
        UserError: something other than the best is asked for.
    """
    rest: list[str] = []
    select = False
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag != _SELECT:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if value != "best":
            raise UserError(f"{_SELECT}: found '{value}'.{nearest(value, ['best'])} Allowed: best")
        select = True
    return rest, select


def _free(key: str, given: dict[str, str]) -> Path | None:
    """The path given for a file to write.

    Raises:
        UserError: it is there already.
    """
    if key not in given:
        return None
    path = user_path(given[key])
    if path.exists():
        raise UserError(f"{key}: {path} is there already; nothing is overwritten")
    return path


def _show_best(found: Comparison) -> None:
    from tagi_cli.experiment.folder import from_here

    best = found.best()
    value = found.rows[0][found.header.index(found.sorted_by)]
    words = " ".join(f"{k}={v}" for k, v in found.best_options().items() if v is not None)
    print(f"\nbest by {found.sorted_by} ({value:.4g}): {words}")
    print(f"tagi train config={shlex.quote(str(from_here(best.config)))}")


def _draw(found: Comparison, folders: list[str], wanted: Path | None) -> list[Path]:
    """Write the figure where it was asked for, or into the one sweep compared."""
    from tagi_cli import atomic
    from tagi_cli.experiment.folder import is_sweep

    paths = []
    if wanted is not None:
        paths = [wanted]
    elif len(folders) == 1 and is_sweep(user_path(folders[0])):
        path = user_path(folders[0]).resolve()
        # The folder of a name holds runs too; only that of a sweep is drawn unasked.
        paths = [path / "parallel_coordinates.png"] if (path / "sweep.csv").is_file() else []
    figure = found.figure() if paths else None
    if figure is None:
        if wanted is not None:
            raise UserError(
                "figure: there are no two completed runs that differ in an option and have a "
                f"{found.sorted_by} to draw"
            )
        return []
    try:
        for path in paths:
            if path.suffix == ".svg":
                atomic.write_text(path, figure.svg)
            else:
                with atomic.replacing(path) as file:
                    file.write(figure.png)
    except UserError as error:
        if wanted is not None:
            raise
        # A sweep of someone else's is compared all the same.
        print(f"note: no figure, as {error}")
        return []
    return paths
