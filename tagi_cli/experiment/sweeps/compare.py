"""`tagi compare`: one sorted table over runs, with the options in which they differ."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagi_cli import atomic
from tagi_cli.config.source import read_yaml
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.experiment.folder import RunFolder, is_sweep, runs_below
from tagi_cli.experiment.report.figures import Figure
from tagi_cli.experiment.sweeps.parallel_coordinates import parallel_coordinates
from tagi_cli.experiment.sweeps.sweep import WAITING, failures, read_table
from tagi_cli.paths import user_path
from tagi_cli.training.events import COMPLETED

METRICS = (
    "valid_nll",
    "test_nll",
    "test_rmse",
    "test_error_rate",
    "test_mase",
    "test_nd",
    "test_crps",
    "test_coverage_90",
    "epochs",
    "seconds",
)
"""Columns after the differing options; those that no run has are left out."""

_SCORED = (
    "task", "data.out_components", "data.instance", "data.time", "data.in_chunk", "data.out_chunk",
    "data.min_slice", "data.stride", "data.missing", "data.limit", "data.split_column",
    "data.split_method", "data.split_gap", "data.split_portions", "data.split_index",
    "data.split_seed", "data.valid_portion", "forecast.horizon", "forecast.season",
)  # fmt: skip
"""Options that decide which rows and which target a metric is of."""

_HIGHER_IS_BETTER = ("r2", "coverage_50", "coverage_90", "coverage_95")
_NOT_OPTIONS = ("trainer.resume", "tracker")

Cell = str | float | int | None


@dataclass(frozen=True)
class Comparison:
    """A table of runs.

    Attributes:
        header: column names: `run`, `status`, the differing options, then metrics.
        rows: one list of cells per run, best first.
        sorted_by: the column of the order.
        options: names of the options in which runs differ.
        runs: the folders behind the rows.
        failed: what sweeps say of jobs that failed, with and without a run folder.
        notes: what else there is to know: why metrics may not compare, jobs that never began.
    """

    header: list[str]
    rows: list[list[Cell]]
    sorted_by: str
    options: list[str]
    runs: list[RunFolder]
    failed: list[str]
    notes: list[str]

    @property
    def ranked(self) -> int:
        """Completed runs with a value of the metric of the order; they are the first rows.

        None are, where runs are sorted by something else than a metric.
        """
        place = self.header.index(self.sorted_by)
        if place < 2 + len(self.options):
            return 0
        return sum(
            row[1] == COMPLETED and _sort_key(row[place], False)[0] == 0 for row in self.rows
        )

    def best(self) -> RunFolder:
        """The run that ranks first.

        Raises:
            UserError: no run has the metric.
        """
        if not any(row[1] == COMPLETED for row in self.rows):
            raise UserError("no run is completed, so that there is no best one")
        if not self.ranked:
            raise UserError(
                f"sorted by {self.sorted_by}, no completed run is the best. Choose a metric that "
                "they have by sort=..."
            )
        return self.runs[0]

    def best_options(self) -> dict[str, Cell]:
        """What the best run has of its own, by option."""
        return dict(zip(self.options, self.rows[0][2:], strict=False))

    def figure(self) -> Figure | None:
        """Parallel coordinates of the ranked runs; None where there are none to tell apart."""
        ranked = self.rows[: self.ranked]
        own = {name: [row[2 + i] for row in ranked] for i, name in enumerate(self.options)}
        own = {name: cells for name, cells in own.items() if _tells_apart(cells)}
        if len(ranked) < 2 or not own:
            return None
        metric = [row[self.header.index(self.sorted_by)] for row in ranked]
        rows = [list(row) for row in zip(*own.values(), metric, strict=True)]
        return parallel_coordinates(list(own), rows, self.sorted_by)

    def to_csv(self) -> str:
        """The table as CSV, numbers at full precision."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return out.getvalue()

    def write_csv(self, path: Path) -> None:
        """Write the table as a CSV file.

        Raises:
            UserError: the file cannot be written.
        """
        atomic.write_text(path, self.to_csv())


def compare(paths: Iterable[str | Path], sort: str | None = None) -> Comparison:
    """Compare run folders; a sweep folder stands for its runs.

    Args:
        paths: run folders, sweep folders, or folders of either (`outputs/<name>`).
        sort: column to sort by; by default the validation NLL, which unlike a test metric may be
            used to choose among runs, else the first metric there is.

    Raises:
        UserError: no such folder, no run in it, or no such column to sort by.
    """
    folders = _find_runs(paths)
    options = [_flatten(read_yaml(folder.config)) for folder in folders]
    differing = _differing(options)
    sweeps = {folder.path.parent: read_table(folder.path.parent) for folder in folders}
    results = [_result(folder, sweeps[folder.path.parent]) for folder in folders]
    metrics = [name for name in METRICS if any(row.get(name) is not None for row in results)]
    if sort is not None and sort not in metrics:
        found = {name for row in results for name in row} - {"status"}
        if sort in found:
            metrics.insert(0, sort)
        elif sort not in ("run", "status", *differing):
            known = ["run", "status", *differing, *sorted(found)]
            raise UserError(
                f"sort: no column '{sort}'.{nearest(sort, known)} Allowed: {listing(known, 60)}"
            )
    header = ["run", "status", *differing, *metrics]
    labels = _labels(folders)
    rows = [
        [label, str(result["status"]), *(own.get(key) for key in differing)]
        + [result.get(key) for key in metrics]
        for label, own, result in zip(labels, options, results, strict=True)
    ]
    measured = [name for name in metrics if name.startswith(("valid_", "test_"))]
    column = sort or next(iter(measured), "run")
    place = header.index(column)
    descending = column.split("_", 1)[-1] in _HIGHER_IS_BETTER
    is_metric = place >= 2 + len(differing)

    def rank(item: tuple[list[Cell], RunFolder]) -> tuple[bool, int, float, str, str]:
        row = item[0]
        return is_metric and row[1] != COMPLETED, *_sort_key(row[place], descending), str(row[0])

    ordered = sorted(zip(rows, folders, strict=True), key=rank)
    return Comparison(
        header,
        [row for row, _ in ordered],
        column,
        differing,
        [folder for _, folder in ordered],
        [f"job {line}" for path, table in sweeps.items() for line in failures(_jobs(path, table))],
        _incomparable(column, differing, folders) * is_metric + _not_begun(sweeps),
    )


def _result(folder: RunFolder, sweep: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The scalars of a run; what its sweep says of its end is more than it knows itself."""
    result = folder.results()
    row = next((row for row in sweep if row.get("run") == folder.path.name), None)
    if row is not None and result["status"] != COMPLETED:
        result["status"] = row.get("status") or result["status"]
    return result


def _jobs(sweep: Path, table: Sequence[Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Number, status and message of jobs, but of those that were taken up again and completed."""
    for row in table:
        run = row.get("run")
        if not run or RunFolder(sweep / run).results()["status"] != COMPLETED:
            yield row["job"], row.get("status", ""), row.get("message", "")


def _not_begun(sweeps: Mapping[Path, Sequence[Mapping[str, str]]]) -> list[str]:
    waiting = [
        [row["job"] for row in table if row.get("status") == WAITING] for table in sweeps.values()
    ]
    return [f"not begun: job {listing(numbers)}" for numbers in waiting if numbers]


def _incomparable(column: str, differing: Sequence[str], folders: Sequence[RunFolder]) -> list[str]:
    """A line that says why figures of different runs do not compare; none where they do."""
    read = [one.read_environment() for one in folders if one.environment.is_file()]
    causes = [path for path in differing if path in _SCORED]
    if len({one["data_sha256"] for one in read if "data_sha256" in one}) > 1:
        causes.insert(0, "their data")
    if not causes:
        return []
    return [
        f"note: {column} is of other rows or another target from run to run, as the runs differ in "
        f"{listing(causes)}; their order says little"
    ]


def _tells_apart(cells: Sequence[Cell]) -> bool:
    """Whether ranked runs differ in an option, and not only in having it, as their kinds do."""
    return len({str(cell) for cell in cells if cell is not None}) > 1


def _find_runs(paths: Iterable[str | Path]) -> list[RunFolder]:
    found: dict[Path, RunFolder] = {}
    for given in paths:
        path = user_path(given).resolve()
        if not path.is_dir():
            raise UserError(f"folder '{given}' does not exist")
        inside = [RunFolder(path)]
        if not (path / "config.yaml").is_file():
            sweeps = [child for child in sorted(path.iterdir()) if is_sweep(child)]
            inside = [run for folder in (path, *sweeps) for run in runs_below(folder)]
        if not inside:
            raise UserError(f"no run folder in '{given}' (none holds a config.yaml)")
        found |= {run.path: run for run in inside}
    if not found:
        raise UserError("name at least one run folder or sweep folder")
    return list(found.values())


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Cell]:
    """Options by dotted path; a list counts as one value."""
    flat: dict[str, Cell] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            # `arch.kind` is the choice of the group itself.
            flat |= {
                (name.removesuffix(".kind") if name == f"{path}.kind" else name): cell
                for name, cell in _flatten(value, f"{path}.").items()
            }
        elif isinstance(value, list):
            flat[path] = "[" + ",".join(str(item) for item in value) + "]"
        else:
            flat[path] = value
    return flat


def _differing(options: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Paths whose values are not the same in all runs, in the order of the first config."""
    paths = dict.fromkeys(path for own in options for path in own)
    missing = object()
    return [
        path
        for path in paths
        if path not in _NOT_OPTIONS
        and not path.startswith("tracker.")
        and len({str(own.get(path, missing)) for own in options}) > 1
    ]


def _labels(folders: Sequence[RunFolder]) -> list[str]:
    """The shortest ends of the paths that tell the runs apart."""
    for depth in range(1, 5):
        labels = ["/".join(folder.path.parts[-depth:]) for folder in folders]
        if len(set(labels)) == len(labels):
            return labels
    return [str(folder.path) for folder in folders]


def _sort_key(cell: Cell, descending: bool) -> tuple[int, float, str]:
    """Numbers in order, then words, then what is missing."""
    if isinstance(cell, bool | str):
        return (1, 0.0, str(cell))
    if cell is None or math.isnan(cell):
        return (2, 0.0, "")
    return (0, -float(cell) if descending else float(cell), "")
