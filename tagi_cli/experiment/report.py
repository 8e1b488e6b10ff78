"""report.html: one page that shows what a run learnt, from the files of its folder alone."""

from __future__ import annotations

import csv
import html
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from scipy.stats import binom

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.experiment import figures
from tagi_cli.experiment.diagnostics import OUTPUTS_DRAWN
from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.training.history import REFIT
from tagi_cli.version import __version__

NUMBERS = "data.json"
"""File in figures/ with the numbers behind the figures, see `diagnostics.diagnose`."""
METRICS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "nll": "NLL",
    "crps": "CRPS",
    "coverage_50": "in 50 %",
    "coverage_90": "in 90 %",
    "coverage_95": "in 95 %",
    "width_90": "width 90 %",
    "pit_error": "PIT error",
}
"""Metrics of a regression in the order of the tables, with their headings."""

_TILES = {
    "rmse": "RMSE",
    "nll": "NLL per value",
    "r2": "R²",
    "crps": "CRPS",
    "coverage_90": "inside 90 % intervals",
    "width_90": "mean width of 90 %",
}
# Coverage of the 90 % intervals that needs no remark, however many values there are.
_PROMISED = (0.87, 0.93)

_PARTS = ("train", "valid", "test")
_MOMENTS = ("mean", "sd", "minimum", "maximum")
# A table of thousands of columns helps nobody; targets are always listed.
_COLUMNS_LISTED = 60

escape = html.escape


def write_report(folder: RunFolder) -> Path:
    """Draw figures/ and write report.html from the files of a run folder.

    Returns:
        the path of the page.

    Raises:
        UserError: the run has no figures/data.json (it did not end), or a file cannot be written.
    """
    numbers_at = folder.figures / NUMBERS
    if not numbers_at.is_file():
        raise UserError(
            f"{folder.path}: nothing to report yet, as the run has not been evaluated (no "
            f"{numbers_at.relative_to(folder.path)}). Finish it with trainer.resume={folder.path}"
        )
    numbers = read_json(numbers_at)
    learning = figures.learning(_read_metrics(folder.metrics_csv), numbers.get("kept"))
    outputs = {
        split: [
            figures.of_output(split if len(diagnoses) == 1 else f"{split}_{place}", one)
            for place, one in enumerate(diagnoses, 1)
        ]
        for split, diagnoses in numbers["splits"].items()
    }
    drawn = [*learning, *(f for groups in outputs.values() for group in groups for f in group)]
    for figure in drawn:
        atomic.write_text(folder.figures / f"{figure.name}.svg", figure.svg)
        with atomic.replacing(folder.figures / f"{figure.name}.png") as file:
            file.write(figure.png)
    atomic.write_text(folder.report, _page(folder, numbers, learning, outputs))
    return folder.report


def _read_metrics(path: Path) -> list[dict[str, float | str | None]]:
    """The epochs of the search for the best one; those of the refit are no curve of their own."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{key: _cell(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if row.get("phase") != REFIT]


def _cell(text: str | None) -> float | str | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _page(
    folder: RunFolder,
    numbers: Mapping[str, Any],
    learning: Sequence[figures.Figure],
    outputs: Mapping[str, Sequence[Sequence[figures.Figure]]],
) -> str:
    summary = folder.read_summary() or {"status": "running", "epochs": 0, "seconds": 0.0}
    environment = folder.read_environment()
    data = environment["data"]
    names = [str(name) for name in data["outputs"]]
    shown = "test" if summary.get("test") else "valid"
    metrics = summary.get(shown) or {}
    title = str(environment.get("name", folder.path.name))
    status = str(summary["status"])
    body = [
        "<header>",
        f'<div class="eyebrow"><span class="chip {escape(status)}">{escape(status)}</span>'
        f"<span>{escape(folder.path.name)}</span></div>",
        f"<h1>{_text(title)}</h1>",
        f'<p class="lead">{_lead(data, environment, summary)}</p>',
        "</header>",
        _verdict(shown, metrics, numbers["splits"].get(shown, [])),
        _tiles(shown, metrics),
        "<h2>Learning</h2>" + _gallery(learning) if learning else "",
    ]
    for split, groups in outputs.items():
        body.append(f"<h2>Predictions on the {escape(split)} part</h2>")
        for one, group in zip(numbers["splits"][split], groups, strict=True):
            body.append(f"<h3>{_text(one['name'])}</h3>{_gallery(group)}")
        if len(names) > len(groups):
            body.append(
                f'<p class="lead">{len(groups)} of {len(names)} outputs are drawn (at most '
                f"{OUTPUTS_DRAWN}); metrics cover all.</p>"
            )
    body += [
        _metrics_section(summary, names),
        _data_section(data),
        _network_section(numbers["network"], numbers["health"]),
        _reproduce_section(folder, environment),
        f"<footer>Written by tagi {escape(__version__)} from {_code(folder.path)}</footer>",
    ]
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)} · tagi</title>"
        f"<style>{_stylesheet()}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _stylesheet() -> str:
    return resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")


def _text(name: object) -> str:
    """The user's text, safe inside the page: escaped, without control characters."""
    return escape("".join(mark if mark.isprintable() else " " for mark in str(name)))


def _code(text: object) -> str:
    return f"<code>{_text(text)}</code>"


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


def _lead(
    data: Mapping[str, Any], environment: Mapping[str, Any], summary: Mapping[str, Any]
) -> str:
    outputs = [_code(name) for name in data["outputs"][:4]]
    if len(data["outputs"]) > 4:
        outputs.append("…")
    split = data["split"]
    sizes = ", ".join(f"{split[part]:,} {part}" for part in _PARTS if split[part])
    seconds = float(summary.get("seconds") or 0)
    return (
        f"{', '.join(outputs)} from {len(data['inputs'])} columns of "
        f"{_code(data['name'])} ({sizes} rows); "
        f"{summary.get('epochs', 0)} epochs in {seconds:.1f} s, "
        f"{_text(str(environment.get('started', ''))[:16].replace('T', ' '))}"
    )


def _verdict(split: str, metrics: Mapping[str, Any], diagnoses: Sequence[Mapping[str, Any]]) -> str:
    """What the coverage of the 90 % intervals says, in words, for each output drawn."""
    components = metrics.get("components", {})
    lines, alarm = [], False
    for one in diagnoses:
        found = components.get(one["name"], metrics).get("coverage_90")
        if found is None:
            continue
        n = int(one["observed"])
        low, high = (float(binom.ppf(p, n, 0.9)) / n for p in (0.025, 0.975))
        low, high = min(low, _PROMISED[0]), max(high, _PROMISED[1])
        if low <= found <= high:
            words = "as promised, within what chance allows"
        else:
            alarm = True
            words = "intervals are too narrow" if found < low else "intervals are too wide"
        lines.append(
            f"<p>The 90 % intervals of {_code(one['name'])} hold <b>{100 * found:.1f} %</b> of "
            f"{n:,} {escape(split)} values: {words}.</p>"
        )
    if not lines:
        return ""
    return f'<div class="card verdict{" alarm" if alarm else ""}">{"".join(lines)}</div>'


def _tiles(split: str, metrics: Mapping[str, Any]) -> str:
    tiles = [
        f'<div class="card tile"><b>{_metric(key, metrics[key])}</b>'
        f"<span>{escape(split)} {escape(label)}</span></div>"
        for key, label in _TILES.items()
        if key in metrics
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _metric(key: str, value: Any) -> str:
    if key.startswith("coverage") and value is not None:
        return f"{100 * value:.1f} %"
    return number(value)


def _gallery(drawn: Iterable[figures.Figure]) -> str:
    items = [
        f'<figure class="card">{_inline(figure)}<figcaption>{_text(figure.caption)}</figcaption>'
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


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table whose first `text` columns hold words; cells are HTML already."""
    mark = [' class="text"' if i < text else "" for i in range(len(header))]
    head = "".join(f"<th{m}>{escape(cell)}</th>" for m, cell in zip(mark, header, strict=True))
    head = f"<thead><tr>{head}</tr></thead>" if any(header) else ""
    lines = (
        "<tr>" + "".join(f"<td{m}>{c}</td>" for m, c in zip(mark, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="card scroll"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'


def _metrics_section(summary: Mapping[str, Any], names: Sequence[str]) -> str:
    rows = []
    for split in ("valid", "test"):
        metrics = summary.get(split) or {}
        if not metrics:
            continue
        components = metrics.get("components", {}) if len(names) > 1 else {}
        for label, values in [("all outputs" if components else "", metrics), *components.items()]:
            heading = f"{escape(split)} {_text(label)}".strip()
            rows.append([heading, *(_metric(key, values.get(key)) for key in METRICS)])
    if not rows:
        return ""
    note = (
        '<p class="lead">In the units of the data; natural logarithms; means over observed values. '
        "Validation metrics are those before the networks were trained again on all training "
        "rows.</p>"
    )
    return "<h2>Metrics</h2>" + note + _table(["", *METRICS.values()], rows)


def _data_section(data: Mapping[str, Any]) -> str:
    split = data["split"]
    sizes = ", ".join(f"{split[part]:,} {part}" for part in _PARTS)
    facts = [
        ("source", _code(data["source"])),
        ("sha256", _code(data["sha256"])),
        ("rows", _text(f"{data['rows']:,}")),
        ("split", _text(f"{sizes} ({split['method']}, seed {split['seed']})")),
        ("rows dropped for a missing input", _text(data["rows_dropped"])),
        ("missing inputs filled", _text(data["inputs_filled"])),
    ]
    columns = data["statistics"]
    shown = columns[:_COLUMNS_LISTED]
    if len(columns) > len(shown):
        shown = shown + [column for column in columns[len(shown) :] if column["role"] == "target"]
    rows = [
        [_text(column["name"]), _text(column["role"])]
        + ([number(column[key]) for key in _MOMENTS] if "mean" in column else _categories(column))
        + [number(column["missing"])]
        for column in shown
    ]
    note = "" if len(shown) == len(columns) else f"{len(shown)} of {len(columns)} columns."
    return (
        "<h2>Data</h2>"
        + _table(["", ""], facts, text=2)
        + "<h3>Columns in the training part</h3>"
        + _table(["column", "role", *_MOMENTS, "missing"], rows, text=2)
        + (f'<p class="lead">{note}</p>' if note else "")
    )


def _categories(column: Mapping[str, Any]) -> list[str]:
    """Cells of a categorical column, in the place of its moments."""
    counts = column["categories"]
    names = ", ".join(list(counts)[:3]) + (", …" if len(counts) > 3 else "")
    return [f"{len(counts)} categories", _text(figures.plain(names, 60)), "", ""]


def _network_section(
    layers: Sequence[Mapping[str, Any]], health: Sequence[Mapping[str, Any]]
) -> str:
    text = "<h2>Network</h2>"
    if layers:
        header = list(layers[0])
        text += _table(header, ([_text(number(row[key])) for key in header] for row in layers))
    if health:
        rows = (
            [_text(row["tensor"]), _text(f"{100 * row['shrunk']:.0f} %"), number(row["floored"])]
            for row in health
        )
        text += (
            '<h3>What training did to the variances</h3><p class="lead">Share of the parameters '
            "whose variance fell below half the prior's: how much was learnt about them. A "
            "variance hits the floor when an update would have made it negative.</p>"
        ) + _table(["tensor", "shrunk", "hit the floor"], rows)
    return text


def _reproduce_section(folder: RunFolder, environment: Mapping[str, Any]) -> str:
    again = f"tagi train config={shlex.quote(str(folder.config))}"
    versions = environment.get("versions", {})
    flat = {
        key: value
        for key, value in environment.items()
        if value is not None
        and not isinstance(value, dict | list)
        and key not in ("command", "format", "name")
    }
    rows = [(_text(key).replace("_", " "), _text(value)) for key, value in flat.items()]
    rows += [(_text(key), _text(value)) for key, value in versions.items()]
    config = folder.config.read_text(encoding="utf-8")
    return (
        "<h2>Reproduce</h2><p>The same numbers, bit for bit, on the same machine and number of "
        f'threads:</p><pre class="card">{_text(again)}</pre>'
        f'<p class="next">The command that was given:</p><pre class="card">'
        f"{_text(environment.get('command', ''))}</pre>"
        '<details class="card"><summary>Configuration</summary>'
        f"<pre>{escape(config)}</pre></details>"
        '<details class="card"><summary>Environment</summary>'
        + _table(["", ""], rows, text=2).replace('class="card scroll"', 'class="scroll"')
        + "</details>"
    )
