"""Pieces of an HTML page: the user's text made safe, numbers, tables, figures."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from tagi_cli.experiment.report import figures

escape = html.escape


def stylesheet() -> str:
    """The text of report.css."""
    return resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def document(title: str, body: Iterable[str]) -> str:
    """A whole page, with nothing outside of it; `title` is plain text, `body` HTML."""
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)} · tagi</title>"
        f"<style>{stylesheet()}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def safe(name: object) -> str:
    """The user's text, safe inside the page: escaped, without control characters."""
    return escape("".join(mark if mark.isprintable() else " " for mark in str(name)))


def prose(text: object) -> str:
    """A sentence, safe inside the page, whose per cent signs stay with their numbers."""
    return safe(text).replace(" %", "\u00a0%")


def code(name: object) -> str:
    """The user's text as code."""
    return f"<code>{safe(name)}</code>"


def number(value: Any) -> str:
    """A number with four significant digits; an empty string for what is not known."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value != 0 and not 1e-3 <= abs(value) < 1e6:
            return f"{value:.3e}"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def gallery(drawn: Iterable[figures.Figure]) -> str:
    """Figures side by side, each with its caption."""
    items = [
        f'<figure class="card">{_inline(figure)}<figcaption>{prose(figure.caption)}</figcaption>'
        "</figure>"
        for figure in drawn
    ]
    return f'<div class="figures">{"".join(items)}</div>'


def _inline(figure: figures.Figure) -> str:
    """The figure as part of the page: its colours follow the page's, its text is the page's."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"font: (bold )?([\d.]+)px [^;\"]*", r"font: \1\2px system-ui, sans-serif", svg)
    for colour, name in figures.COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    label = html.escape(figures.plain(figure.title, 80), quote=True)
    return re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        rf'<svg viewBox="\1" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        rf'aria-label="{label}">',
        svg,
        count=1,
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table whose first `text` columns hold words; cells are HTML already.

    Without headings it is one of facts, whose words may run over several lines.
    """
    mark = [' class="text"' if i < text else "" for i in range(len(header))]
    head = "".join(f"<th{m}>{escape(cell)}</th>" for m, cell in zip(mark, header, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    lines = (
        "<tr>" + "".join(f"<td{m}>{c}</td>" for m, c in zip(mark, row, strict=True)) + "</tr>"
        for row in rows
    )
    kind = "" if head else ' class="facts"'
    return (
        f'<div class="card scroll"><table{kind}>{head}<tbody>{"".join(lines)}</tbody></table></div>'
    )


def verdict(lines: Iterable[str], *, alarm: bool) -> str:
    """What matters most, in sentences that are HTML already; nothing without any."""
    body = "".join(f"<p>{line}</p>" for line in lines)
    return f'<div class="card verdict{" alarm" if alarm else ""}">{body}</div>' if body else ""
