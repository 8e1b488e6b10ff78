"""What a run says on the terminal before it trains and when it has ended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tagi_cli.data import Dataset
from tagi_cli.distributed import ALONE, Communicator
from tagi_cli.experiment.folder import RunFolder, from_here
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.summary import Summary
from tagi_cli.training.events import COMPLETED
from tagi_cli.training.progress_text import counted, short

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LISTED = 6


def opening(
    console: Console,
    settings: Settings,
    dataset: Dataset,
    summary: Summary,
    folder: RunFolder,
    notices: Sequence[str],
    ranks: Communicator = ALONE,
) -> None:
    """Say what was read, how it is split, which network learns it, where, and where results lie."""
    facts, encoder = dataset.summary, dataset.encoder
    sizes = ", ".join(
        f"{len(getattr(dataset, part))} {part}"
        for part in ("train", "valid", "test")
        if len(getattr(dataset, part))
    )
    layers = " - ".join(_widths(dataset, summary))
    plural = "s" if summary.members > 1 else ""
    lines = {
        "data": f"{dataset.name}: {facts['rows']:,} rows, "
        f"{_names(encoder.inputs or encoder.features)} -> {_names(encoder.outputs)}",
        "split": f"{sizes} ({facts['split']['method']})",
        "network": f"{summary.members} network{plural} {layers}, "
        f"{summary.members * summary.parameters:,} parameters",
        "runs on": summary.backend,
        "results": from_here(folder.path),
    }
    if ranks.size > 1:
        lines["runs on"] += f", {ranks.size} ranks ({ranks.backend})"
    _panel(console, f"tagi train {settings.name or ''}".strip(), lines)
    for notice in notices:
        # Off a terminal a note is one line; on one it is broken between words.
        soft = not console.is_terminal
        console.print(f"note: {notice}", markup=False, highlight=False, soft_wrap=soft)


def closing(
    console: Console, folder: RunFolder, summary: Mapping[str, Any], tracker: str | None = None
) -> None:
    """Say how the run ended, its metrics, and where to look; `tracker` is how to see its copy."""
    epochs = counted(summary["epochs"], "epoch")
    lines = {"status": f"{summary['status']}, {epochs}, {_time(summary)}"}
    for split in ("prequential", "valid", "test"):
        if summary.get(split):
            lines |= _metrics(split, summary[split])
    if summary.get("remarks"):
        lines["note"] = "; ".join(summary["remarks"])
    if summary["status"] == COMPLETED:
        if folder.report.exists():
            lines["report"] = from_here(folder.report)
    else:
        lines["continue"] = f"tagi train trainer.resume={shlex.quote(from_here(folder.path))}"
    if tracker is not None:
        lines["tracker"] = tracker
    _panel(console, "result", lines)


def _metrics(split: str, metrics: Mapping[str, Any]) -> dict[str, str]:
    """One line; for a few outputs one each, as a mean over different units says little."""
    outputs = metrics.get("components", {})
    if not 1 < len(outputs) <= _LISTED:
        return {split: metrics_line(metrics)}
    return {f"{split} {name}": metrics_line(found) for name, found in outputs.items()}


def metrics_line(metrics: Mapping[str, Any]) -> str:
    """The metrics that matter most, on one line."""
    parts = [
        f"{name} {short(metrics[name])}"
        for name in ("mase", "nd", "p90", "rmse", "mae", "nll", "crps", "brier")
        if name in metrics
    ]
    if "error_rate" in metrics:
        parts.insert(0, f"errors {100 * metrics['error_rate']:.2f} %")
    if "ece" in metrics:  # not in prequential metrics
        parts.append(f"calibration error {100 * metrics['ece']:.1f} %")
    if "coverage_90" in metrics:
        parts.append(f"90 % intervals hold {100 * metrics['coverage_90']:.1f} %")
    return ", ".join(parts)


def _panel(console: Console, title: str, lines: Mapping[str, str]) -> None:
    """A panel on a terminal; `key: value` lines, never broken, where the output is a file."""
    if not console.is_terminal:
        for key, value in lines.items():
            console.print(f"{key}: {value}", markup=False, highlight=False, soft_wrap=True)
        return
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in lines.items():
        grid.add_row(key, Text(value))
    content: RenderableType = grid
    console.print(Panel(content, title=Text(title), title_align="left", border_style="dim"))


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{len(names)} columns"


def _widths(dataset: Dataset, summary: Summary) -> list[str]:
    """Units of a step, or sizes of an image: of the input, and of each layer with parameters."""
    shapes = [
        layer.output for layer in summary.layers if layer.parameters for _ in range(layer.depth)
    ]
    return [
        "x".join(map(str, shape)) if len(shape) > 2 else str(shape[-1])
        for shape in (dataset.encoder.input_shape, *shapes)
    ]


def _time(summary: Mapping[str, Any]) -> str:
    seconds = float(summary["seconds"])
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
