"""Outputs and states of a trained network, given the whole of each series."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli import arch, atomic, data, nn
from tagi_cli.arch.slstm import SLSTMOptions
from tagi_cli.data import bundled
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment import laws, tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.members import places_apart
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions, write_csv
from tagi_cli.experiment.report.page import NUMBERS as RESULTS
from tagi_cli.experiment.report.page import write_report
from tagi_cli.experiment.smoothing.figures import NUMBERS, drawn_series
from tagi_cli.experiment.smoothing.gaps import completed
from tagi_cli.experiment.smoothing.recorded_pass import Smoothed, smooth_member
from tagi_cli.paths import user_path
from tagi_cli.training.interface import NumericalError
from tagi_cli.training.learner import Learner

if TYPE_CHECKING:
    from tagi_cli.data import Part, Table
    from tagi_cli.experiment.settings import Settings

OUTPUTS, STATES, SUMMARY = "outputs.csv", "states.npz", "summary.json"
"""Files that `smooth` leaves behind."""

FOLDER = "smoothed"
"""Where they lie in a run folder."""


@dataclass(frozen=True)
class Smoothing:
    """The outcome of `smooth`.

    Attributes:
        folder: where the files are.
        facts: the content of summary.json.
        report: the page that shows the series; None where it was not written.
    """

    folder: Path
    facts: dict[str, Any]
    report: Path | None

    def lines(self) -> list[str]:
        """What came out, for people."""
        facts, fit = self.facts, self.facts["fit"]
        found = [
            f"smoothed: {facts['values']:,} values, {facts['observed']:,} of them observed, which "
            f"are met with rmse {fit['rmse']:.4g}",
            f"negative variances: {facts['negative_variances']:,} of "
            f"{facts['state_variances']:,}, set to zero",
        ]
        return found if self.report is None else [*found, f"report: {self.report}"]


def check(settings: Settings) -> None:
    """Make sure that networks of these settings have states to smooth.

    Raises:
        UserError: they have none, or predict classes.
    """
    if tasks.classifies(settings.task):
        raise UserError(
            "task: found 'classification', but series of numbers are smoothed. Allowed: "
            "regression, vl_regression"
        )
    if _has_slstm(settings.arch):
        return
    found = arch.registry.of(settings.arch).name
    raise UserError(
        f"arch: found '{found}', which has no states that can be smoothed. Allowed: slstm, or "
        "sequential with a layer slstm"
    )


def _has_slstm(options: Any) -> bool:
    if isinstance(options, SLSTMOptions):
        return True
    layers = options.layers if isinstance(options, nn.SequentialOptions) else ()
    return any(nn.registry.of(layer).name == nn.SLSTM.kind for layer in layers)


def smooth(
    run: str | Path,
    checkpoint: str = "best",
    *,
    input: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Smoothing:
    """Smooth all series of a run's data, or of another table, and write what comes out.

    Each network goes once through the series, with its parameters and noise as they are, and takes
    in what is observed; then back. So the law of each row, observed or not, is that given all
    observations of its series, before it and after it.

    Args:
        run: a run folder.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        input: a table with the run's columns; None takes the run's data.
        output: the folder to write to; None is `smoothed` in the run folder, whose report then
            shows the series.
        overwrite: replace what is there.
        notices: collects remarks for the user.

    Raises:
        UserError: a file is missing or does not fit, nothing is observed, the network has no states
            to smooth, or the result is there already.
        NumericalError: a moment is not finite.
    """
    notices = notices if notices is not None else []
    folder = RunFolder.open(run)
    place = place_to_write(folder.path, input, output, overwrite=overwrite)
    assert place is not None
    model = Model.load(run, checkpoint)
    check(model.settings)
    part = _part(model, folder, input, notices)
    stride, members = places_apart(model.settings, model.encoder), []
    for learner in model.learners:
        assert isinstance(learner, Learner)
        members.append(smooth_member(learner, part, stride))
    law = _law(model, part, members)
    facts = _facts(law, members, checkpoint, part)
    with nullcontext() if output is not None else folder.locked():
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise atomic.cannot_write(place, error) from error
        write_csv(place / OUTPUTS, law)
        _write_states(place / STATES, part, members)
        atomic.write_json(place / SUMMARY, facts)
        page = None
        if output is None:
            numbers = {"drawable": facts["series"] * len(law.names), "series": drawn_series(law)}
            atomic.write_json(folder.figures / NUMBERS, facts | numbers)
            if model.settings.viz.enabled and (folder.figures / RESULTS).is_file():
                page = write_report(folder)
    return Smoothing(place, facts, page)


def place_to_write(
    run: Path | None, input: str | Path | None, output: str | Path | None, *, overwrite: bool
) -> Path | None:
    """The folder to write to, which may not be there yet.

    Args:
        run: the run folder; None where it is still to be made.
        input: as in `smooth`.
        output: as in `smooth`.
        overwrite: as in `smooth`.

    Returns:
        its path; None for that of a run which is still to be made.

    Raises:
        UserError: it is no folder, cannot be made, or holds results.
    """
    if output is None and input is not None:
        raise UserError(
            f"output: must be given with input, as the folder '{FOLDER}' of a run is for its own "
            "data. Allowed: a folder, which is made"
        )
    if output is None and run is None:
        return None
    path = run / FOLDER if output is None and run is not None else user_path(str(output)).resolve()
    if path.exists() and not path.is_dir():
        raise UserError(f"output: {path} is there and is not a folder; name another")
    if not path.parent.is_dir():
        raise UserError(f"output: there is no folder {path.parent}; make it, or name another")
    if (path / OUTPUTS).exists() and not overwrite:
        raise UserError(
            f"output: {path / OUTPUTS} is there already; name another folder, or set overwrite=true"
        )
    return path


def _part(model: Model, folder: RunFolder, input: str | Path | None, notices: list[str]) -> Part:
    """All prediction points, with what is observed.

    Raises:
        UserError: the table does not fit, is another than the run's, or nothing in it is observed.
    """
    try:
        if input is not None:
            table = data.read_table(input, notices)
        else:
            table = _own_table(model.settings, folder, notices)
        whole = completed(model.encoder, table, notices)
        part = model.encoder.windows(whole.table, notices)
    except UserError as error:
        raise UserError(f"input: {error}" if input is not None else str(error)) from None
    if not np.isfinite(part.target).any():
        raise UserError(
            f"{'data.path' if input is None else 'input'}: {table.source} has no observed value of "
            f"{listing(model.outputs)}, so that there is nothing to smooth by; `tagi predict` "
            "needs none"
        )
    return replace(part, rows=whole.rows[part.rows])


def _own_table(settings: Settings, folder: RunFolder, notices: list[str]) -> Table:
    """The table that the run was trained on.

    Raises:
        UserError: it has changed.
    """
    if settings.data.path is None:
        table, sha256 = bundled.find(str(settings.data.name)).read()
    else:
        table = data.read_table(settings.data.path, notices)
        with Path(settings.data.path).open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    folder.check_data(sha256, table.source, "To smooth the file as it is now, give it as input")
    return table


def _law(model: Model, part: Part, members: Sequence[Smoothed]) -> Predictions:
    """The mixture of the networks at the points that were gone through.

    Raises:
        NumericalError: a moment is not finite.
    """
    rows = members[0].rows
    center, scale = (a if len(a) == 1 else a[rows] for a in (part.center, part.scale))
    law = laws.in_original_units(
        model.encoder,
        [member.prediction for member in members],
        Places.of(part).take(rows),
        part.target[rows],
        center,
        scale,
        None if part.lengths is None else part.lengths[rows],
    )
    assert isinstance(law, Predictions)
    bad = ~(np.isfinite(law.mu) & np.isfinite(law.var)).all(axis=(0, 2))
    if bad.any():
        row = int(law.places.rows[np.flatnonzero(bad)[0]])
        raise NumericalError(
            f"row {row}: the smoothed moments are not finite, and so are those of "
            f"{int(bad.sum()) - 1} more rows"
        )
    return law


def _facts(
    law: Predictions, members: Sequence[Smoothed], checkpoint: str, part: Part
) -> dict[str, Any]:
    """The content of summary.json. Errors are those of rows that were taken in."""
    apart = law.by_component
    assert apart.y is not None
    return {
        "checkpoint": checkpoint,
        "networks": len(members),
        "series": len(np.unique(part.index[:, 0])) if part.index is not None else 1,
        "values": int(apart.y.size),
        "observed": int(np.isfinite(apart.y).sum()),
        "state_variances": sum(one.var_h.size * 2 for m in members for one in m.states),
        "negative_variances": sum(member.floored for member in members),
        "fit": laws.metrics(law),
    }


def _write_states(path: Path, part: Part, members: Sequence[Smoothed]) -> None:
    """Write states.npz: places, and of each recurrent layer the moments of its states.

    `row (n,)` (-1 where the table has none), `instance (n,)`, `slice (n,)`, `place (n,)` in the
    slice, and `time (n,)` where there is one; `layer_<i>.mu_h`, `.var_h`, `.mu_c`, `.var_c` are
    `(M, n, H)` for M networks, of windows with several steps of the recurrence `(M, n, T, H)`, in
    the units of the network.
    """
    rows = members[0].rows
    places = Places.of(part).take(rows)
    assert places.index is not None
    series, piece, place = places.index.T
    arrays: dict[str, NDArray[Any]] = {
        "row": places.rows,
        "instance": np.array(places.series)[series],
        "slice": piece,
        "place": place,
    }
    if places.time is not None:
        arrays["time"] = places.time
    for number, layers in enumerate(zip(*(member.states for member in members), strict=True)):
        for name in nn.CellState._fields:
            values = np.stack([getattr(layer, name) for layer in layers]).astype(np.float32)
            arrays[f"layer_{number}.{name}"] = values[:, :, 0] if values.shape[2] == 1 else values
    with atomic.replacing(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
