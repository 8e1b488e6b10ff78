"""A table of series: each prediction point, with its windows, is an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.components import Components
from tagi_cli.data.encoder import Encoder
from tagi_cli.data.fitting import check_targets, fit_inputs, fit_targets, statistics
from tagi_cli.data.gaps import without_gaps
from tagi_cli.data.inputs import Input, NumberInput
from tagi_cli.data.labels import fit_classes
from tagi_cli.data.options import DataOptions
from tagi_cli.data.origins import Origins
from tagi_cli.data.points import Chunks
from tagi_cli.data.reference import seasonal_change
from tagi_cli.data.scaling import NEAR_CONSTANT
from tagi_cli.data.series import Series, arrange
from tagi_cli.data.series_scaling import SeriesScaler, group_moments
from tagi_cli.data.splits import PARTS
from tagi_cli.data.table import Table
from tagi_cli.data.tabular import Loaded, check_batch_size
from tagi_cli.data.view import View, note_filled
from tagi_cli.data.window_splits import WindowSplit, split_windows
from tagi_cli.data.windowing import Windowing
from tagi_cli.errors import UserError

Rows = NDArray[np.int64]

_HORIZONS = 3
_LEAST_LONG = 24


@dataclass(frozen=True)
class Purpose:
    """What windows are for: `horizon` and `season` of a forecast, or segments of any length."""

    horizon: int | None = None
    season: int | None = None
    variable_length: bool = False


def load_windows(
    table: Table,
    components: Components,
    options: DataOptions,
    purpose: Purpose,
    dtype: str,
    notices: list[str],
) -> Loaded:
    """Arrange a table as series, split their prediction points, and fit the encoder.

    Raises:
        UserError: the rows make no series; a series is shorter than a window or has no target; a
            part is empty; a value is missing or does not fit.
    """
    series = arrange(table, options.instance, options.time, options.time_delta, notices)
    _check_observed(table, components, series)
    inputs, series = without_gaps(table, series, components.inputs, options.missing, notices)
    if options.min_slice is not None:
        series = _without_short(series, options.min_slice, table, notices)
    _check_lengths(series, purpose, table.source)
    chunks = _chunks(series, options, purpose, notices)
    chunks.check(series, table.source)
    _note_targets_shown(chunks, components, notices)
    split = split_windows(table, series, chunks, options, purpose.horizon, notices, purpose.season)
    if not options.in_order:
        split = split._replace(train=_observed(table, components, series, chunks, split.train))
    rows = [series.rows[part] for part in split[:3]]
    check_targets(table, components.outputs, _target_rows(series, chunks, split))
    check_batch_size(options, len(rows[0]), "windows", table, _why_so_few(split))
    encoder = _fit(
        inputs, table, components, series, chunks, split, options, purpose, dtype, notices
    )
    view = View(encoder, table, inputs, series)
    note_filled(view.filled, notices)
    train, valid, test = (view.part(points) for points in split[:3])
    shown = series.rows[split.shown]
    summary = {
        "split": {"method": split.method, "seed": options.split_seed}
        | {part: len(found) for part, found in zip(PARTS, rows, strict=True)},
        "rows_dropped": len(table) - len(series),
        "inputs_filled": view.filled.total(),
        "windows": {
            "in_chunk": list(chunks.inputs),
            "out_chunk": list(chunks.targets),
            "padding_method": chunks.padding,
            "series": int((np.diff(series.starts) > 0).sum()),
            "slices": len(series.lengths),
            "shortest": int(series.lengths.min()),
            "longest": int(series.lengths.max()),
            "step": None if series.step is None else str(series.step),
        },
        "statistics": statistics(table, components, shown, notices),
    }
    return Loaded((train, valid, test), encoder, summary)


def _why_so_few(split: WindowSplit) -> str:
    """The end of a message on too few training windows."""
    if not split.left_out:
        return ""
    return (
        f". The {split.method} split draws {split.left_out} more, which predict rows that later "
        "parts predict; data.split_method=chronological leaves out fewer"
    )


def _without_short(series: Series, least: int, table: Table, notices: list[str]) -> Series:
    """The series without slices of fewer rows.

    Raises:
        UserError: none is left.
    """
    left = series.of_length(least)
    if not len(left):
        raise UserError(
            f"data.min_slice: {least} rows leave no slice of {table.source}; the longest has "
            f"{int(series.lengths.max())}"
        )
    count = len(series.lengths) - len(left.lengths)
    if count:
        notices.append(f"{count} of {len(series.lengths)} slices left out: fewer than {least} rows")
    return left


def _check_observed(table: Table, components: Components, series: Series) -> None:
    """Make sure that every series has a target.

    Raises:
        UserError: one has none.
    """
    count = np.zeros(len(series.names), dtype=np.int64)
    for name in components.outputs:
        known = ~table.missing(name)[series.rows]
        count += np.bincount(series.codes[known], minlength=len(count))
    empty = np.flatnonzero((count == 0) & (np.diff(series.starts) > 0))
    if len(empty):
        more = f" ({len(empty) - 1} more series likewise)" if len(empty) > 1 else ""
        targets = "' and '".join(components.outputs)
        raise UserError(
            f"{table.source}: {series.label(int(empty[0]))} has no value at all of the target "
            f"'{targets}'{more}; leave its rows out"
        )


def _check_lengths(series: Series, purpose: Purpose, source: str) -> None:
    """Make sure that some series is longer than what is tested, and the rest than a season.

    Raises:
        UserError: none is; single short ones are found later, with the windows they are too short
            for.
    """
    if purpose.horizon is None:
        return
    longest = int(series.lengths.max())
    name = series.label(int(series.slice_codes[series.lengths.argmax()]))
    if longest <= purpose.horizon:
        raise UserError(
            f"{source}: forecast.horizon: {purpose.horizon} rows are no fewer than the {longest} "
            f"of {name}, the longest"
        )
    left, season = longest - purpose.horizon, purpose.season or 1
    if left <= season:
        raise UserError(
            f"{source}: forecast.season: {season} rows are no fewer than the {left} that {name}, "
            "the longest, has before the tested ones"
        )


def _chunks(series: Series, options: DataOptions, purpose: Purpose, notices: list[str]) -> Chunks:
    padding = options.padding_method
    if padding == "auto":
        padding = "edge" if options.scaling_by == "window" else "constant"
    if purpose.variable_length:
        longest = int(series.lengths.max())
        return Chunks.segments(
            min(longest, options.variable_sequence_length_limit or longest), padding
        )
    targets = options.targets_chunk(purpose.horizon)
    inputs = options.in_chunk
    if not isinstance(inputs, tuple):
        inputs = (1 - automatic_length(series, targets, purpose), 0)
        notices.append(f"data.in_chunk: auto is {list(inputs)}")
    return Chunks.of(inputs, targets, padding, options.min_in_portion)


def automatic_length(series: Series, targets: tuple[int, int], purpose: Purpose) -> int:
    """Rows of input that suit the series.

    In a forecast four times the targets, but so few that no window needs padding to forecast the
    end of the shortest series, and that half of the series train on whole windows; and more than a
    season. Else as many as the shortest series has in its half beside its targets, at most 24 or
    three times the targets.
    """
    longest = np.zeros(len(series.names), dtype=np.int64)
    np.maximum.at(longest, series.slice_codes, series.lengths)
    longest = longest[longest > 0]
    steps = targets[1] - targets[0] + 1
    if purpose.horizon is None:
        training = int(longest.min()) // 2 - max(targets[1], 0)
        return max(min(training, max(_HORIZONS * steps, _LEAST_LONG)), 2)
    H = max(purpose.horizon, steps)
    most = min(4 * H, int(longest.min()) - H, int(np.median(longest)) - 3 * H)
    return max(most, (purpose.season or 1) + 1)


def _note_targets_shown(chunks: Chunks, components: Components, notices: list[str]) -> None:
    """Remark that a window shows what it is to predict."""
    both = [name for name in components.outputs if name in components.inputs]
    overlap = chunks.inputs[0] <= chunks.targets[1] and chunks.targets[0] <= chunks.inputs[1]
    if both and overlap:
        notices.append(
            f"the inputs show the target '{both[0]}' itself: data.in_chunk {list(chunks.inputs)} "
            f"and data.out_chunk {list(chunks.targets)} overlap"
        )


def _observed(
    table: Table, components: Components, series: Series, chunks: Chunks, points: Rows
) -> Rows:
    """The points of which a target is observed; the others would teach nothing."""
    known = np.zeros(len(series), dtype=bool)
    for name in components.outputs:
        known |= ~table.missing(name)[series.rows]
    count = np.append(0, np.cumsum(known))
    first, end = _target_ends(series, chunks, points)
    return points[count[end] > count[first]]


def _target_ends(series: Series, chunks: Chunks, points: Rows) -> tuple[Rows, Rows]:
    """First row of the targets of each point, and the one after their last."""
    end = series.bounds[series.slices[points] + 1]
    return points + chunks.targets[0], np.minimum(points + chunks.targets[1] + 1, end)


def _target_rows(series: Series, chunks: Chunks, split: WindowSplit) -> list[Rows]:
    """Rows of the table that the training windows predict, and those of validation."""
    parts = (split.train, split.valid)
    return [series.rows[chunks.covered(series, part, chunks.targets)] for part in parts]


def _fit(
    inputs: Table,
    table: Table,
    components: Components,
    series: Series,
    chunks: Chunks,
    split: WindowSplit,
    options: DataOptions,
    purpose: Purpose,
    dtype: str,
    notices: list[str],
) -> Encoder:
    """The encoder, from the rows that training windows show, each counted once."""
    shown, others = series.rows[split.shown], series.rows[~split.shown]
    columns = fit_inputs(inputs, components, shown, others, options, notices)
    outputs = components.outputs
    classes: tuple[str, ...] | None = None
    if components.labels:
        classes = fit_classes(table, outputs[0], series.rows[split.learnt])
        center, scale = np.zeros(len(classes)), np.ones(len(classes))
    else:
        # An input that is a target has one scaler, so that predictions can be fed back.
        learnt = [
            series.rows[split.shown if name in components.inputs else split.learnt]
            for name in outputs
        ]
        center, scale = fit_targets(table, outputs, learnt, options)
    by_window = _by_window(columns, components, options)
    season, lag = purpose.season or 1, options.lag(purpose.horizon, purpose.season)
    _check_season(chunks, lag, purpose)
    usual, naive_error = {}, {}
    if lag is not None:
        usual = {name: _change(inputs, name, series, lag, split.shown, 2) for name in by_window}
    if purpose.horizon is not None:
        before = _before_tested(series, chunks, split)
        naive_error = {name: _change(table, name, series, season, before, 1) for name in outputs}
    windowing = Windowing(
        chunks,
        options.instance,
        options.time,
        series.step,
        options.missing,
        series.names,
        options.scaling_by == "instance" or purpose.horizon is not None,
        _series_scalers(inputs, columns, components, series, split, options, by_window),
        by_window,
        options.scaling_method,
        options.scaling_tag == "full" and classes is None,
        None if purpose.horizon is None else season,
        lag if by_window else None,
        usual,
        naive_error,
        Origins.of(series),
    )
    return Encoder(columns, outputs, center, scale, dtype, classes, windowing)


def _check_season(chunks: Chunks, lag: int | None, purpose: Purpose) -> None:
    """Make sure that a window shows the season that its targets count from.

    Raises:
        UserError: it is too short.
    """
    if lag is not None and chunks.input_length <= lag:
        what = "forecast.season" if purpose.season == lag else "data.reference: last"
        raise UserError(
            f"data.in_chunk: {list(chunks.inputs)} shows {chunks.input_length} rows, but targets "
            f"count from {lag} rows before ({what}). Allowed: {lag + 1} rows at least, or "
            "data.reference=last or none"
        )


def _before_tested(series: Series, chunks: Chunks, split: WindowSplit) -> NDArray[np.bool_]:
    """Rows `(N,)` before the first target of their series that is tested."""
    first = series.starts[1:].copy()
    np.minimum.at(first, series.codes[split.test], split.test + chunks.targets[0])
    return np.asarray(np.arange(len(series)) < first[series.codes])


def _change(
    table: Table, name: str, series: Series, lag: int, counts: NDArray[np.bool_], power: int
) -> NDArray[np.float64]:
    """See `seasonal_change`."""
    values = table.numbers(name)[series.rows]
    groups = len(series.names)
    return seasonal_change(values, series.slices, series.codes, groups, lag, counts, power)


def _by_window(
    columns: Sequence[Input], components: Components, options: DataOptions
) -> tuple[str, ...]:
    """Columns that each window scales by itself."""
    scaled = options.scaling_tag != "none" and options.scaling_method != "none"
    if options.scaling_by != "window" or not scaled:
        return ()
    numbers = [column.name for column in columns if isinstance(column, NumberInput)]
    both = [name for name in numbers if name in components.outputs and not components.labels]
    return tuple(both or numbers)


def _series_scalers(
    inputs: Table,
    columns: Sequence[Input],
    components: Components,
    series: Series,
    split: WindowSplit,
    options: DataOptions,
    by_window: Sequence[str],
) -> dict[str, SeriesScaler]:
    """By column, its scaler for each series, from the rows that training windows show.

    Raises:
        UserError: a series has no training row, and no other way to be scaled.
    """
    scaled = options.scaling_tag != "none" and options.scaling_method != "none"
    if options.scaling_by == "column" or not scaled:
        return {}
    names: list[str] = list(by_window)
    numbers = [column.name for column in columns if isinstance(column, NumberInput)]
    if options.scaling_by == "instance":
        targets = components.outputs if options.scaling_tag == "full" else ()
        names = [*dict.fromkeys((*numbers, *targets))] if not components.labels else numbers
    found: dict[str, SeriesScaler] = {}
    for name in names:
        mask = split.shown if name in numbers else split.learnt
        moments = group_moments(
            inputs.numbers(name)[series.rows[mask]], series.codes[mask], len(series.names)
        )
        # What is constant in every series tells the series apart, and keeps the column's scaler.
        if not by_window and (moments.sd <= NEAR_CONSTANT * np.abs(moments.mean)).all():
            continue
        method = "z-norm" if by_window else options.scaling_method
        found[name] = SeriesScaler.fit(moments, method)
        empty = np.flatnonzero((moments.observed == 0) & (np.diff(series.starts) > 0))
        if len(empty) and not by_window:
            more = f" ({len(empty) - 1} more likewise)" if len(empty) > 1 else ""
            raise UserError(
                f"{inputs.source}: {series.label(int(empty[0]))} has no value of '{name}' in the "
                f"training part{more}, so that data.scaling_by=instance has nothing to go by. "
                "Allowed: column, window"
            )
    return found
