"""Recurrent networks of runs as pytagi's parameter files, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.experiment import run
from tagi_cli.experiment.convert import exchange
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings

ARCH = {
    "kind": "sequential",
    "layers": [
        {"kind": "lstm", "seq_len": 3, "output_size": 4, "depth": 2, "output": "last"},
        {"kind": "linear", "output_size": 1},
    ],
}


@pytest.mark.parametrize("form", ["pytagi", "pytagi_csv"])
def test_there_and_back_loses_nothing(
    make_settings: Callable[..., Settings], tmp_path: Path, form: str
) -> None:
    changes = {"arch": ARCH, "trainer.max_epochs": 1, "ensemble.size": 1, "viz.enabled": False}
    folder = run.train(make_settings(**changes), "tagi train", tmp_path / "runs")
    (first, *_) = exchange(folder, tmp_path / "net", form)
    if form == "pytagi":
        assert first.read_bytes()[8:17] == b"LSTM(1,4)"
        assert b"LSTM(4,4)" in first.read_bytes()
    exchange(tmp_path / "net", tmp_path / "back.safetensors", form, folder)
    x = {"a": [0.5, -1.0], "kind": ["red", "green"]}
    back = Model.load(folder, str(tmp_path / "back.safetensors")).predict(x)
    own = Model.load(folder).predict(x)
    np.testing.assert_array_equal(back.mean, own.mean)
    np.testing.assert_array_equal(back.sd, own.sd)
