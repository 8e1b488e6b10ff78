"""`tagi project` and `tagi angles`: latents of rows, and angles between subspaces of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tagi_cli import atomic, data
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.data import Encoder
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment import tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.latent.findings import findings, network_of, subjects_of
from tagi_cli.experiment.latent.networks import has_subjects, is_latent
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.new_file import new_file
from tagi_cli.experiment.places import cell

Host = np.ndarray[Any, Any]

_ROWS = 4096


def latent_model(run: str | Path, checkpoint: str = "best") -> Model:
    """The model of a run of a latent regression.

    Raises:
        UserError: no such run or checkpoint, or a run of another architecture.
    """
    model = Model.load(run, checkpoint)
    if not is_latent(model.settings.arch):
        raise UserError(
            f"run: {run} has no latents, as its architecture is another. Allowed: a run with "
            "arch=latent_regression"
        )
    return model


def project(
    run: str | Path,
    input: str | Path | None,
    output: str | Path,
    checkpoint: str = "best",
    *,
    apply_specific_m: bool = True,
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Path:
    """Write the projected latents of rows: one line per row, network, group and latent.

    Args:
        run: a run folder.
        input: a table with the run's input columns; None takes the data of the run, all parts.
        output: the CSV file: row, subject where there are several, network, group, latent (from
            1), mu, sd.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        apply_specific_m: whether to give latents behind the specific part of the map, where there
            is one; the group is `specific_m` where it changes their number.
        overwrite: replace `output` if it is there.
        notices: collects remarks for the user.

    Returns:
        the path written.

    Raises:
        UserError: a file is missing or does not fit, or `output` is there already.
    """
    path = new_file(output, overwrite=overwrite, source=input)
    model = latent_model(run, checkpoint)
    collected = [] if notices is None else notices
    encoder = model.encoder
    if input is None:
        dataset = tasks.load_data(model.settings, collected)
        RunFolder.open(run).check_data(
            dataset.sha256,
            dataset.summary["source"],
            "To project the file as it is, give it as input",
        )
        parts = [part for part in (dataset.train, dataset.valid, dataset.test) if len(part)]
        x = np.concatenate([np.asarray(part.x) for part in parts])
        rows = np.concatenate([part.rows for part in parts])
        order = np.argsort(rows, kind="stable")
        x, rows = x[order], rows[order]
    else:
        try:
            x, rows = encoded(encoder, data.read_table(input, collected), collected)
        except UserError as error:
            raise UserError(f"input: {error}") from None
    several = has_subjects(model.settings.arch)
    with atomic.replacing(path.resolve()) as file:
        columns = ("row", *(("subject",) if several else ()), "network,group,latent,mu,sd")
        file.write(f"{','.join(columns)}\n".encode())
        for text in _lines(model, x, rows, apply_specific_m):
            file.write(text.encode())
    return path


def encoded(encoder: Encoder, table: data.Table, notices: list[str]) -> tuple[Host, Host]:
    """All rows or windows of a table, encoded, and their row numbers.

    Raises:
        UserError: a column is missing or does not fit.
    """
    if encoder.windowing is None:
        return encoder.encode(table), np.arange(len(table))
    part = encoder.windows(table, notices)
    return np.asarray(part.x), part.rows


def _lines(model: Model, x: Host, rows: Host, apply_specific_m: bool) -> Iterator[str]:
    """The table's lines, some rows at a time."""
    for number, learner in enumerate(model.learners):
        subjects = subjects_of(learner)
        for begin in range(0, len(x), _ROWS):
            chunk = x[begin : begin + _ROWS]
            lines = [""] * len(chunk)
            who = network_of(learner).layout.subject_of(chunk)
            for s in np.unique(who).tolist():
                places = np.flatnonzero(who == s)
                member = network_of(learner, s)
                ends = np.cumsum(member.layout.groups.d_in)[:-1]
                groups = np.split(member.layout.rows(chunk[places]), ends, axis=1)
                found = member.model.project(groups, apply_specific_m=apply_specific_m)
                names = [cell(name) for name in model.settings.arch.inputs]
                if tuple(a.mu.shape[1] for a in found) != member.layout.groups.d_proj:
                    names = ["specific_m"]
                whose = f"{cell(subjects[s])}," if subjects[s] else ""
                for i, place in enumerate(places.tolist()):
                    lines[place] = "".join(
                        f"{rows[begin + place]},{whose}{number},{name},{k + 1},{mu:.7g},{sd:.7g}\n"
                        for name, moments in zip(names, found, strict=True)
                        for k, (mu, sd) in enumerate(
                            zip(moments.mu[i], np.sqrt(moments.var[i]), strict=True)
                        )
                    )
            yield from lines


def angles(first: str | Path, second: str | Path) -> dict[str, list[float]]:
    """Principal angles between the subspaces of two runs, in degrees, the smallest first.

    Args:
        first: a run folder.
        second: another one, with groups of the same names and columns.

    Returns:
        By `p.<group>` and `u.<group>`, behind `<subject>.` where there are several, of the groups
        that both have.

    Raises:
        UserError: a run of another architecture, no group in common, or a group whose columns
            differ.
    """
    found = []
    for run in (first, second):
        model = latent_model(run)
        learner = model.learners[0]
        found.append(
            {
                f"{name}.{space}" if name else space: _Space(
                    (one.inputs if space[0] == "p" else one.outputs)[space[2:]], matrix
                )
                for s, name in enumerate(subjects_of(learner))
                for one in [findings(model.settings.arch, model.encoder, learner, s)]
                for space, matrix in one.spaces.items()
            }
        )
    a, b = found
    shared = [name for name in a if name in b]
    if not shared:
        raise UserError(
            f"no group of {second} is called as one of {first}. Found: {listing(list(b))}. "
            f"Allowed: {listing(list(a))}"
        )
    result = {}
    for name in shared:
        one, two = a[name], b[name]
        if sorted(one.columns) != sorted(two.columns):
            raise UserError(
                f"group '{_group(name)}': the columns differ: {listing(one.columns)} in {first}, "
                f"{listing(two.columns)} in {second}"
            )
        try:
            result[name] = principal_angles(one.in_order(), two.in_order()).tolist()
        except ValueError as error:
            raise UserError(f"group '{_group(name)}': {error}") from None
    return result


class _Space(NamedTuple):
    """A subspace by its variables and a matrix `(variables, latents)`."""

    columns: tuple[str, ...]
    matrix: Host

    def in_order(self) -> Host:
        """The matrix with the variables in one order, whatever that of the file."""
        return np.asarray(self.matrix[np.argsort(self.columns)])


def _group(space: str) -> str:
    """`a` of `p.a`; of a subject s `s.p.a`, as it stands."""
    return space[2:] if space[:2] in ("p.", "u.") else space
