"""The keys of `data:`. Kept free of numpy, so that listing options stays cheap."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tagi_cli.options import option

_BATCH_SIZE = 16


@dataclass(frozen=True)
class DataOptions:
    """A table, the roles of its columns, its split and its scaling."""

    path: str | None = option(
        None,
        "Data file: CSV or other delimited text (also .gz), Parquet, or NPZ. Without it, `name` "
        "picks a bundled set.",
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
    instance: str | None = option(None, "Column naming the series or subject; not an input.")
    time: str | None = option(
        None,
        "Column of times (numbers or ISO 8601) that orders the rows; not an input unless named.",
    )
    missing: str = option(
        "error",
        "What to do with a missing input: stop, drop the row, or use the mean of the training part "
        "(for categories, their frequencies). A missing target is kept: it teaches nothing.",
        choices=("error", "drop", "mean"),
    )
    limit: int | None = option(
        None,
        "Use at most this many rows: a random choice, the earliest, or (with a split column) the "
        "first of the file.",
        minimum=1,
    )
    split_column: str | None = option(
        None, "Column holding `train`, `valid` or `test` for each row; not an input."
    )
    split_method: str = option(
        "auto",
        "`auto` is chronological where `time` is given, else random; `gal` is the standard UCI "
        "split number `split_index`.",
        choices=("auto", "random", "chronological", "gal"),
    )
    split_portions: tuple[float, ...] = option(
        (0.8, 0.1, 0.1),
        "Portions of train, valid and test, for random and chronological splits; a part of "
        "portion 0 is empty, any other gets a row at least.",
        minimum=0,
        maximum=1,
    )
    split_index: int = option(0, "Number of the `gal` split.", minimum=0, maximum=19)
    split_seed: int = option(0, "Fixes every random choice of rows.", minimum=0)
    valid_portion: float = option(
        0.1,
        "Portion of the training rows drawn for validation where the split itself has none (`gal`, "
        "or a split column without `valid`); 0 leaves the validation part empty.",
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
        "What is scaled: inputs and targets, inputs only, or nothing.",
        choices=("full", "in_only", "none"),
    )
    batch_size: int | None = option(
        None,
        "Rows per update of the network. null: 16, or all the training rows if they are fewer.",
        minimum=1,
    )
    shuffle_train: bool = option(True, "Shuffle the training rows anew each epoch.")

    def rows_per_update(self, rows: int | None = None) -> int:
        """The batch size in force, for this number of training rows if it is known."""
        if self.batch_size is not None:
            return self.batch_size
        return _BATCH_SIZE if rows is None else min(_BATCH_SIZE, rows)

    def faults(self) -> list[str]:
        """Faults that no single option shows, one message each; needs no data."""
        found = []
        if self.path is None and self.name is None:
            found.append(
                "data.path: no data given. Set data.path to a file (and data.out_components to the "
                "column to predict), or data.name to a bundled set; config=quickstart is an example"
            )
        portions = list(self.split_portions)
        if len(portions) != 3 or abs(sum(portions) - 1) > 1e-6:
            found.append(
                f"data.split_portions: {portions} must be three numbers (train, valid, test) that "
                "add up to 1"
            )
        elif portions[0] == 0:
            found.append(
                f"data.split_portions: {portions} leaves the training part empty; its portion must "
                "be above 0"
            )
        if self.split_column is not None and self.split_method != "auto":
            found.append(
                f"data.split_method: '{self.split_method}' contradicts data.split_column: "
                f"'{self.split_column}'; give one of them"
            )
        if self.split_method == "gal" and self.limit is not None:
            found.append(
                f"data.limit: {self.limit} contradicts data.split_method: 'gal', which is defined "
                "on all rows; leave data.limit null"
            )
        return found

    def remarks(self) -> list[str]:
        """Options that were set and have no effect beside the others, one message each."""
        parts_are_given = self.split_column is not None or self.split_method == "gal"
        idle = {
            "split_portions": parts_are_given and "a split column or data.split_method=gal",
            "valid_portion": not parts_are_given and "data.split_portions",
            "split_index": self.split_method != "gal"
            and "a split that is not data.split_method=gal",
        }
        default = {field.name: field.default for field in fields(self)}
        return [
            f"data.{name} has no effect beside {beside}"
            for name, beside in idle.items()
            if beside and getattr(self, name) != default[name]
        ]
