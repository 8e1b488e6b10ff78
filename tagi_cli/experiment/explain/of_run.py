"""`tagi explain`: an explanation of a run's model, in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic, data
from tagi_cli.data import Part
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.experiment import tasks
from tagi_cli.experiment.explain import figures, tables
from tagi_cli.experiment.explain.explained import networks_of, refuse_classes
from tagi_cli.experiment.explain.explanation import explain
from tagi_cli.experiment.explain.search import Found, search
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.places import cell
from tagi_cli.experiment.report import page
from tagi_cli.paths import user_path

SPLITS = ("train", "valid", "test")
TARGET = "target.csv"
ROWS, _VALUES = 200, 4000
"""Rows that are explained where nobody says how many, and rows times outputs at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Which rows are explained.

    Attributes:
        split: a part of the run's own data.
        input: a file instead.
        rows: at most so many, spread evenly; 0 for all; None for `ROWS`, or fewer of many outputs.
    """

    split: str = "test"
    input: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Place:
    """Where an explanation is written.

    Attributes:
        output: a folder; None takes `explanation` of the run.
        overwrite: whether to replace files that are there.
    """

    output: str | None = None
    overwrite: bool = False

    def folder(self, run: RunFolder, written: str) -> Path:
        """The folder, where `written` is not there or may be replaced.

        Raises:
            UserError: it is no folder, cannot be made, or holds an explanation.
        """
        own = run.path / figures.FOLDER
        path = own if self.output is None else user_path(self.output).resolve()
        if path.exists() and not path.is_dir():
            raise UserError(f"output: {path} is there and is not a folder; name another")
        if not path.parent.is_dir():
            raise UserError(f"output: there is no folder {path.parent}; make it, or name another")
        if (path / written).exists() and not self.overwrite:
            raise UserError(
                f"output: {path / written} is there already; name another folder with output=, or "
                "set overwrite=true"
            )
        return path


def explain_run(
    run: str | Path,
    source: Source,
    place: Place,
    *,
    checkpoint: str = "best",
    method: str = "auto",
    notices: list[str],
) -> list[Path]:
    """Explain rows of a run's data, or of a file, and write tables and figures.

    An explanation in the folder of the run is shown in its report.

    Args:
        run: a run folder.
        source: the rows.
        place: where to write.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        method: one of `explanation.METHODS`.
        notices: collects remarks for the user.

    Returns:
        the paths written.

    Raises:
        UserError: the networks cannot be explained, the rows do not fit, or files are there.
    """
    folder = RunFolder.open(run)
    path = place.folder(folder, tables.SENSITIVITIES)
    model = Model.load(run, checkpoint)
    networks_of(model)
    part = _rows(model, folder, source, notices)
    found = explain(model, part, model.statistics, method=method, notices=notices)
    _make(path)
    of = Path(source.input).name if source.input else f"the {source.split} part"
    numbers = tables.numbers_of(found, of)
    written = tables.write(path, found)
    atomic.write_json(path / figures.NUMBERS, numbers)
    written += figures.write(path, numbers)
    if place.output is None and folder.report.exists():
        with folder.locked():
            page.write_report(folder)
    return written


def find_input(
    run: str | Path,
    target: str,
    place: Place,
    *,
    component: str | None = None,
    start: str = "mean",
    source: Source,
    checkpoint: str = "best",
    notices: list[str],
) -> tuple[Found, Path]:
    """Search for the input of which a wanted output is predicted; see `search.search`.

    Args:
        run: a run folder.
        target: a number, or a list `[1.5,null]` with one for each output.
        place: where to write `target.csv`.
        component: the output that one number is for, where there are several.
        start: `mean` of the training part, or the number of a row of `source`, from 0.
        source: where rows are from.
        checkpoint: as in `explain_run`.
        notices: collects remarks for the user.

    Raises:
        UserError: as `explain_run` and `search.search`.
    """
    folder = RunFolder.open(run)
    model = Model.load(run, checkpoint)
    networks_of(model)
    refuse_classes(model)
    wanted = _wanted(model, target, component)
    path = place.folder(folder, TARGET)
    first: Floats | None = None
    if start != "mean":
        part = _rows(model, folder, Source(source.split, source.input, 0), notices)
        if not (start.isascii() and start.isdigit() and int(start) < len(part)):
            raise UserError(f"start: found '{start}'. Allowed: mean, or 0 to {len(part) - 1}")
        first = np.asarray(part.x[int(start) : int(start) + 1], np.float64)[0]
    found = search(model, model.statistics, wanted, first)
    _make(path)
    atomic.write_text(path / TARGET, target_csv(found))
    return found, path / TARGET


def _make(path: Path) -> None:
    """The folder, if it is not there.

    Raises:
        UserError: it cannot be made.
    """
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise atomic.cannot_write(path, error) from error


def target_csv(found: Found) -> str:
    """A line per input: where the search started, what it found, how surely, and the range."""
    features, F = found.features, len(found.features.column)
    lags = features.lags
    header = ["column", "category", *([] if lags is None else ["lag"])]
    lines = [",".join([*header, "start", "found", "sd", "low", "high", "at_bound"])]
    start, mean = found.in_units(found.start), found.in_units(found.mean)
    scale = features.flat(features.scale)
    low, high = (
        found.in_units(features.flat(features.low)),
        found.in_units(features.flat(features.high)),
    )
    for i in range(len(mean)):
        step, feature = divmod(i, F)
        head = [
            cell(features.columns[features.column[feature]]),
            cell(features.categories[feature]),
        ]
        head += [] if lags is None else [str(lags[step])]
        values = (start[i], mean[i], found.sd[i] * scale[i], low[i], high[i])
        numbers = ["" if np.isnan(value) else f"{value:.7g}" for value in values]
        lines.append(",".join([*head, *numbers, str(bool(found.at_bound[i])).lower()]))
    return "\n".join(lines) + "\n"


def _wanted(model: Model, target: str, component: str | None) -> Floats:
    """The wanted outputs `(K,)`, NaN where anything is welcome.

    Raises:
        UserError: no number, another count, or no such output.
    """
    names, units = model.outputs, model.encoder.units
    try:
        given: Any = json.loads(target)
    except ValueError:
        given = None
    numbers = given if isinstance(given, list) else [given]
    if not all(one is None or _is_number(one) for one in numbers) or numbers == [None]:
        raise UserError(
            f"target: found '{target}'. Allowed: a number in units of the output, or a list such "
            "as [1.5,null] with one for each output"
        )
    values = np.array([np.nan if one is None else one for one in numbers], float)
    if component is not None:
        if component not in names:
            raise UserError(
                f"component: no output '{component}'.{nearest(component, names)} Outputs: "
                f"{listing(names)}"
            )
        if len(values) > 1 or units != len(names):
            raise UserError("component: is for one number, of outputs of one step; leave it out")
        wanted = np.full(units, np.nan)
        wanted[names.index(component)] = values[0]
        return wanted
    if len(values) != units:
        raise UserError(
            f"target: found {len(values)} numbers for {units} outputs ({listing(names)}). Allowed: "
            "one for each, null where anything is welcome; or one number and component=<output>"
        )
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)


def _rows(model: Model, folder: RunFolder, source: Source, notices: list[str]) -> Part:
    """The rows to explain.

    Raises:
        UserError: there are none, they do not fit, or the data are others than the run's.
    """
    if source.input is not None:
        try:
            part = model.part_of(data.read_table(source.input, notices), notices)
        except UserError as error:
            raise UserError(f"input: {error}") from None
    else:
        if source.split not in SPLITS:
            raise UserError(
                f"split: unknown part '{source.split}'.{nearest(source.split, SPLITS)} Allowed: "
                f"{', '.join(SPLITS)}"
            )
        dataset = tasks.load_data(model.settings, [])
        folder.check_data(
            dataset.sha256,
            dataset.summary["source"],
            "To explain the file as it is now, give input=",
        )
        part = getattr(dataset, source.split)
        if not len(part):
            filled = [name for name in SPLITS if len(getattr(dataset, name))]
            raise UserError(
                f"split: the {source.split} part of this run is empty. Allowed: {listing(filled)}"
            )
    rows = source.rows
    if rows is None:
        rows = min(ROWS, max(_VALUES // model.encoder.units, 1))
    if 0 < rows < len(part):
        chosen = np.linspace(0, len(part) - 1, rows).round().astype(np.int64)
        notices.append(f"{rows} of {len(part)} rows are explained, spread evenly")
        return part.take(chosen)
    return part
