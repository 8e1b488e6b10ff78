"""From a table to what the network sees, and back: the part of the data that outlives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli.data.inputs import CategoryInput, Input, NumberInput, TimeInput, scaled
from tagi_cli.data.labels import class_numbers, one_hot
from tagi_cli.data.series_scaling import SeriesScaler
from tagi_cli.data.table import Table
from tagi_cli.data.times import dates
from tagi_cli.data.windowing import Windowing
from tagi_cli.errors import UserError, listing, nearest

if TYPE_CHECKING:
    from tagi_cli.data.parts import Part

Floats = NDArray[np.floating[Any]]
Rows = NDArray[np.int64]
Scalers = Mapping[str, SeriesScaler]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encodes new rows exactly as the training rows were; goes into checkpoints as JSON.

    `center_y, scale_y (K,) float64` translate targets: `y = scaled * scale_y + center_y`, a
    variance by `scale_y ** 2`; where series or windows have their own, a `Part` holds them. What is
    scaled comes as `dtype`; it is computed in float64. `classes` are the labels that the output
    may have, in order; None where outputs are numbers.
    """

    columns: tuple[Input, ...]
    outputs: tuple[str, ...]
    center_y: NDArray[np.float64]
    scale_y: NDArray[np.float64]
    dtype: str = "float32"
    classes: tuple[str, ...] | None = None
    windowing: Windowing | None = None
    inputs: tuple[str, ...] = field(init=False)
    features: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(c.name for c in self.columns if not isinstance(c, TimeInput))
        features = tuple(name for column in self.columns for name in column.features)
        object.__setattr__(self, "inputs", names)
        object.__setattr__(self, "features", features)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one encoded row `(F,)`, or window `(T_in, F)`."""
        F = len(self.features)
        return (F,) if self.windowing is None else (self.windowing.chunks.input_length, F)

    @property
    def output_shape(self) -> tuple[int, int]:
        """Steps and components of a target `(T_out, K)`; of classes `(1, classes)`."""
        if self.classes is not None:
            return 1, len(self.classes)
        steps = 1 if self.windowing is None else self.windowing.chunks.target_length
        return steps, len(self.outputs)

    @property
    def units(self) -> int:
        """Values that the network predicts of one example, `T_out * K`."""
        steps, components = self.output_shape
        return steps * components

    def windows(self, table: Table, notices: list[str] | None = None) -> Part:
        """All prediction points of a new table, with its targets as far as it has them.

        Raises:
            UserError: as `encode`; the table makes no series, or one shorter than a window; a
                series that is unknown where only those of the training can be predicted.
            ValueError: the encoder is one of a plain table.
        """
        from tagi_cli.data.view import windows

        return windows(self, table, [] if notices is None else notices)

    def tail(self, table: Table, steps: int = 0, notices: list[str] | None = None) -> Part:
        """The window of each series whose targets follow the last row with an observed target.

        Args:
            table: with the past of each series; rows after the last observed target count as the
                future, of which the inputs are known.
            steps: rows by which the windows are longer at their end, for a network that is fed
                what it predicts; inputs that are targets are 0 there.
            notices: collects remarks for the user.

        Raises:
            UserError: as `windows`, or inputs of rows to come would be needed that are not given.
            ValueError: the encoder is one of a plain table.
        """
        from tagi_cli.data.tail import tail

        return tail(self, table, steps, [] if notices is None else notices)

    def encode(self, table: Table, rows: Rows | None = None) -> Floats:
        """Inputs of the rows (default: all) as `(rows, features)`, scaled.

        Columns may stand in any order; those that are no input are ignored.

        Raises:
            UserError: an input column is absent (all of them are named), holds text or a missing
                value where none is allowed, or a category unknown to the training.
        """
        return self.encode_counting(table, rows)[0]

    def encode_counting(
        self, table: Table, rows: Rows | None = None, scalers: Scalers | None = None
    ) -> tuple[Floats, Counter[str]]:
        """As `encode`, with the number of missing values filled in each column that had some.

        `scalers` replace those of columns, with values for each of the rows.
        """
        self._check_inputs(table)
        chosen = slice(None) if rows is None else rows
        n = len(table) if rows is None else len(rows)
        x = np.empty((n, len(self.features)), self.dtype)
        filled, begin = Counter[str](), 0
        moments: NDArray[np.int64] | None = None
        for column in self.columns:
            end = begin + len(column.features)
            out = x[:, begin:end]
            begin = end
            if isinstance(column, TimeInput):
                if moments is None:
                    moments = dates(table, column.time, np.arange(len(table))[chosen])
                column.encode(moments, out)
                continue
            own = (scalers or {}).get(column.name)
            if isinstance(column, NumberInput):
                count = column.encode(table, chosen, out, own)
            else:
                count = column.encode(table, chosen, out)
            if count:
                filled[column.name] = count
        return x, filled

    def check_columns(self, table: Table) -> None:
        """Make sure that a table has the columns of the inputs, of series and of times.

        Raises:
            UserError: it lacks some; all inputs are named.
        """
        self._check_inputs(table)
        if self.windowing is None:
            return
        for name, what in ((self.windowing.instance, "series"), (self.windowing.time, "times")):
            if name is not None and name not in table.columns:
                raise UserError(
                    f"{table.source}: no column '{name}' for the {what}{_columns_of(table)}"
                )

    def _check_inputs(self, table: Table) -> None:
        absent = [name for name in self.inputs if name not in table.columns]
        if absent:
            free = [name for name in table.columns if name not in self.inputs]
            hint = nearest(absent[0], free) if len(absent) == 1 else ""
            raise UserError(
                f"{table.source}: no column for the input{'s' * (len(absent) > 1)} "
                f"{listing(absent, 30)}{'.' * bool(hint)}{hint}{_columns_of(table, bool(hint))}"
            )

    def encode_array(self, array: ArrayLike) -> Floats:
        """The inputs of `examples` alone: `(n, features)`, or `(n, T_in, features)`."""
        return np.asarray(self.examples(array).x)

    def examples(self, array: ArrayLike) -> Part:
        """Raw inputs `(n, columns)`, columns as in `inputs`, as examples without targets.

        Windows of one row each, `(n, 1, columns)`, are the same. An encoder of windows takes them
        whole, `(n, T_in, columns)`.

        Raises:
            UserError: another shape, a value that `encode` refuses, or inputs that depend on the
                date or the series, which an array does not tell.
        """
        from tagi_cli.data.arrays import examples

        return examples(self, np.asarray(array))

    def targets(
        self, table: Table, rows: Rows | None = None, scalers: Scalers | None = None
    ) -> Floats | None:
        """Targets of the rows `(rows, K)`, scaled, NaN where missing; None where there are none.

        Classes are indicators, a column for each. A target column that the table lacks is missing
        as a whole. `scalers` replace those of columns, with values for each of the rows.

        Raises:
            UserError: a target is text, or a label that is not among the classes.
        """
        raw = self.raw_targets(table, rows)
        if raw is None:
            return None
        if self.classes is not None:
            return one_hot(raw[:, 0], len(self.classes), self.dtype)
        y = np.empty(raw.shape, self.dtype)
        chosen = slice(None) if rows is None else rows
        for k, name in enumerate(self.outputs):
            own = (scalers or {}).get(name)
            center = float(self.center_y[k]) if own is None else own.center
            scale = float(self.scale_y[k]) if own is None else own.scale
            y[:, k] = scaled(table, chosen, name, raw[:, k], center, scale)
        return y

    def raw_targets(self, table: Table, rows: Rows | None = None) -> NDArray[np.float64] | None:
        """As `targets`, in original units and float64; of classes their numbers `(rows, 1)`."""
        if not any(name in table.columns for name in self.outputs):
            return None
        chosen = slice(None) if rows is None else rows
        if self.classes is not None:
            return class_numbers(table, self.outputs[0], chosen, self.classes)[:, None]
        n = len(table) if rows is None else len(rows)
        y = np.full((n, len(self.outputs)), np.nan)
        for k, name in enumerate(self.outputs):
            if name in table.columns:
                y[:, k] = table.numbers(name, " (a target must be)")[chosen]
        return y

    def to_json(self) -> dict[str, Any]:
        """A dict for JSON that `from_json` turns into an equal encoder, bit for bit."""
        inputs: list[dict[str, Any]] = []
        for column in self.columns:
            entry: dict[str, Any] = {"name": column.name}
            if isinstance(column, NumberInput):
                entry |= {"fill": column.fill, "center": column.center, "scale": column.scale}
            elif isinstance(column, CategoryInput):
                entry |= {
                    "categories": list(column.categories),
                    "fill": None if column.fill is None else list(column.fill),
                }
            else:
                entry |= {"time": column.time}
            inputs.append(entry)
        outputs: list[dict[str, Any]] = [{"name": name} for name in self.outputs]
        if self.classes is None:
            rows = zip(outputs, self.center_y.tolist(), self.scale_y.tolist(), strict=True)
            outputs = [entry | {"center": center, "scale": scale} for entry, center, scale in rows]
        return {
            "inputs": inputs,
            "outputs": outputs,
            "dtype": self.dtype,
            "classes": None if self.classes is None else list(self.classes),
            "windows": None if self.windowing is None else self.windowing.to_json(),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_json` wrote."""
        if "image" in tree:
            from tagi_cli.data.images.encoder import ImageEncoder

            return ImageEncoder.from_json(tree)
        columns: list[Input] = []
        for entry in tree["inputs"]:
            if "time" in entry:
                columns.append(TimeInput(entry["name"], entry["time"]))
                continue
            fill = entry["fill"]
            if "categories" in entry:
                names = tuple(entry["categories"])
                columns.append(
                    CategoryInput(entry["name"], names, None if fill is None else tuple(fill))
                )
            else:
                columns.append(NumberInput(entry["name"], entry["center"], entry["scale"], fill))
        classes, windows = tree.get("classes"), tree.get("windows")
        if classes is None:
            center = [entry["center"] for entry in tree["outputs"]]
            scale = [entry["scale"] for entry in tree["outputs"]]
        else:
            center, scale = [0.0] * len(classes), [1.0] * len(classes)
        return cls(
            tuple(columns),
            tuple(entry["name"] for entry in tree["outputs"]),
            np.array(center, dtype=np.float64),
            np.array(scale, dtype=np.float64),
            tree.get("dtype", "float32"),
            None if classes is None else tuple(classes),
            None if windows is None else Windowing.from_json(windows),
        )


def _columns_of(table: Table, ended: bool = False) -> str:
    """The end of a message on a column that is not there; `ended`: after a sentence's full stop."""
    hint = "" if table.has_header else " (the file has no header)"
    return f"{hint}{'' if ended and not hint else '.'} Columns: {listing(table.columns, 30)}"
