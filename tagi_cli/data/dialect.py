"""How a delimited text file is written: its delimiter, and whether its first record is a header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tagi_cli.data.table import parse_decimal_comma, parse_number

_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')
_SAMPLE = 100
_LONGEST_FIELD = 131_072


@dataclass(frozen=True)
class Dialect:
    """The delimiter of a file; None stands for any run of spaces or tabs.

    Fields may be quoted with `"`, doubled inside; spaces before a field do not belong to it. Where
    semicolons separate, a comma may be the decimal mark of a column: `1,5;2,5`.
    """

    delimiter: str | None

    @property
    def has_decimal_comma(self) -> bool:
        """Whether numbers may be written with a comma."""
        return self.delimiter == ";"

    def is_header(self, fields: Sequence[str]) -> bool:
        """Whether a first record names the columns: any field is neither number nor missing."""
        return any(
            parse_number(field) is None
            and (not self.has_decimal_comma or parse_decimal_comma(field) is None)
            for field in fields
        )

    def records(self, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """Each record with the index of its first line; blank lines are passed over.

        Raises:
            csv.Error: a field of more than 131,072 characters, as after a stray quote.
        """
        if self.delimiter is None:
            for i, line in enumerate(lines):
                fields = _WORD.findall(line)
                if fields:
                    yield i, [_unquoted(field) for field in fields]
            return
        reader = csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)
        begin = 0
        # The limit is one of the whole process, and other packages lift it.
        before = csv.field_size_limit(_LONGEST_FIELD)
        try:
            for fields in reader:
                if len(fields) > 1 or "".join(fields).strip():
                    yield begin, fields
                begin = reader.line_num
        finally:
            csv.field_size_limit(before)


def sniff(lines: Sequence[str]) -> Dialect:
    """The dialect under which most of the first records have the same number of fields, above one.

    Where several fit about alike, tab goes before semicolon, comma and spaces: a file of one of
    these may well hold the next in its fields (a decimal comma, a date and time), seldom the one
    before. The first record, which may be the header, must have several fields too.
    """
    sample = [line for line in lines if line.strip()][:_SAMPLE]
    best, best_share = Dialect(","), 0.5
    for delimiter in ("\t", ";", ",", None):
        dialect = Dialect(delimiter)
        try:
            found = [len(fields) for _, fields in dialect.records(sample)]
        except csv.Error:
            continue
        widths = Counter(found)
        most = max((count for width, count in widths.items() if width > 1), default=0)
        if not most or found[0] == 1:
            continue
        # The margin pays for a record that the end of the sample cuts in two.
        if most > (best_share + 0.05) * len(found):
            best, best_share = dialect, most / len(found)
    return best


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field
