"""The keys of `data:`. Kept free of numpy, so that listing options stays cheap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tagi_cli.data.images.options import ImageOptions
from tagi_cli.data.option_checks import contradictions
from tagi_cli.options import option

_BATCH_SIZE = 16
# Portions of training rows for validation. The fewer rows a part has, the more it takes to choose
# the epoch and to calibrate; rows of validation are learnt in the refit.
_VALID_OF_TABLES, _VALID = 0.2, 0.1
_PORTIONS_OF_TABLES, _PORTIONS = (0.7, _VALID_OF_TABLES, 0.1), (0.8, _VALID, 0.1)

# Rows from a prediction point to the end of a window.
_FURTHEST = 1_000_000

COVARIATES = ("hour_of_day", "day_of_week", "day_of_month", "day_of_year", "month")
"""What `time_covariates` may name."""


@dataclass(frozen=True)
class DataOptions:
    """A table, the roles of its columns, its split and its scaling."""

    path: str | None = option(
        None,
        "Data file: CSV or other delimited text (also .gz), Parquet, or NPZ. Of images a folder "
        "(IDX files as MNIST has them, CIFAR batches, or a folder of images per class), or an IDX, "
        "NPZ or NPY file. Without it, `name` picks a bundled set.",
        path=True,
    )
    name: str | None = option(
        None, "A bundled set (`yacht`, `sine`); with `path`, the name to show (the file's stem)."
    )
    in_components: tuple[str, ...] = option(
        (),
        "Input columns, by name or pattern (`x*`), in this order. Empty: all columns but targets, "
        "split, instance and time, less text columns that look like identifiers.",
    )
    out_components: tuple[str, ...] = option(
        (), "Target columns, by name or pattern. Empty: the known target of a bundled set."
    )
    categorical: tuple[str, ...] = option(
        (),
        "Input columns to one-hot encode although they hold numbers, or numbers and text. "
        "Columns without any number always are.",
    )
    instance: str | None = option(
        None,
        "Column naming the series or subject; not an input unless named. In forecasting, a column "
        "`series` is found by itself.",
    )
    time: str | None = option(
        None,
        "Column of times (numbers or ISO 8601) that orders the rows; not an input unless named. In "
        "forecasting, a column `t` or `time`, or the only one of dates, is found by itself.",
    )
    time_delta: float | str | None = option(
        None,
        "Time from row to row: a number, or for dates a duration such as 15min (us ms s min h d w "
        "mo q y). null: the most frequent. Where rows are missing, a series is cut into slices, "
        "and no window reaches over the cut. rows: no time between rows is a gap (trading days).",
    )
    time_covariates: tuple[str, ...] = option(
        (),
        "Parts of the date that become inputs, each as sine and cosine.",
        choices=COVARIATES,
    )
    in_chunk: tuple[int, int] | Literal["auto"] | None = option(
        None,
        "First and last row that a prediction at row t sees, counted from t, both inclusive: "
        "[-35, 0] are 36 rows up to t itself. auto: up to t, as many as suit the data. null: a "
        "plain table, row by row, unless `out_chunk`, a forecast or the task asks for windows.",
        minimum=-_FURTHEST,
        maximum=_FURTHEST,
    )
    out_chunk: tuple[int, int] | None = option(
        None,
        "First and last row that is predicted at row t: [1, 24] are the next 24. null: [0, 0], and "
        "in forecasting [1, horizon].",
        minimum=-_FURTHEST,
        maximum=_FURTHEST,
    )
    padding_method: str = option(
        "auto",
        "What a window shows before the first and after the last row of a slice: 0 (`constant`, "
        "the mean once scaled), or rows of the slice again as numpy.pad does. `none` leaves such "
        "windows out. auto: constant, or edge where windows are scaled one by one.",
        choices=("auto", "constant", "edge", "reflect", "symmetric", "wrap", "none"),
    )
    min_in_portion: float = option(
        0.5, "Portion of a window's input rows that must be real, not padding.", above=0, maximum=1
    )
    min_slice: int | None = option(
        None, "Leave out slices (stretches without a gap) of fewer rows.", minimum=1
    )
    stride: int | Literal["auto"] = option(
        "auto",
        "Train on every so many-th prediction point; all are validated and tested. auto: in a "
        "forecast a quarter of a season, else each.",
        minimum=1,
    )
    missing: str = option(
        "error",
        "What to do with a missing input: stop, drop the row, or use the mean of the training part "
        "(for categories, their frequencies). In series also: `split` cuts them at such rows, "
        "`ffill` carries the last value forward. A missing target is kept: it teaches nothing.",
        choices=("error", "drop", "mean", "split", "ffill"),
    )
    limit: int | None = option(
        None,
        "Use at most this many rows (prediction points, slices or series, whichever are split): a "
        "random choice, the earliest, or (with a split column) the first of the file. Of images "
        "that come divided, so many of each part.",
        minimum=1,
    )
    split_column: str | None = option(
        None, "Column holding `train`, `valid` or `test` for each row; not an input."
    )
    split_method: str = option(
        "auto",
        "`auto` is chronological for windows and where `time` is given, else random; forecasting "
        "tests the last `forecast.horizon` rows of each series. `instance-` and `slice-` keep each "
        "series or slice whole in one part. `gal` is the standard UCI split number `split_index`.",
        choices=(
            "auto",
            "random",
            "chronological",
            "gal",
            "instance-random",
            "instance-chronological",
            "slice-random",
            "slice-chronological",
        ),
    )
    split_gap: int | Literal["auto"] = option(
        "auto",
        "Prediction points left out before the next part in time. auto: as few as keep every "
        "training row before the first target of that part.",
        minimum=0,
    )
    split_portions: tuple[float, ...] | None = option(
        None,
        "Portions of train, valid and test, for random and chronological splits; a part of "
        "portion 0 is empty, any other gets a row at least. null: 0.7, 0.2 and 0.1 of a plain "
        "table, 0.8, 0.1 and 0.1 of series and images.",
        minimum=0,
        maximum=1,
    )
    split_index: int = option(0, "Number of the `gal` split.", minimum=0, maximum=19)
    seed: int = option(
        0, "Draws a generated set that differs by seed (`latent_synthetic`).", minimum=0
    )
    split_seed: int = option(0, "Fixes every random choice of rows.", minimum=0)
    valid_portion: float | None = option(
        None,
        "Portion of the training rows drawn for validation where the split itself has none (`gal`, "
        "or a split column without `valid`); of series the last ones. In forecasting the most of "
        "each series; one horizon where there are many. 0 leaves the validation part empty. null: "
        "0.2 of a plain table, 0.1 of series and images.",
        minimum=0,
        below=1,
    )
    scaling_method: str = option(
        "z-norm",
        "`z-norm`: zero mean, unit variance; `zero-one`: range 0 to 1; fitted on the training "
        "part. One-hot columns stay 0 or 1; a constant column is centred only.",
        choices=("z-norm", "zero-one", "none"),
    )
    scaling_tag: str = option(
        "full",
        "What is scaled: inputs and targets, inputs only, or nothing. Classes never are.",
        choices=("full", "in_only", "none"),
    )
    scaling_by: str = option(
        "column",
        "One scaler per column; one per series for the columns that vary within series; or for "
        "each window one of its own input rows, for inputs that are targets too, and those targets "
        "(all inputs, where no input is a target).",
        choices=("column", "instance", "window"),
    )
    reference: str = option(
        "auto",
        "What targets of windows scaled by themselves count from. seasonal: the value one season "
        "before (or two, ...), last: the last one, in units of how much the window changes from "
        "one to the next; none: the centre. auto: in a forecast seasonal, or last without season.",
        choices=("auto", "none", "last", "seasonal"),
    )
    batch_size: int | None = option(
        None,
        "Rows per update of the network. null: 16, or all the training rows if they are fewer.",
        minimum=1,
    )
    shuffle_train: bool = option(True, "Shuffle the training rows anew each epoch.")
    batch_sampling_mode: str = option(
        "auto",
        "How batches are made of windows. sliding-window: row j of each batch continues row j of "
        "the one before, as networks that carry states need it; inference: likewise, unshuffled. "
        "auto: sliding-window for such networks, else independent.",
        choices=("auto", "independent", "sliding-window", "inference"),
    )
    slide_stride: int = option(
        1,
        "Prediction points from a row of a batch to the one that continues it in the next batch. "
        "With sliding-window only every so many-th is learnt in an epoch.",
        minimum=1,
    )
    variable_sequence_length_limit: int | None = option(
        None,
        "Rows of a segment in `task: vl_regression`; longer slices are cut. null: the longest.",
        minimum=1,
    )
    image: ImageOptions = field(default_factory=ImageOptions)

    def windowed(self, horizon: int | None = None, variable_length: bool = False) -> bool:
        """Whether rows are seen through windows, given the forecast's horizon and the task."""
        asked = self.in_chunk is not None or self.out_chunk is not None
        return asked or horizon is not None or variable_length

    def shares(self, *, plain_table: bool = False) -> tuple[float, ...]:
        """The `split_portions` in force."""
        if self.split_portions is None:
            return _PORTIONS_OF_TABLES if plain_table else _PORTIONS
        return self.split_portions

    def valid_share(self, *, plain_table: bool = False) -> float:
        """The `valid_portion` in force."""
        if self.valid_portion is None:
            return _VALID_OF_TABLES if plain_table else _VALID
        return self.valid_portion

    def rows_per_update(self, rows: int | None = None) -> int:
        """The batch size in force, for this number of training rows if it is known."""
        if self.batch_size is not None:
            return self.batch_size
        return _BATCH_SIZE if rows is None else min(_BATCH_SIZE, rows)

    @property
    def in_order(self) -> bool:
        """Whether rows of a batch continue those of the one before."""
        return self.batch_sampling_mode not in ("auto", "independent")

    def faults(self) -> list[str]:
        """Faults that no single option shows, one message each; needs no data."""
        return contradictions(self)

    def training_stride(self, season: int | None) -> int:
        """`stride` in force, for the season of a forecast if there is one."""
        if self.stride != "auto":
            return self.stride
        return 1 if self.in_order else max(1, (season or 1) // 4)

    def lag(self, horizon: int | None, season: int | None) -> int | None:
        """Rows back to what targets count from; None where they count from the inputs' centre."""
        if self.scaling_by != "window" or self.scaling_tag != "full":
            return None
        word = self.reference
        if word == "auto":
            plain = horizon is None or self.scaling_method != "z-norm"
            word = "none" if plain else "seasonal"
        return {"none": None, "last": 1, "seasonal": season or 1}[word]

    def targets_chunk(self, horizon: int | None) -> tuple[int, int]:
        """First and last row of the targets: as given, else those of a forecast, else the row."""
        if self.out_chunk is not None:
            return self.out_chunk
        return (0, 0) if horizon is None else (1, horizon)

    def predicts_later(self, horizon: int | None) -> bool:
        """Whether windows end before their targets begin."""
        last = self.in_chunk[1] if isinstance(self.in_chunk, tuple) else 0
        return last < self.targets_chunk(horizon)[0]
