"""What is said at the beginning and the end of a run."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tagi_cli import data
from tagi_cli.experiment import preamble
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.members import make_backend
from tagi_cli.experiment.settings import Settings
from tagi_cli.experiment.summary import summarise

METRICS = {"rmse": 42766.3, "nll": 1.23456, "coverage_90": 0.925}


def said(folder: Path, summary: dict[str, Any]) -> list[str]:
    out = StringIO()
    whole = {"epochs": 1, "seconds": 0.5, "status": "completed", **summary}
    preamble.closing(Console(file=out, width=80), RunFolder(folder), whole)
    return out.getvalue().splitlines()


def test_one_output_has_a_line_for_each_part(tmp_path: Path) -> None:
    both = {"valid": METRICS, "test": METRICS | {"components": {"y": METRICS}}}
    assert said(tmp_path, both) == [
        "status: completed, 1 epoch, 0.5 s",
        "valid: rmse 42,766, nll 1.235, 90 % intervals hold 92.5 %",
        "test: rmse 42,766, nll 1.235, 90 % intervals hold 92.5 %",
    ]


def test_remarks_are_said_at_the_end(tmp_path: Path) -> None:
    found = said(tmp_path, {"test": METRICS, "remarks": ["too narrow", "too wide"]})
    assert found[-1] == "note: too narrow; too wide"


def test_several_outputs_have_a_line_each_but_many_a_mean(tmp_path: Path) -> None:
    other = METRICS | {"rmse": 0.5}
    lines = said(tmp_path, {"test": METRICS | {"components": {"a": METRICS, "b": other}}})
    assert [line.partition(",")[0] for line in lines[1:]] == [
        "test a: rmse 42",
        "test b: rmse 0.5",
    ]
    many = {str(i): METRICS for i in range(7)}
    assert len(said(tmp_path, {"test": METRICS | {"components": many}})) == 2


def test_only_a_run_that_is_not_complete_can_go_on(tmp_path: Path) -> None:
    assert len(said(tmp_path, {})) == 1
    (tmp_path / "report.html").touch()
    assert said(tmp_path, {})[1] == f"report: {tmp_path / 'report.html'}"
    assert said(tmp_path, {"status": "interrupted"})[1].startswith("continue: tagi train trainer.")


def test_images_are_shown_with_all_their_sizes(
    trained: Path, make_settings: Callable[..., Settings]
) -> None:
    layers = [
        {"kind": "linear", "output_size": 12},
        {"kind": "reshape", "shape": [1, 3, 4]},
        {"kind": "conv2d", "out_channels": 2, "kernel_size": 2},
        {"kind": "linear", "output_size": 1},
    ]
    settings = make_settings(arch={"kind": "sequential", "layers": layers})
    dataset, out = data.load(settings.data), StringIO()
    summary = summarise(settings, dataset.encoder, make_backend(settings))
    preamble.opening(Console(file=out), settings, dataset, summary, RunFolder(trained), [])
    assert " 3 - 12 - 2x2x3 - 1, " in out.getvalue()


def test_all_layers_of_an_lstm_are_shown(
    trained: Path, make_settings: Callable[..., Settings]
) -> None:
    arch = {"kind": "lstm", "width": 7, "depth": 3, "head": "last"}
    settings = make_settings(**{"arch": arch, "data.in_chunk": [-2, 0], "data.in_components": "a"})
    dataset, out = data.load(settings.data), StringIO()
    summary = summarise(settings, dataset.encoder, make_backend(settings))
    preamble.opening(Console(file=out), settings, dataset, summary, RunFolder(trained), [])
    assert " 1 - 7 - 7 - 7 - 1, " in out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_notes_are_broken_between_words_on_a_terminal_alone(
    trained: Path, make_settings: Callable[..., Settings], terminal: bool
) -> None:
    settings, out = make_settings(), StringIO()
    dataset = data.load(settings.data)
    preamble.opening(
        Console(file=out, width=40, force_terminal=terminal, color_system=None),
        settings,
        dataset,
        summarise(settings, dataset.encoder, make_backend(settings)),
        RunFolder(trained),
        ["a remark of eleven words that is longer than forty columns"],
    )
    lines = out.getvalue().splitlines()
    whole = "note: a remark of eleven words that is longer than forty columns"
    broken = ["note: a remark of eleven words that is", "longer than forty columns"]
    assert [line.rstrip() for line in lines[-2:]] == broken if terminal else lines[-1] == whole


@pytest.mark.parametrize("width", [80, 60, 40])
def test_panels_keep_to_the_width_of_the_terminal(
    trained: Path, make_settings: Callable[..., Settings], width: int
) -> None:
    settings, out = make_settings(), StringIO()
    dataset = data.load(settings.data)
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    network = summarise(settings, dataset.encoder, make_backend(settings))
    preamble.opening(console, settings, dataset, network, RunFolder(trained), ["a note"])
    folder = RunFolder(trained)
    preamble.closing(console, folder, folder.results(), "tensorboard --logdir outputs/small")
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    frame = [line for line in lines if line.startswith(("│", "╭", "╰"))]
    assert len(frame) > 8
    assert {len(line) for line in frame} == {width}
    assert "tracker" in out.getvalue()
