"""From the options of `data:` to scaled parts ready for training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli.data import bundled
from tagi_cli.data.components import Components, choose
from tagi_cli.data.encoder import Encoder
from tagi_cli.data.images.loading import image_source, load_images
from tagi_cli.data.inputs import CategoryInput, no_value
from tagi_cli.data.option_checks import faults_in_use, remarks
from tagi_cli.data.options import DataOptions
from tagi_cli.data.parts import Part
from tagi_cli.data.sources import read_table
from tagi_cli.data.table import Table
from tagi_cli.data.tabular import load_rows
from tagi_cli.data.times import holds_dates
from tagi_cli.data.windowed import Purpose, load_windows
from tagi_cli.errors import UserError, UserErrors, listing

_SERIES, _TIMES, _TARGET = "series", ("t", "time"), "value"
"""Columns of long tables that a forecast finds by itself."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table or images, split and scaled.

    `sha256` is that of the source's bytes; `summary` is JSON-able.
    """

    train: Part
    valid: Part
    test: Part
    encoder: Encoder
    name: str
    sha256: str
    summary: dict[str, Any]

    def merged(self) -> Part:
        """Training examples followed by validation examples, for training again on both."""
        return self.train.followed_by(self.valid)


def load(
    options: DataOptions,
    *,
    dtype: str = "float32",
    notices: list[str] | None = None,
    horizon: int | None = None,
    season: int | None = None,
    variable_length: bool = False,
    classify: bool = False,
    reconstruct: bool = False,
    instance_as_input: bool = False,
) -> Dataset:
    """Read, split and scale the table or the images that the options name.

    Args:
        options: the keys of `data:`.
        dtype: of the scaled arrays, float32 or float64: that of the network that learns them.
        notices: collects one-line remarks for the user.
        horizon: rows at the end of each series that a forecast is tested on; None is no forecast.
        season: rows in a season of the forecast, which `in_chunk: auto` goes by.
        variable_length: whether examples are segments of series, with a target for each row.
        classify: whether the target is a label.
        reconstruct: whether the targets are the inputs, images.
        instance_as_input: whether the column that names the series is an input of every row, a
            feature for each of them; none may be missing there.

    Raises:
        UserError: any mistake in the options or the file; see the modules of this package.
    """
    notices = notices if notices is not None else []
    windowed = options.windowed(horizon, variable_length)
    faults = options.faults() + faults_in_use(
        options, horizon=horizon, variable_length=variable_length, classify=classify
    )
    if faults:
        raise UserErrors(faults)
    images_at = image_source(options)
    if images_at is not None or reconstruct:
        images = load_images(options, images_at, dtype, classify=classify, reconstruct=reconstruct)
        facts = images.summary
        return Dataset(*images.parts, images.encoder, facts["name"], facts["sha256"], facts)
    notices += remarks(options, horizon, variable_length)
    table, name, sha256, default_outputs = read_source(options, notices)
    if len(table) < 2:
        raise UserError(f"{table.source}: 1 row; training and validation need 2 at least")
    if horizon is not None:
        options = _with_usual_columns(table, options, notices)
    _check_roles(options)
    components = choose(
        table,
        options,
        default_outputs,
        notices,
        classify=classify,
        windowed=windowed,
        predicts_later=windowed and options.predicts_later(horizon),
    )
    if instance_as_input and options.instance is not None:
        components = _with_instance(table, components, options.instance)
    if windowed:
        purpose = Purpose(horizon, season, variable_length)
        loaded = load_windows(table, components, options, purpose, dtype, notices)
    else:
        loaded = load_rows(table, components, options, dtype, notices)
    encoder = loaded.encoder
    if instance_as_input:
        encoder = _without_fill(encoder, options.instance)
    summary = what_was_read(table, name, sha256, encoder) | loaded.summary
    return Dataset(*loaded.parts, encoder, name, sha256, summary)


def what_was_read(table: Table, name: str, sha256: str, encoder: Encoder) -> dict[str, Any]:
    """What `Dataset.summary` tells of any table."""
    return {
        "name": name,
        "source": table.source,
        "sha256": sha256,
        "rows": len(table),
        "columns": len(table.columns),
        "inputs": list(encoder.inputs),
        "features": list(encoder.features),
        "outputs": list(encoder.outputs),
    }


def _with_instance(table: Table, components: Components, instance: str) -> Components:
    """The components with the column that names the series among the inputs, as categories.

    Raises:
        UserError: a row does not say of which series it is.
    """
    missing = np.flatnonzero(table.missing(instance))
    if len(missing):
        raise UserError(
            f"{no_value(table, instance, missing)} Each row needs one, as data.instance tells of "
            "which subject it is"
        )
    inputs = tuple(dict.fromkeys((*components.inputs, instance)))
    return replace(components, inputs=inputs, categorical=components.categorical | {instance})


def _without_fill(encoder: Encoder, instance: str | None) -> Encoder:
    """The encoder with every series named: whose row it is cannot be filled in by frequencies."""
    columns = [
        replace(column, fill=None)
        if isinstance(column, CategoryInput) and column.name == instance
        else column
        for column in encoder.columns
    ]
    return replace(encoder, columns=tuple(columns))


def _with_usual_columns(table: Table, options: DataOptions, notices: list[str]) -> DataOptions:
    """The options with the usual columns, where no others are named and they are there.

    Raises:
        UserError: which of several columns of dates orders the rows is not said.
    """
    named = {*options.in_components, *options.out_components, *options.categorical}
    usual = [name for name in table.columns if name not in named]
    if options.instance is None and _SERIES in usual:
        options = replace(options, instance=_SERIES)
        notices.append(f"data.instance: column '{_SERIES}' names the series")
    if options.time is None:
        found = [name for name in _TIMES if name in usual]
        others = {options.instance, options.split_column}
        dated = [name for name in usual if name not in others and holds_dates(table, name)]
        if found:
            options = replace(options, time=found[0])
            notices.append(f"data.time: column '{found[0]}' holds the times")
        elif len(dated) == 1:
            options = replace(options, time=dated[0])
            notices.append(f"data.time: the only column of dates, '{dated[0]}', orders the rows")
        elif dated:
            raise UserError(
                f"data.time: {table.source} has several columns of dates, {listing(dated)}; name "
                "the one that orders the rows"
            )
    if not options.out_components and _TARGET in usual:
        options = replace(options, out_components=(_TARGET,))
        notices.append(f"data.out_components: column '{_TARGET}' is forecast")
    return options


def _check_roles(options: DataOptions) -> None:
    """Make sure that the columns are named that other options need.

    Raises:
        UserErrors: one is not.
    """
    faults = []
    if options.time is None and options.time_covariates:
        faults.append("data.time_covariates: name the column of dates in data.time")
    if options.instance is None and options.split_method.startswith("instance-"):
        faults.append(
            f"data.split_method: '{options.split_method}' needs data.instance, the column that "
            "names the series or subject of each row"
        )
    if faults:
        raise UserErrors(faults)


def source_table(options: DataOptions, notices: list[str]) -> Table:
    """The whole table that the options name.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    return read_source(options, notices)[0]


def read_source(
    options: DataOptions, notices: list[str]
) -> tuple[Table, str, str, tuple[str, ...]]:
    """The table that the options name, its name, the sha256 of its source, its usual targets.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    chosen = None if options.path is not None else bundled.find(str(options.name))
    if options.seed != DataOptions.seed and (chosen is None or chosen.seeded is None):
        notices.append("data.seed has no effect beside data that are not drawn by a seed")
    if chosen is not None:
        name = str(options.name)
        table, sha256 = chosen.draw(options.seed)
        return table, name, sha256, chosen.outputs
    assert options.path is not None
    try:
        table = read_table(options.path, notices)
    except UserError as error:
        raise UserError(f"data.path: {error}") from None
    path = Path(options.path).expanduser()
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    # A preset names a bundled set, in whose place the user's file is used.
    given = None if options.name in bundled.BUNDLED else options.name
    return table, given or path.name.split(".")[0], sha256, ()
