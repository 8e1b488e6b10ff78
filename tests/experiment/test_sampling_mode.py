"""Networks that carry states learn rows in an order in which they can."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagi_cli import arch, config
from tagi_cli.errors import UserError
from tagi_cli.experiment import resume, run, tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.settings import Settings, registries

from .conftest import summary

SLSTM = {"arch": {"kind": "slstm", "width": 3}}
MODE = "data.batch_sampling_mode"
WINDOWS = {
    "data.in_chunk": [0, 0], "data.in_components": ["a"], "ensemble.size": 1, "viz.enabled": False,
    "trainer.max_epochs": 2,
}  # fmt: skip
LAST: dict[str, Any] = {"kind": "linear", "output_size": 1}
NODES: list[dict[str, Any]] = [
    {"name": "carried", "kind": "lstm", "output_size": 2, "tracking": True},
    {"name": "flat", "kind": "flatten"},
    {"name": "end", **LAST},
]
LAYERS = [{k: v for k, v in node.items() if k != "name"} for node in NODES]

Make = Callable[..., Settings]


@pytest.mark.parametrize(
    ("network", "carries"),
    [
        ({"kind": "slstm"}, True),
        ({"kind": "lstm", "internal_state": {"tracking": True}}, True),
        ({"kind": "lstm"}, False),
        ({"kind": "mlp"}, False),
        ({"kind": "sequential", "layers": LAYERS}, True),
        ({"kind": "sequential", "layers": [{"kind": "flatten"}, LAST]}, False),
        ({"kind": "graph", "nodes": NODES}, True),
    ],
)
def test_the_network_decides(make_settings: Make, network: dict[str, Any], carries: bool) -> None:
    settings = make_settings(arch=network, **WINDOWS)
    assert arch.tracks(settings.arch) is carries
    found = tasks.data_in_force(settings)
    assert found.batch_sampling_mode == ("sliding-window" if carries else "auto")
    notices: list[str] = []
    tasks.load_data(settings, notices)
    told = f"{MODE}: auto is sliding-window, as the network carries states from row to row"
    assert (told in notices) is carries


def test_it_is_recorded_and_the_same_as_when_it_is_set(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings(**SLSTM, **WINDOWS)
    folder = run.train(settings, "tagi train", tmp_path / "auto")
    recorded = config.load(Settings, registries(), folder / "config.yaml")
    assert recorded.data.batch_sampling_mode == "sliding-window"
    assert f"note: {MODE}: auto is sliding-window" in (folder / "train.log").read_text()
    told = make_settings(**SLSTM, **WINDOWS, **{MODE: "sliding-window"})
    other = run.train(told, "tagi train", tmp_path / "set")
    assert summary(folder)["valid"] == summary(other)["valid"]
    own = dataclasses.replace(
        told, data=dataclasses.replace(told.data, batch_size=recorded.data.batch_size)
    )
    assert resume.continued(own, RunFolder.open(folder)).data == own.data


def test_what_the_user_sets_is_kept(make_settings: Make, tmp_path: Path) -> None:
    in_turn = make_settings(**SLSTM, **WINDOWS, **{MODE: "inference"})
    assert tasks.data_in_force(in_turn) == in_turn.data
    any_order = make_settings(**SLSTM, **WINDOWS, **{MODE: "independent"})
    with pytest.raises(UserError, match=rf"{MODE}: independent puts rows in any order"):
        run.train(any_order, "tagi train", tmp_path)


def test_a_plain_table_has_no_rows_that_follow(make_settings: Make, tmp_path: Path) -> None:
    plain = make_settings(**SLSTM)
    assert tasks.data_in_force(plain) == plain.data
    with pytest.raises(UserError, match=r"data\.in_chunk: states are tracked along series"):
        run.train(plain, "tagi train", tmp_path)


def test_a_stride_contradicts_rows_that_follow(make_settings: Make) -> None:
    told = r"data\.stride: 2 contradicts data\.batch_sampling_mode: 'sliding-window'"
    with pytest.raises(UserError, match=told):
        make_settings(**SLSTM, **WINDOWS, **{"data.stride": 2})
    assert make_settings(**WINDOWS, **{"data.stride": 2})


def test_saying_what_a_plain_table_is_needs_no_remark(make_settings: Make) -> None:
    told: list[list[str]] = [[], []]
    for mode, notices in zip(("independent", "inference"), told, strict=True):
        tasks.load_data(make_settings(**{MODE: mode}), notices)
    assert [any(MODE in one for one in notices) for notices in told] == [False, True]
