"""`tagi generate`: outputs drawn from a latent regression, fed back where inputs are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import atomic, data
from tagi_cli.arch.latent.generation import MODES
from tagi_cli.arch.latent.generation import generate as draw
from tagi_cli.arch.latent.layout import Layout
from tagi_cli.arch.latent.recursion import Fed
from tagi_cli.data import Encoder, Table
from tagi_cli.data.inputs import NumberInput
from tagi_cli.errors import UserError, UserErrors, listing, nearest
from tagi_cli.experiment.latent.findings import network_of
from tagi_cli.experiment.latent.networks import has_subjects
from tagi_cli.experiment.latent.projection import latent_model
from tagi_cli.experiment.latent.units import Units, scalers_of
from tagi_cli.experiment.new_file import new_file
from tagi_cli.experiment.places import cell

Host = np.ndarray[Any, Any]
Named = tuple[str, str]


def generate(
    run: str | Path,
    input: str | Path,
    output: str | Path,
    r_map: Sequence[Named] = (),
    *,
    samples: int = 1,
    seed: int = 0,
    mode: str = "posterior",
    checkpoint: str = "best",
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Path:
    """Write trajectories of outputs, drawn with their noise, in the units of the data.

    Trajectories take the networks of the ensemble in turn.

    Args:
        run: a run folder.
        input: a table with the run's input columns, one row per step; empty cells of groups that
            `r_map` names take what the step before gave.
        output: the CSV file: sample, row, component, y.
        r_map: pairs (output group, input group) that outputs are taken from and put into.
        samples: trajectories.
        seed: draws.
        mode: `posterior` draws parameters once for each trajectory, `plugin` takes their means,
            `marginal` draws each value by its predictive law.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        overwrite: replace `output` if it is there.
        notices: collects remarks for the user.

    Returns:
        the path written.

    Raises:
        UserError: a file is missing or does not fit, a group is unknown, groups of different sizes
            are mapped, or an input is missing that nothing gives.
    """
    if mode not in MODES:
        raise UserError(f"mode: found '{mode}'. Allowed: {', '.join(MODES)}")
    path = new_file(output, overwrite=overwrite, source=input)
    model = latent_model(run, checkpoint)
    encoder, options = model.encoder, model.settings.arch
    if model.settings.data.instance is not None and not has_subjects(options):
        raise UserError(
            f"run: {run} has one network for the series in column "
            f"'{model.settings.data.instance}', and generate goes on in one. Allowed: a run "
            "without data.instance, or with arch.subjects.share"
        )
    layout = network_of(model.learners[0]).layout
    pairs = _pairs(r_map, list(options.inputs), list(options.outputs), layout)
    try:
        table = data.read_table(input, notices)
        encoder.check_columns(table)
        subject, features = _encoded(encoder, table, layout)
        x = _by_group(features, layout)
    except UserError as error:
        raise UserError(f"input: {error}") from None
    first = max(layout.lags)
    _check(x, pairs, list(options.inputs), encoder, layout, table)
    units = Units.of(encoder, layout.subjects[subject] if layout.subjects else "")
    fed = _fed(units, layout, pairs)
    generators = np.random.default_rng(seed).spawn(samples)
    with atomic.replacing(path.resolve()) as file:
        file.write(b"sample,row,component,y\n")
        names = [cell(name) for name in encoder.outputs]
        for sample, rng in enumerate(generators):
            member = network_of(model.learners[sample % len(model.learners)], subject)
            core = member.model.core
            y = layout.in_order(draw(core, x, pairs, mode, rng, fed))
            y = y * units.scale_y + units.center_y
            lines = [
                f"{sample},{first + t},{name},{value:.9g}\n"
                for t, row in enumerate(y.tolist())
                for name, value in zip(names, row, strict=True)
            ]
            file.write("".join(lines).encode())
    return path


def _pairs(
    r_map: Sequence[Named], inputs: list[str], outputs: list[str], layout: Layout
) -> list[tuple[int, int]]:
    """Numbers of output and input groups."""
    found, faults = [], []
    groups = layout.groups
    for h, g in r_map:
        for name, known, side in ((h, outputs, "output"), (g, inputs, "input")):
            if name not in known:
                faults.append(
                    f"r_map: no {side} group '{name}'.{nearest(name, known)} Allowed: "
                    f"{listing(known)}"
                )
        if h not in outputs or g not in inputs:
            continue
        pair = outputs.index(h), inputs.index(g)
        if groups.d_out[pair[0]] != groups.d_in[pair[1]]:
            faults.append(
                f"r_map: {h}:{g} are groups of {groups.d_out[pair[0]]} and "
                f"{groups.d_in[pair[1]]} variables. Allowed: groups of one size"
            )
        if layout.lags[pair[1]] > 1:
            faults.append(
                f"r_map: {g} lies {layout.lags[pair[1]]} rows back; only what the step before gave "
                "is fed back. Allowed: groups of lag 0 (columns that hold earlier values) or 1"
            )
        found.append(pair)
    if faults:
        raise UserErrors(faults)
    return found


def _encoded(encoder: Encoder, table: Table, layout: Layout) -> tuple[int, Host]:
    """The subject of all rows, and their features, scaled, `(n, F)`.

    A missing number is NaN, whatever `data.missing`.

    Raises:
        UserError: rows are of several subjects, or a column does not fit.
    """
    filled = _filled(encoder, table)
    x, subject = np.asarray(encoder.encode(filled), np.float64), 0
    if layout.subjects:
        found = np.unique(x[:, layout.marks].argmax(axis=1))
        if len(found) > 1:
            names = [layout.subjects[s] for s in found]
            raise UserError(f"the rows are of {listing(names)}. Allowed: rows of one subject")
        subject = int(found[0])
        own = scalers_of(encoder, layout.subjects[subject], len(table))
        x = np.asarray(encoder.encode_counting(filled, scalers=own)[0], np.float64)
    begin = 0
    for column in encoder.columns:
        if isinstance(column, NumberInput):
            x[np.isnan(table.numbers(column.name)), begin] = np.nan
        begin += len(column.features)
    return subject, x


def _filled(encoder: Encoder, table: Table) -> Table:
    """The table with zeros for missing numbers, which the encoder would refuse."""
    numbers = {column.name for column in encoder.columns if isinstance(column, NumberInput)}
    columns: dict[str, Any] = {}
    for name in table.columns:
        if name in numbers:
            values = table.numbers(name)
            columns[name] = np.where(np.isnan(values), 0.0, values)
        else:
            columns[name] = table[name]
    return replace(Table.from_columns(columns, table.source), lines=table.lines)


def _by_group(x: Host, layout: Layout) -> list[Host]:
    """Inputs of each group, `(steps, d_in)`, without the first rows, which lags reach beyond."""
    first = max(layout.lags)
    if len(x) <= first:
        raise UserError(f"found {len(x)} rows. Allowed: at least {first + 1}, as groups have lags")
    return [
        x[first - lag : len(x) - lag, index % layout.features]
        for lag, index in zip(layout.lags, layout.inputs, strict=True)
    ]


def _check(
    x: Sequence[Host],
    pairs: Sequence[tuple[int, int]],
    inputs: list[str],
    encoder: Encoder,
    layout: Layout,
    table: Table,
) -> None:
    """Make sure that what is missing can be fed back.

    Raises:
        UserErrors: a cell is empty in a group that nothing is mapped to, or in the first step.
    """
    mapped, first = {g for _, g in pairs}, max(layout.lags)
    faults = []
    for g, values in enumerate(x):
        missing = np.argwhere(np.isnan(values))
        if not len(missing):
            continue
        step, j = (int(i) for i in missing[0])
        column = encoder.features[layout.inputs[g][j] % layout.features]
        where = f"input: {table.where(step + first - layout.lags[g], column)} is empty"
        if g not in mapped:
            faults.append(
                f"{where}, and no output group is mapped to '{inputs[g]}'. Allowed: numbers, or "
                f"r_map=<output group>:{inputs[g]}"
            )
        elif step == 0:
            faults.append(f"{where}, and there is no step before. Allowed: numbers there")
    if faults:
        raise UserErrors(faults)


def _fed(units: Units, layout: Layout, pairs: Sequence[tuple[int, int]]) -> Fed:
    """From scaled outputs to scaled inputs, by way of the units of the data."""
    ends = np.cumsum((0, *layout.groups.d_in))
    factor, shift = np.ones(ends[-1]), np.zeros(ends[-1])
    for h, g in reversed(pairs):
        own, target = layout.inputs[g] % layout.features, layout.outputs[h]
        scale = units.scale_x[own]
        part = slice(ends[g], ends[g + 1])
        factor[part] = units.scale_y[target] / scale
        shift[part] = (units.center_y[target] - units.center_x[own]) / scale
    return Fed(factor, shift)
