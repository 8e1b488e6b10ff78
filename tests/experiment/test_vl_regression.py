"""Segments of series of any length, with an output per step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.settings import Settings

from .conftest import rows, summary

LSTM = {"kind": "lstm", "width": 8}
TCN = {"kind": "tcn", "num_filters": 6, "depth": 2, "normalization": "layer"}
SLSTM = {"kind": "slstm", "width": 8, "window": "steps"}
IN_TURN = {"data.batch_sampling_mode": "inference", "data.batch_size": 2}

CHANGES = {
    "task": {"kind": "vl_regression"},
    "precision": "float64",
    "data.instance": "subject",
    "data.time": "t",
    "data.in_components": ["a", "b"],
    "data.out_components": ["y"],
    "data.split_column": "part",
    "data.batch_size": 8,
    "trainer.max_epochs": 12,
    "trainer.refit": False,
    "ensemble.size": 1,
    "viz.enabled": False,
}


def write(path: Path, lengths: dict[str, list[int]]) -> Path:
    """Series of the given lengths in each part; y follows a of this row and the one before."""
    lines = ["subject,t,a,b,y,part"]
    number = 0
    for part, found in lengths.items():
        for n in found:
            rng = np.random.default_rng(number)
            a, b = rng.normal(size=(2, n))
            y = a + 0.5 * np.append(0, a[:-1]) - b + 0.1 * rng.normal(size=n)
            cells = zip(a.tolist(), b.tolist(), y.tolist(), strict=True)
            lines += [
                f"p{number},{t},{u!r},{v!r},{w!r},{part}" for t, (u, v, w) in enumerate(cells)
            ]
            number += 1
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


LENGTHS = {"train": [6, 4, 9, 7] * 6, "valid": [5, 8], "test": [3, 9, 6, 6]}


@pytest.mark.parametrize("arch", [LSTM, TCN, SLSTM], ids=lambda arch: str(arch["kind"]))
def test_segments_are_learnt_and_told_step_by_step(
    arch: dict[str, Any], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", LENGTHS)
    more = IN_TURN if arch is SLSTM else {}
    settings = make_settings(**{"data.path": str(path), "arch": arch} | CHANGES | more)
    made = run.train(settings, "tagi train", tmp_path)
    found = summary(made)["test"]
    assert found["r2"] > (0.3 if arch is SLSTM else 0.6)
    written = rows(made / "predictions" / "test.csv")
    assert list(written[0])[:5] == ["instance", "slice", "time", "step", "component"]
    told = [(line["instance"], int(line["step"])) for line in written]
    first = len(LENGTHS["train"]) + len(LENGTHS["valid"])
    assert told == [(f"p{first + i}", t) for i, n in enumerate(LENGTHS["test"]) for t in range(n)]
    again = evaluation.evaluate(made).metrics
    assert again["nll"] == pytest.approx(found["nll"], rel=1e-6)
    if arch is not SLSTM:
        lines = rows(evaluation.predict(made, path, tmp_path / "out.csv"))
        assert len(lines) == sum(map(sum, LENGTHS.values()))
        place = {(line["instance"], line["step"]): float(line["mu"]) for line in lines}
        for line in written:
            assert place[line["instance"], line["step"]] == pytest.approx(float(line["mu"]))


@pytest.mark.parametrize("arch", [LSTM, TCN], ids=lambda arch: str(arch["kind"]))
def test_padding_to_a_longer_series_changes_nothing(
    arch: dict[str, Any], make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """The same training series, alone or padded to one test series that is longer."""
    outcomes = []
    for name, test in (("short", [6, 6]), ("long", [6, 6, 20])):
        lengths = {"train": [6] * 16, "valid": [6, 6], "test": test}
        path = write(tmp_path / f"{name}.csv", lengths)
        settings = make_settings(**{"data.path": str(path), "arch": arch} | CHANGES)
        made = run.train(settings, "tagi train", tmp_path / name)
        lines = rows(made / "predictions" / "test.csv")[:12]
        outcomes.append([summary(made)["valid"]["nll"], *(float(line["mu"]) for line in lines)])
    np.testing.assert_allclose(*outcomes, rtol=1e-8)


def test_longer_series_are_cut_into_segments(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", LENGTHS)
    limit = {"data.variable_sequence_length_limit": 4}
    settings = make_settings(**{"data.path": str(path), "arch": LSTM} | CHANGES | limit)
    made = run.train(settings, "tagi train", tmp_path)
    written = rows(made / "predictions" / "test.csv")
    assert len(written) == sum(LENGTHS["test"])
    assert max(int(line["step"]) for line in written) == 3
