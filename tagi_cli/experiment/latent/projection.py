"""`tagi project` and `tagi angles`: latents of rows, and angles between subspaces of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import atomic, data
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment import tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.experiment.latent.findings import findings, network_of
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
    if not latent.is_latent(model.settings.arch):
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
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Path:
    """Write the projected latents of rows: one line per row, network, group and latent.

    Args:
        run: a run folder.
        input: a table with the run's input columns; None takes the data of the run, all parts.
        output: the CSV file: row, network, group, latent (from 1), mu, sd.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        overwrite: replace `output` if it is there.
        notices: collects remarks for the user.

    Returns:
        the path written.

    Raises:
        UserError: a file is missing or does not fit, or `output` is there already.
    """
    path = new_file(output, overwrite=overwrite)
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
            table = data.read_table(input, collected)
            if encoder.windowing is None:
                x, rows = encoder.encode(table), np.arange(len(table))
            else:
                part = encoder.windows(table, collected)
                x, rows = np.asarray(part.x), part.rows
        except UserError as error:
            raise UserError(f"input: {error}") from None
    with atomic.replacing(path.resolve()) as file:
        file.write(b"row,network,group,latent,mu,sd\n")
        for text in _lines(model, x, rows):
            file.write(text.encode())
    return path


def _lines(model: Model, x: Host, rows: Host) -> Iterator[str]:
    """The table's lines, some rows at a time."""
    names = [cell(name) for name in model.settings.arch.inputs]
    for number, learner in enumerate(model.learners):
        member = network_of(learner)
        for begin in range(0, len(x), _ROWS):
            chunk = member.layout.rows(x[begin : begin + _ROWS])
            groups = np.split(chunk, np.cumsum(member.layout.groups.d_in)[:-1], axis=1)
            found = member.model.project(groups)
            places = rows[begin : begin + _ROWS].tolist()
            for i, row in enumerate(places):
                yield "".join(
                    f"{row},{number},{name},{k + 1},{mu:.7g},{sd:.7g}\n"
                    for name, moments in zip(names, found, strict=True)
                    for k, (mu, sd) in enumerate(
                        zip(moments.mu[i], np.sqrt(moments.var[i]), strict=True)
                    )
                )


def angles(first: str | Path, second: str | Path) -> dict[str, list[float]]:
    """Principal angles between the subspaces of two runs, in degrees, the smallest first.

    Args:
        first: a run folder.
        second: another one, with groups of the same names and columns.

    Returns:
        By `p.<group>` and `u.<group>`, of the groups that both have.

    Raises:
        UserError: a run of another architecture, no group in common, or a group whose columns
            differ.
    """
    found = []
    for run in (first, second):
        model = latent_model(run)
        found.append(findings(model.settings.arch, model.encoder, model.learners[0]))
    a, b = found
    shared = [name for name in a.spaces if name in b.spaces]
    if not shared:
        raise UserError(
            f"no group of {second} is called as one of {first}. Found: {listing(list(b.spaces))}. "
            f"Allowed: {listing(list(a.spaces))}"
        )
    for name in shared:
        group = name[2:]
        columns = [(one.inputs if name[0] == "p" else one.outputs)[group] for one in found]
        if sorted(columns[0]) != sorted(columns[1]):
            raise UserError(
                f"group '{group}': the columns differ: {listing(columns[0])} in {first}, "
                f"{listing(columns[1])} in {second}"
            )
    result = {}
    for name in shared:
        # Columns in one order, whatever that of the files.
        one, two = (
            each.spaces[name][
                np.argsort((each.inputs if name[0] == "p" else each.outputs)[name[2:]])
            ]
            for each in found
        )
        try:
            result[name] = principal_angles(one, two).tolist()
        except ValueError as error:
            raise UserError(f"group '{name[2:]}': {error}") from None
    return result
