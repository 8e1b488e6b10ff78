"""`tagi predict input=- output=-`: rows on a pipe are answered as they arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np

from tagi_cli.data.images.encoder import takes_images
from tagi_cli.data.inputs import TimeInput, filled_notice
from tagi_cli.data.record_stream import SOURCE, JsonRecords, Records, records_of
from tagi_cli.errors import UserError
from tagi_cli.experiment import json_lines, laws
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.model import Model

# What a pipe holds at most, on Linux: all that waits there is read, and answered, at once.
_WAITING = 1 << 16
# Rows of a file that are written at once.
_ROWS = 4096

Lines = list[tuple[int, str]]
"""Texts with the numbers of their lines, from 1."""


def answer(model: Model, read: Callable[[int], bytes], out: IO[bytes], notices: list[str]) -> int:
    """Predict each row of a stream as soon as it is there.

    CSV is answered by CSV, JSON objects by JSON objects, one line each. Where a row is at fault,
    those before it are answered first.

    Args:
        model: of a plain table.
        read: gives at most so many bytes as soon as there are some; none at the end.
        out: written and flushed whenever all that has arrived is answered.
        notices: collects remarks for the user.

    Returns:
        the number of rows answered.

    Raises:
        UserError: the model needs more than a row at a time, the stream is empty, or a row does not
            fit; the message has its line number.
        BrokenPipeError: nobody reads the answers any more.
    """
    if takes_images(model.encoder):
        raise UserError(
            "input=-: this model sees images. Allowed: input=<file or folder of images>"
        )
    if model.encoder.windowing is not None:
        raise UserError(
            "input=-: this model sees rows of series through windows, so that no row can be "
            "answered by itself. Allowed: input=<file> with the rows before each"
        )
    stream = _Stream(model, out)
    try:
        for block in _blocks(read):
            stream.take(block)
        stream.end()
    finally:
        if stream.filled:
            notices.append(filled_notice(stream.filled))
    return stream.rows


def write_answers(law: Law, out: IO[bytes]) -> None:
    """Write predictions as the CSV that `tagi predict` writes to a file.

    Raises:
        BrokenPipeError: nobody reads them any more.
    """
    out.write(laws.csv_header(law).encode())
    for begin in range(0, len(law.places), _ROWS):
        out.write(laws.csv_lines(law.take(slice(begin, begin + _ROWS))).encode())
    out.flush()


class _Stream:
    """Rows that come line by line, and their answers in the form in which they came."""

    def __init__(self, model: Model, out: IO[bytes]) -> None:
        self._model = model
        self._out = out
        self._records: Records | None = None
        self._open: tuple[int, str] | None = None
        self.rows = 0
        self.filled = Counter[str]()

    def take(self, lines: Lines) -> None:
        """Answer the rows that end within these lines."""
        whole = []
        for number, text in lines:
            if self._open is not None:
                number, text = self._open[0], self._open[1] + text
            elif not text.strip():
                continue
            # A quoted field may hold the end of a line.
            is_json = isinstance(self._records, JsonRecords)
            self._open = (number, text) if text.count('"') % 2 and not is_json else None
            if self._records is None and text.lstrip().startswith("{"):
                self._open = None
            if self._open is None:
                if self._records is None and not self._begin(number, text):
                    continue
                whole.append((number, text))
        self._answer(whole)

    def end(self) -> None:
        """Answer what is left.

        Raises:
            UserError: a quoted field is still open, or there was nothing at all.
        """
        if self._open is not None:
            raise UserError(f"{SOURCE}, row {self._open[0]}: a quoted field that does not end")
        if self._records is None:
            raise UserError(f"{SOURCE}: is empty. Write a header and rows to it, or JSON objects")

    def _begin(self, number: int, text: str) -> bool:
        """See how records are written; whether the first line is a record itself."""
        encoder = self._model.encoder
        dates = {column.time for column in encoder.columns if isinstance(column, TimeInput)}
        self._records = records_of(text, number, [*encoder.inputs, *sorted(dates)])
        if isinstance(self._records, JsonRecords):
            return True
        encoder.check_columns(self._records.header)
        return not self._records.has_header

    def _answer(self, lines: Lines) -> None:
        """Answer these records; where one is at fault, those before it."""
        if not lines:
            return
        try:
            text = self._predicted(lines)
        except UserError:
            if len(lines) == 1:
                raise
            half = len(lines) // 2
            self._answer(lines[:half])
            self._answer(lines[half:])
            return
        self._out.write(text.encode())
        self._out.flush()

    def _predicted(self, lines: Lines) -> str:
        """The answers to some records."""
        assert self._records is not None
        table = self._records.table(lines)
        law, filled = self._model.predict_rows(table, np.arange(self.rows, self.rows + len(table)))
        if isinstance(self._records, JsonRecords):
            text = json_lines.of(law)
        else:
            text = (laws.csv_header(law) if not self.rows else "") + laws.csv_lines(law)
        self.rows += len(table)
        self.filled += filled
        return text


def _blocks(read: Callable[[int], bytes]) -> Iterator[Lines]:
    """Lines as they arrive, all that wait at once.

    Raises:
        UserError: a line is not UTF-8; those before it are given first.
    """
    number, rest = 1, b""
    while True:
        found = read(_WAITING)
        if number == 1 and not rest:
            found = found.removeprefix(b"\xef\xbb\xbf")
        *whole, rest = (rest + found).split(b"\n")
        if not found and rest:
            whole, rest = [*whole, rest], b""
        lines: Lines = []
        for text in whole:
            try:
                lines.append((number, text.decode() + "\n"))
            except UnicodeDecodeError:
                if lines:
                    yield lines
                raise UserError(f"{SOURCE}, row {number}: not UTF-8 text") from None
            number += 1
        if lines:
            yield lines
        if not found:
            return
