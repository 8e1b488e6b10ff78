"""report.html: one page that shows what a run learnt, from the files of its folder alone."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tagi_cli import atomic, plugins
from tagi_cli.errors import UserError
from tagi_cli.experiment.explain import figures as explanation_figures
from tagi_cli.experiment.folder import RunFolder, read_json
from tagi_cli.experiment.latent import report as latent_report
from tagi_cli.experiment.report import classes as report_classes
from tagi_cli.experiment.report import figures, out_of_distribution
from tagi_cli.experiment.report import forecasts as report_forecast
from tagi_cli.experiment.report import images as image_report
from tagi_cli.experiment.report import regression as report_regression
from tagi_cli.experiment.report.account import Account
from tagi_cli.experiment.report.diagnostics import OUTPUTS_DRAWN
from tagi_cli.experiment.report.markup import (
    code,
    document,
    escape,
    gallery,
    number,
    prose,
    safe,
    table,
)
from tagi_cli.experiment.smoothing import figures as smoothing_figures
from tagi_cli.training.history import REFIT
from tagi_cli.version import __version__

NUMBERS = "data.json"
"""File in figures/ with the numbers behind the figures, see `diagnostics.diagnose`."""

_PARTS = ("train", "valid", "test")
_MOMENTS = ("mean", "sd", "minimum", "maximum")
# A table of thousands of columns helps nobody; targets are always listed.
_COLUMNS_LISTED = 60


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
    # One pass is one epoch, whose course is told along its rows.
    if "prequential" in (folder.read_summary() or {}):
        learning = figures.one_pass(numbers.get("prequential", ()))
    else:
        learning = figures.learning(_read_metrics(folder.metrics_csv), numbers.get("kept"))
    account = _account(numbers)
    outputs = {
        split: [
            account.draw(split if len(diagnoses) == 1 else f"{split}_{place}", one)
            for place, one in enumerate(diagnoses, 1)
        ]
        for split, diagnoses in numbers["splits"].items()
    }
    images = image_report.section(numbers)
    others = out_of_distribution.section(folder)
    latents = latent_report.section(numbers)
    smoothed = smoothing_figures.section(folder)
    explained = explanation_figures.section(folder)
    drawn = [*learning, *(f for groups in outputs.values() for group in groups for f in group)]
    drawn += [*images.figures, *others.figures, *latents.figures]
    drawn += [*smoothed.figures, *explained.figures]
    for figure in drawn:
        atomic.write_text(folder.figures / f"{figure.name}.svg", figure.svg)
        with atomic.replacing(folder.figures / f"{figure.name}.png") as file:
            file.write(figure.png)
    more = images.html + others.html + latents.html + smoothed.html + explained.html
    page = _page(folder, account, numbers, learning, outputs, more)
    atomic.write_text(folder.report, page)
    return folder.report


def _account(numbers: Mapping[str, Any]) -> Account:
    """How to tell of the task."""
    own = {
        "classification": report_classes.ACCOUNT,
        "forecasting": report_forecast.ACCOUNT,
    }
    return own.get(str(numbers.get("task")), report_regression.ACCOUNT)


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
    account: Account,
    numbers: Mapping[str, Any],
    learning: Sequence[figures.Figure],
    outputs: Mapping[str, Sequence[Sequence[figures.Figure]]],
    more: str,
) -> str:
    summary = folder.read_summary() or {"status": "running", "epochs": 0, "seconds": 0.0}
    environment = folder.read_environment()
    data = environment["data"]
    names = [str(name) for name in data["outputs"]]
    brought = environment.get("plugins", ())
    extra = [str(one["name"]) for one in brought if one["group"] == plugins.METRICS]
    shown = "test" if summary.get("test") else "valid"
    metrics = summary.get(shown) or {}
    title = str(environment.get("name", folder.path.name))
    status = str(summary["status"])
    body = [
        "<header>",
        f'<div class="eyebrow"><span class="chip {escape(status)}">{escape(status)}</span>'
        f"<span>{escape(folder.path.name)}</span></div>",
        f"<h1>{safe(title)}</h1>",
        f'<p class="lead">{_lead(data, environment, summary)}</p>',
        "</header>",
        account.verdict(shown, metrics, numbers["splits"].get(shown, [])),
        _tiles(account, shown, metrics),
        "<h2>Learning</h2>" + gallery(learning) if learning else "",
    ]
    for split, groups in outputs.items():
        body.append(f"<h2>Predictions on the {escape(split)} part</h2>")
        for one, group in zip(numbers["splits"][split], groups, strict=True):
            heading = account.heading(one)
            body.append((f"<h3>{safe(heading)}</h3>" if heading else "") + gallery(group))
            body.append(account.tables(one))
        if len(names) > len(groups):
            body.append(
                f'<p class="lead">{len(groups)} of {len(names)} outputs are drawn (at most '
                f"{OUTPUTS_DRAWN}); metrics cover all.</p>"
            )
    body += [
        more,
        _metrics_section(account, summary, names, extra),
        _data_section(data, environment.get("parent")),
        _network_section(numbers["network"], numbers["health"]),
        _reproduce_section(folder, environment),
        f"<footer>Written by tagi {escape(__version__)} from {code(folder.path)}</footer>",
    ]
    return document(title, body)


def _lead(
    data: Mapping[str, Any], environment: Mapping[str, Any], summary: Mapping[str, Any]
) -> str:
    outputs = [code(name) for name in data["outputs"][:4]]
    if len(data["outputs"]) > 4:
        outputs.append("…")
    split = data["split"]
    sizes = ", ".join(f"{split[part]:,} {part}" for part in _PARTS if split[part])
    seconds, epochs = float(summary.get("seconds") or 0), summary.get("epochs", 0)
    inputs = f"{len(data['inputs'])} columns" if data["inputs"] else "the times"
    if "image" in data:
        inputs = f"images of {' x '.join(map(str, data['image']['shape']))}"
    return (
        f"{', '.join(outputs)} from {inputs} of {code(data['name'])} ({sizes} rows); "
        f"{epochs} epoch{'s' * (epochs != 1)} in {seconds:.1f} s, "
        f"{safe(str(environment.get('started', ''))[:16].replace('T', ' '))}"
    )


def _tiles(account: Account, split: str, metrics: Mapping[str, Any]) -> str:
    tiles = [
        f'<div class="card tile"><b>{account.shown(key, metrics[key])}</b>'
        f"<span>{prose(f'{split} {label}')}</span></div>"
        for key, label in account.tiles.items()
        if key in metrics
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _metrics_section(
    account: Account, summary: Mapping[str, Any], names: Sequence[str], extra: Sequence[str]
) -> str:
    rows = []
    parts = {split: summary.get(split) or {} for split in ("prequential", "valid", "test")}
    columns = {
        key: heading
        for key, heading in {**account.metrics, **{name: safe(name) for name in extra}}.items()
        if any(key in metrics for metrics in parts.values())
    }
    for split, metrics in parts.items():
        if not metrics:
            continue
        components = metrics.get("components", {}) if len(names) > 1 else {}
        for label, values in [("all outputs" if components else "", metrics), *components.items()]:
            heading = f"{escape(split)} {safe(label)}".strip()
            rows.append([heading, *(account.shown(key, values.get(key)) for key in columns)])
    if not rows:
        return ""
    note = (
        f'<p class="lead">{escape(account.note)} Validation metrics are those before the networks '
        "were trained again on all training rows.</p>"
    )
    return "<h2>Metrics</h2>" + note + table(["", *columns.values()], rows)


def _data_section(data: Mapping[str, Any], parent: Mapping[str, Any] | None) -> str:
    split = data["split"]
    sizes = ", ".join(f"{split[part]:,} {part}" for part in _PARTS)
    facts = [
        ("source", code(data["source"])),
        ("sha256", code(data["sha256"])),
        *([] if parent is None else [("goes on from", code(parent["run"]))]),
        ("rows", safe(f"{data['rows']:,}")),
        ("split", safe(f"{sizes} ({split['method']}, seed {split['seed']})")),
        ("rows dropped for a missing input", safe(data["rows_dropped"])),
        ("missing inputs filled", safe(data["inputs_filled"])),
    ]
    columns = data["statistics"]
    shown = columns[:_COLUMNS_LISTED]
    if len(columns) > len(shown):
        shown = shown + [column for column in columns[len(shown) :] if column["role"] == "target"]
    rows = [
        [safe(column["name"]), safe(column["role"])]
        + ([number(column[key]) for key in _MOMENTS] if "mean" in column else _categories(column))
        + [number(column["missing"])]
        for column in shown
    ]
    note = "" if len(shown) == len(columns) else f"{len(shown)} of {len(columns)} columns."
    return (
        "<h2>Data</h2>"
        + table(["", ""], facts, text=2)
        + "<h3>Columns in the training part</h3>"
        + table(["column", "role", *_MOMENTS, "missing"], rows, text=2)
        + (f'<p class="lead">{note}</p>' if note else "")
    )


def _categories(column: Mapping[str, Any]) -> list[str]:
    """Cells of a categorical column, in the place of its moments."""
    counts = column["categories"]
    names = ", ".join(list(counts)[:3]) + (", …" if len(counts) > 3 else "")
    return [f"{len(counts)} categories", safe(figures.plain(names, 60)), "", ""]


def _network_section(
    layers: Sequence[Mapping[str, Any]], health: Sequence[Mapping[str, Any]]
) -> str:
    text = "<h2>Network</h2>"
    if layers:
        header = list(layers[0])
        text += table(header, ([safe(number(row[key])) for key in header] for row in layers))
    if health:
        rows = (
            [
                safe(row["tensor"]),
                safe(f"{100 * row['shrunk']:.0f} %"),
                number(row["floored"]),
                number(row.get("signal")),
            ]
            for row in health
        )
        text += (
            '<h3>What training did to the variances</h3><p class="lead">Shrunk is the share of the '
            "parameters whose variance fell below half the prior's: how much was learnt about "
            "them. A variance hits the floor when an update would have made it negative. "
            "Signal-to-noise is the median of |mean| over standard deviation: below 1, most "
            "parameters are not known to differ from 0.</p>"
        ) + table(["tensor", "shrunk", "hit the floor", "signal-to-noise"], rows)
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
    rows = [(safe(key).replace("_", " "), safe(value)) for key, value in flat.items()]
    rows += [(safe(key), safe(value)) for key, value in versions.items()]
    config = folder.config.read_text(encoding="utf-8")
    return (
        "<h2>Reproduce</h2><p>The same numbers, bit for bit, on the same machine and number of "
        f'threads:</p><pre class="card">{safe(again)}</pre>'
        f'<p class="next">The command that was given:</p><pre class="card">'
        f"{safe(environment.get('command', ''))}</pre>"
        '<details class="card"><summary>Configuration</summary>'
        f"<pre>{escape(config)}</pre></details>"
        '<details class="card"><summary>Environment</summary>'
        + table(["", ""], rows, text=2).replace('class="card scroll"', 'class="scroll"')
        + "</details>"
    )
