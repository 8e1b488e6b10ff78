"""`tagi smooth`: from a command line to smoothed series."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Tagi = Callable[..., Any]

LEADING, GAP = slice(0, 72), slice(150, 171)
PRESET = ("config=smooth/sine_missing", "data.path=sine.csv", "kernels=numpy", "ensemble.size=1")


@pytest.fixture
def sine(here: Path) -> np.ndarray[Any, Any]:
    """A rounded sine of 24 hours in a file, missing before and inside; the whole of it."""
    t = np.arange(240)
    truth: np.ndarray[Any, Any] = -np.sin(2 * np.pi * t / 24)
    cells = [f"{value:.2f}" for value in truth]
    cells[LEADING] = ["nan"] * 72
    cells[GAP] = ["nan"] * 21
    times = np.datetime64("1999-12-31T00") + t
    lines = [
        f"{str(time).replace('T', ' ')}:00:00,{cell}"
        for time, cell in zip(times, cells, strict=True)
    ]
    Path("sine.csv").write_text("\n".join(["date_time,sin", *lines]) + "\n")
    return truth


def column(path: Path, name: str) -> np.ndarray[Any, Any]:
    with path.open(newline="") as file:
        return np.array([float(row[name] or "nan") for row in csv.DictReader(file)])


def test_the_preset_finds_what_is_missing(tagi: Tagi, sine: np.ndarray[Any, Any]) -> None:
    answer = tagi("smooth", *PRESET, "trainer.max_epochs=30")
    assert answer.code == 0
    *_, outputs, states = answer.out.splitlines()
    assert [Path(outputs).name, Path(states).name] == ["outputs.csv", "states.npz"]
    assert "smoothed: 240 values, 147 of them observed" in answer.err
    assert "negative variances: 0 of 19,200" in answer.err
    (run,) = Path("outputs/smooth-sine_missing").iterdir()
    assert Path(outputs) == (run / "smoothed" / "outputs.csv").resolve()
    assert f"report: {run.resolve() / 'report.html'}" in answer.err
    # Inputs are parts of the date alone.
    assert "sine: 240 rows, hour_of_day_sin, hour_of_day_cos -> sin" in answer.out
    assert "from the times of <code>sine</code>" in (run / "report.html").read_text()
    assert "tagi smooth config=smooth/sine_missing" in (run / "environment.json").read_text()
    mu, lo, hi, y = (column(Path(outputs), name) for name in ("mu", "lo_90", "hi_90", "y"))
    seen = ~np.isnan(y)
    assert np.sqrt(np.mean((mu - y)[seen] ** 2)) < 0.0072
    for part in (LEADING, GAP):
        inside = (lo <= sine) & (sine <= hi)
        assert inside[part].mean() >= 0.8
        assert (hi - lo)[part].mean() < 0.6
    # Further from what is observed, less is known.
    assert (hi - lo)[0] > 2 * (hi - lo)[71]


def test_a_run_is_smoothed_once_and_again_if_asked(tagi: Tagi, sine: np.ndarray[Any, Any]) -> None:
    assert tagi("train", *PRESET, "trainer.max_epochs=1", "viz.enabled=false").code == 0
    (run,) = Path("outputs/smooth-sine_missing").iterdir()
    answer = tagi("smooth", f"run={run}", "checkpoint=last")
    assert answer.out == "".join(
        f"{run.resolve()}/smoothed/{name}\n" for name in ("outputs.csv", "states.npz")
    )
    assert not (run / "report.html").exists()
    answer = tagi("smooth", f"run={run}")
    assert answer.code == 2
    assert "is there already; name another folder, or set overwrite=true" in answer.err
    assert tagi("smooth", f"run={run}", "overwrite=true").code == 0
    assert tagi("smooth", f"run={run}", "input=sine.csv", "output=again").code == 0
    assert Path("again/outputs.csv").read_bytes() == (run / "smoothed/outputs.csv").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "run: must be given, as run=..."),
        (("run=nowhere",), "run folder 'nowhere' does not exist"),
        (("run=nowhere", "epochs=3"), "epochs: unknown. Allowed: run=..., checkpoint=..."),
        ((*PRESET, "overwrite=maybe"), "overwrite: found 'maybe'. Allowed: true or false"),
        ((*PRESET, "input=sine.csv"), "output: must be given with input"),
        ((*PRESET, "output=no/folder"), "output: there is no folder"),
        ((*PRESET, "arch=mlp"), "arch: found 'mlp', which has no states that can be smoothed"),
        ((*PRESET, "arch=lstm"), "arch: found 'lstm', which has no states that can be smoothed"),
        ((*PRESET, "task=classification"), "task: found 'classification'"),
        ((*PRESET, "data.in_chunk=null"), "states are tracked along series"),
        ((*PRESET, "data.path=empty.csv"), "no value at all of the target 'sin'"),
        (("config=smooth/sine_mising",), "Did you mean"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(
    tagi: Tagi, sine: np.ndarray[Any, Any], words: tuple[str, ...], message: str
) -> None:
    Path("empty.csv").write_text(
        "date_time,sin,z\n" + "".join(f"2024-01-01 0{h}:00,nan,1\n" for h in range(9))
    )
    answer = tagi("smooth", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert not Path("outputs").exists()
