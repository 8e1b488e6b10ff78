"""New rows for networks that are there already: encoded as the rows that those have learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.components import Components
from tagi_cli.data.dataset import Dataset, read_source, what_was_read
from tagi_cli.data.encoder import Encoder
from tagi_cli.data.fitting import statistics
from tagi_cli.data.gaps import without_gaps
from tagi_cli.data.inputs import CategoryInput, TimeInput, filled_notice
from tagi_cli.data.options import DataOptions
from tagi_cli.data.origins import in_training
from tagi_cli.data.parts import Part
from tagi_cli.data.series import Series
from tagi_cli.data.table import Column, NumberColumn, Table, as_text, encode_text
from tagi_cli.data.tabular import usable_rows
from tagi_cli.data.view import View, arranged, note_filled
from tagi_cli.errors import UserError, UserErrors, listing, nearest

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Past:
    """What came before new rows of series.

    Attributes:
        table: the last rows of each series, so many as windows reach back.
        counts: by series, how many rows it has had, where all of them follow one another.
    """

    table: Table
    counts: Mapping[str, int]

    @classmethod
    def of(cls, encoder: Encoder, table: Table, before: Past | None = None) -> Past | None:
        """The past, once the rows of a table belong to it.

        Returns:
            None where no window reaches back: of plain tables, and of segments.
        """
        windowing = encoder.windowing
        if windowing is None or windowing.chunks.are_segments:
            return None
        table = table if before is None else joined(encoder, before.table, table)
        series = arranged(encoder, table, [])
        ends = series.starts[1:][series.codes]
        kept = np.sort(series.rows[np.arange(len(series)) >= ends - _reach(encoder)])
        counts = {}
        for code, name in enumerate(series.names):
            rows = int(series.starts[code + 1] - series.starts[code])
            old = 0 if before is None else before.counts.get(name)
            if before is not None and name in before.counts:
                rows -= int((_names(before, encoder) == name).sum())
            if (series.slice_codes == code).sum() <= 1 and old is not None:
                counts[name] = old + rows
        return cls(_taken(encoder, table, kept), counts)


def load_appended(
    encoder: Encoder,
    options: DataOptions,
    notices: list[str],
    past: Past | None = None,
    *,
    keeps_unobserved: bool = False,
) -> Dataset:
    """All rows of a table as training part, in their order; the other parts are empty.

    Of series, what is learnt are the prediction points whose last target is new. Places (`index`)
    are those in the series as they were learnt, so that states go on.

    Args:
        encoder: of the networks.
        options: which table, and nothing else.
        notices: collects remarks for the user.
        past: the rows before these.
        keeps_unobserved: whether prediction points without any target are kept, too, as links
            between those before and after them.

    Raises:
        UserError: a column is absent, a value, category or label does not fit, or nothing is left.
    """
    try:
        table, name, sha256, _ = read_source(options, notices)
        _check_columns(encoder, table)
        if encoder.windowing is None:
            part, dropped, filled = _rows(encoder, table, options, notices)
        else:
            part, dropped, filled = _points(
                encoder, table, past, notices, keeps_unobserved=keeps_unobserved
            )
    except UserErrors:
        raise
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith("data.") else f"data.path: {text}") from None
    if not len(part) or np.isnan(part.target).all():
        raise UserError(f"data.path: {table.source} has no row with a target to learn")
    summary = what_was_read(table, name, sha256, encoder) | {
        "split": {"method": "in order", "seed": 0, "train": len(part), "valid": 0, "test": 0},
        "rows_dropped": dropped,
        "inputs_filled": filled.total(),
        "statistics": statistics(table, _components(encoder), np.arange(len(table)), []),
    }
    none = part.take(np.empty(0, np.int64))
    return Dataset(part, none, none, encoder, name, sha256, summary)


def _rows(
    encoder: Encoder, table: Table, options: DataOptions, notices: list[str]
) -> tuple[Part, int, Counter[str]]:
    """The rows of a plain table, how many are left out, and what was filled."""
    rows = usable_rows(table, _components(encoder), options, notices)
    x, filled = encoder.encode_counting(table, rows)
    if filled:
        notices.append(filled_notice(filled))
    y, raw = encoder.targets(table, rows), encoder.raw_targets(table, rows)
    part = Part(x, y, raw, rows, encoder.center_y[None], encoder.scale_y[None])
    return part, len(table) - len(rows), filled


def _points(
    encoder: Encoder,
    table: Table,
    past: Past | None,
    notices: list[str],
    *,
    keeps_unobserved: bool,
) -> tuple[Part, int, Counter[str]]:
    """The prediction points of series whose last target is new, by row in the table."""
    windowing = encoder.windowing
    assert windowing is not None
    chunks, old = windowing.chunks, 0
    whole = table
    if past is not None:
        old = len(past.table)
        whole = joined(encoder, past.table, table)
    series = arranged(encoder, whole, notices)
    arranged_rows = len(series)
    inputs, series = without_gaps(whole, series, encoder.inputs, windowing.missing, notices)
    points = chunks.points(series)
    ends = series.bounds[series.slices[points] + 1] - 1
    points = points[series.rows[np.minimum(points + chunks.targets[1], ends)] >= old]
    points = points[np.argsort(series.rows[points], kind="stable")]
    view = View(encoder, whole, inputs, series)
    note_filled(view.filled, notices)
    part = view.part(points)
    places = _places(encoder, series, points, past)
    part = replace(part, index=places, rows=np.maximum(part.rows - old, -1))
    if not keeps_unobserved:
        part = part.take(np.flatnonzero(~np.isnan(part.target).all(axis=1)))
    return part, arranged_rows - len(series), view.filled


def _places(encoder: Encoder, series: Series, points: Rows, past: Past | None) -> Rows:
    """Places of the points in the series as they were learnt; see `Part.index`."""
    windowing = encoder.windowing
    assert windowing is not None
    slices = series.slices[points]
    if windowing.origins is not None or past is None:
        return in_training(
            windowing.origins, windowing.step, windowing.chunks, series, slices, points
        ).places
    # Without times the rows of a series follow those before them.
    shown = Counter(_names(past, encoder).tolist())
    numbers, begins = -1 - series.slice_numbers, np.zeros(len(series.lengths), np.int64)
    for code, name in enumerate(series.names):
        own = np.flatnonzero(series.slice_codes == code)
        if len(own) == 1 and name in past.counts:
            numbers[own], begins[own] = 0, past.counts[name] - shown[name]
    place = begins[slices] + series.places[points]
    return np.stack([series.codes[points], numbers[slices], place], axis=1)


def joined(encoder: Encoder, first: Table, second: Table) -> Table:
    """The rows of two tables, one after the other, in the columns that an encoder knows.

    Messages name rows of the second.
    """
    data = {name: _end_to_end(first.column(name), second.column(name)) for name in _used(encoder)}
    own = np.arange(1, len(second) + 1) if second.lines is None else second.lines
    lines = np.concatenate([np.zeros(len(first), np.int64), own])
    return Table(second.source, data, lines, second.has_header)


def _end_to_end(one: Column, two: Column) -> Column:
    if isinstance(one, NumberColumn) and isinstance(two, NumberColumn):
        return NumberColumn(np.concatenate([one.values, two.values]))
    texts: list[str | None] = []
    for column in (one, two):
        text = as_text(column.values) if isinstance(column, NumberColumn) else column
        texts += np.array([*text.labels, None], dtype=object)[text.codes].tolist()
    return encode_text(texts)


def _taken(encoder: Encoder, table: Table, rows: Rows) -> Table:
    """Some rows of a table, in the columns that an encoder knows."""
    data: dict[str, Column] = {}
    for name in _used(encoder):
        column = table.column(name)
        if isinstance(column, NumberColumn):
            data[name] = NumberColumn(column.values[rows])
        else:
            data[name] = replace(column, codes=column.codes[rows])
    return Table(table.source, data)


def _used(encoder: Encoder) -> list[str]:
    """Names of the columns that an encoder reads."""
    windowing = encoder.windowing
    dates = [column.time for column in encoder.columns if isinstance(column, TimeInput)]
    of_series = [] if windowing is None else [windowing.instance, windowing.time]
    names = [*encoder.inputs, *encoder.outputs, *dates, *of_series]
    return list(dict.fromkeys(name for name in names if name is not None))


def _reach(encoder: Encoder) -> int:
    """Rows before a new one that its windows, or those of a point that predicts it, show."""
    assert encoder.windowing is not None
    chunks = encoder.windowing.chunks
    return max(chunks.last, 0) - min(chunks.inputs[0], chunks.targets[0], 0) + 1


def _names(past: Past, encoder: Encoder) -> NDArray[Any]:
    """The series of each row of the past."""
    assert encoder.windowing is not None
    instance = encoder.windowing.instance
    if instance is None:
        return np.full(len(past.table), "", dtype=object)
    column = past.table.categories(instance)
    return np.array([*column.labels, None], dtype=object)[column.codes]


def _components(encoder: Encoder) -> Components:
    """The columns of an encoder by role."""
    labels = frozenset(encoder.outputs) if encoder.classes is not None else frozenset[str]()
    categories = [c.name for c in encoder.columns if isinstance(c, CategoryInput)]
    return Components(encoder.inputs, encoder.outputs, frozenset(categories), labels)


def _check_columns(encoder: Encoder, table: Table) -> None:
    """Make sure that all inputs and targets are there.

    Raises:
        UserError: some are not.
    """
    encoder.check_columns(table)
    missing = [name for name in encoder.outputs if name not in table.columns]
    if missing:
        raise UserError(
            f"{table.source}: no column for the target '{missing[0]}'."
            f"{nearest(missing[0], table.columns)} Columns: {listing(table.columns, 30)}"
        )
