"""Small tables with a column for each role, and images; odd in what they hold and how written."""

from __future__ import annotations

import codecs
import csv
import datetime
import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars
from hypothesis import strategies as st

COLUMNS = ("a", "b", "kind", "code", "series", "when", "part", "y", "z")
"""Names of the columns of every table: numbers, text, times and dates of series, parts, targets."""

NUMBERS = {
    "plain": lambda v, i: v,
    "constant": lambda v, i: 0 * v + 3,
    "zero": lambda v, i: 0 * v,
    "large": lambda v, i: 1e30 * v,
    "small": lambda v, i: 1e-30 * v,
    "far": lambda v, i: 1e9 + v,
    "beyond single": lambda v, i: 1e200 * v,
    "all scales": lambda v, i: v * 10.0 ** (i % 61 - 30),
    "outlier": lambda v, i: v + 1e12 * (i == 1),
    "whole": lambda v, i: np.round(3 * v),
    "repeated": lambda v, i: v[i // 5],
    "gaps": lambda v, i: np.where(i % 5 == 2, np.nan, v),
    "gaps at both ends": lambda v, i: np.where((i < 3) | (i > len(v) - 4), np.nan, v),
    "one known": lambda v, i: np.where(i == len(v) // 2, v, np.nan),
    "none known": lambda v, i: np.nan * v,
}
"""What is odd about numbers, by the values and their places."""

WORDS = {
    "plain": lambda i: "uvw"[i % 3],
    "one": lambda i: "u",
    "two": lambda i: "uv"[i % 7 == 3],
    "each its own": lambda i: f"level {i}",
    "marks": lambda i: ['a "b"', "c,d;e", "f\tg", " h ", "i\nj", "\u00e9\u6f22\U0001f600"][i % 6],
    "numbers": lambda i: ["1", "2.50", "x3"][i % 3],
    "gaps": lambda i: ["u", "v", ""][i % 3],
    "rare": lambda i: "v" if i == 2 else "u",
}
"""What is odd about texts, by their places."""

ENDINGS = ("csv", "tsv", "csv.gz", "parquet", "npz")


@dataclass(frozen=True)
class Rows:
    """How a table is drawn and written; `write` gives its path."""

    rows: int
    seed: int = 0
    a: str = "plain"
    y: str = "plain"
    kind: str = "plain"
    same: bool = False
    shuffled: bool = False
    ending: str = "csv"
    delimiter: str = ","
    newline: str = "\n"
    mark: bool = False
    quoted: bool = False

    def columns(self) -> dict[str, np.ndarray]:
        """The columns by name: series side by side, in time from first to last."""
        rng = np.random.default_rng(self.seed)
        places = np.zeros(self.rows, int) if self.same else np.arange(self.rows)
        a, b, z, noise = rng.normal(size=(4, self.rows))[:, places]
        y = np.sin(b) + 0.1 * noise
        y = np.where(places % 7 == 3, np.nan, y) if self.y == "gaps" else y
        kinds = [WORDS[self.kind](i) for i in places.tolist()]
        days = [datetime.date(2023, 12, 30) + datetime.timedelta(i // 2) for i in range(self.rows)]
        found = {
            "a": NUMBERS[self.a](a, places),
            "b": b,
            "kind": np.array(kinds, object),
            "code": (np.arange(self.rows) // 2).astype(float),
            "series": np.array([*"AB"] * self.rows, object)[: self.rows],
            "when": np.array([day.isoformat() for day in days], object),
            "part": np.array([["train", "valid", "test", "train"][i % 4] for i in range(self.rows)],
                             object),
            "y": NUMBERS[self.y](y, places),
            "z": z,
        }  # fmt: skip
        order = rng.permutation(self.rows) if self.shuffled else np.arange(self.rows)
        return {name: values[order] for name, values in found.items()}

    def write(self, path: Path) -> Path:
        """Write the table to `path`, with the ending of its format."""
        path = path.with_name(f"{path.name}.{self.ending}")
        columns = self.columns()
        if self.ending == "npz":
            np.savez(path, **{name: _npy(values) for name, values in columns.items()})
        elif self.ending == "parquet":
            plain = {
                name: [None if _missing(v) else v for v in values.tolist()]
                for name, values in columns.items()
            }
            schema = {
                name: polars.String if values.dtype == object else polars.Float64
                for name, values in columns.items()
            }
            polars.DataFrame(plain, schema=schema).write_parquet(path)
        else:
            data = codecs.BOM_UTF8 * self.mark + self.text().encode()
            path.write_bytes(gzip.compress(data, 1) if self.ending == "csv.gz" else data)
        return path

    def text(self) -> str:
        """The table as delimited text."""
        columns = self.columns()
        file = io.StringIO(newline="")
        writer = csv.writer(
            file,
            delimiter="\t" if self.ending == "tsv" else self.delimiter,
            lineterminator=self.newline,
            quoting=csv.QUOTE_ALL if self.quoted else csv.QUOTE_MINIMAL,
        )
        writer.writerow(columns)
        for row in zip(*(values.tolist() for values in columns.values()), strict=True):
            writer.writerow(["" if _missing(value) else value for value in row])
        return file.getvalue()


def _missing(value: object) -> bool:
    return value == "" or value != value


def _npy(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype == object else values


@st.composite
def tables(draw: st.DrawFn, *, likely: int = 40) -> Rows:
    """Mostly a plain table, with one or two things odd about it."""
    odd = draw(
        st.sets(
            st.sampled_from(["a", "y", "kind", "same", "shuffled", "written", "few"]), max_size=2
        )
    )
    ways = {"a": NUMBERS, "y": NUMBERS, "kind": WORDS}
    found = {name: draw(st.sampled_from(list(ways[name]))) for name in ways if name in odd}
    if "written" in odd:
        found |= {
            "ending": draw(st.sampled_from(ENDINGS)),
            "delimiter": draw(st.sampled_from(",;\t|")),
            "newline": draw(st.sampled_from(["\n", "\r\n"])),
            "mark": draw(st.booleans()),
            "quoted": draw(st.booleans()),
        }
    rows = draw(st.integers(1, 8) if "few" in odd else st.integers(likely // 2, likely * 3 // 2))
    return Rows(
        rows, draw(st.integers(0, 9)), same="same" in odd, shuffled="shuffled" in odd, **found
    )


PIXELS = {
    "plain": lambda p: p,
    "dark": lambda p: 0 * p,
    "bright": lambda p: 0 * p + 255,
    "edge": lambda p: p * (np.arange(p.shape[2]) > 0),
    "same": lambda p: 0 * p + p[:1],
}
"""What is odd about pixels `(n, h, w)`."""


@dataclass(frozen=True)
class Pictures:
    """How images of two classes are drawn; `write` gives the path of an archive."""

    rows: int
    seed: int = 0
    oddity: str = "plain"
    channels: int = 0
    divided: bool = False

    def write(self, path: Path) -> Path:
        """Write the images to `path`, as NPZ."""
        rng = np.random.default_rng(self.seed)
        labels = np.arange(self.rows) % 2
        pixels = rng.integers(0, 200, (self.rows, 8, 8)) + 50 * labels[:, None, None]
        pixels = PIXELS[self.oddity](pixels).astype(np.uint8)
        if self.channels:
            pixels = np.stack([pixels] * self.channels, axis=-1)
        path = path.with_name(f"{path.name}.npz")
        parts = {"x": pixels, "y": labels}
        if self.divided:
            half = -(-self.rows // 2)
            parts = {"x_train": pixels[:half], "y_train": labels[:half],
                     "x_test": pixels[half:], "y_test": labels[half:]}  # fmt: skip
        np.savez(path, **parts)
        return path


@st.composite
def pictures(draw: st.DrawFn) -> Pictures:
    """Mostly plain images, now and then odd ones."""
    odd = draw(st.integers(0, 2)) == 0
    return Pictures(
        draw(st.integers(15, 40) | st.integers(1, 40)),
        draw(st.integers(0, 9)),
        draw(st.sampled_from(list(PIXELS))) if odd else "plain",
        draw(st.sampled_from([0, 0, 1, 3])),
        draw(st.booleans()),
    )
