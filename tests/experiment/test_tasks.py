"""What stands between a task and the other groups, and remarks on the task itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment import tasks
from tagi_cli.experiment.settings import Settings

CLASSES = {"task": {"kind": "classification"}, "data.out_components": ["kind"]}
LAST = {"kind": "linear", "output_size": 2}
NESTED = {
    "kind": "sequential",
    "layers": [LAST, {"kind": "sequential", "layers": ["softmax"]}],
}
ZERO_ONE = {"data.scaling_method": "zero-one"}


@pytest.mark.parametrize(
    ("changes", "head"),
    [
        ({}, "softmax"),
        ({"arch.output_activation": "remax"}, "remax"),
        ({"task.head": "hrc"}, "hrc"),
        ({"task.head": "remax", "arch.output_activation": "remax"}, "remax"),
    ],
)
def test_the_head_is_that_of_the_task_or_of_the_network(
    make_settings: Callable[..., Settings], changes: dict[str, Any], head: str
) -> None:
    assert tasks.head_of(make_settings(**CLASSES | changes)) == head


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            CLASSES | {"task.head": "hrc", "arch.output_activation": "remax"},
            "arch.output_activation: found 'remax' beside task.head 'hrc'",
        ),
        (
            {"noise": {"kind": "constant", "sigma_v": 1e30}},
            "noise.sigma_v: found 1e+30. Allowed with precision=float32: 3.3e-10 to 4.3e+09",
        ),
        (
            {"noise": {"kind": "learned", "sigma_v_min": 1e-200}, "precision": "float64"},
            "noise.sigma_v_min: found 1e-200. Allowed with precision=float64: 1.2e-77 to ",
        ),
        (CLASSES | {"task.head": "sofmax"}, "task.head: found 'sofmax'. Did you mean 'softmax'"),
        (CLASSES | {"arch.output_activation": "tanh"}, "which gives no class probabilities"),
        (CLASSES | {"noise": {"kind": "heteroscedastic"}}, "which classes have no use for"),
        (
            CLASSES | {"noise": {"kind": "auto", "sigma_v": 0.5}},
            "noise.sigma_v: found 0.5, which h",
        ),
        ({"arch.output_activation": "softmax"}, "the task is regression"),
        ({"arch.output_activation": "sigmoid"}, "whose values lie between 0 and 1, but targets"),
        (
            {"arch.output_activation": "tanh", "noise": {"kind": "heteroscedastic"}} | ZERO_ONE,
            "beside noise 'heteroscedastic'",
        ),
        (
            CLASSES | {"arch": {"kind": "sequential", "layers": [LAST, "remax"]}},
            "arch.layers.1: found 'remax' at the end, but task.head makes probabilities of what "
            "the last layer gives. Leave it out, and set task.head=remax",
        ),
        (
            CLASSES
            | {"task.head": "hrc"}
            | {"arch": {"kind": "graph", "nodes": [{"name": "end", "kind": "softmax"}]}},
            "arch.nodes.0: found 'softmax' at the end",
        ),
        (
            CLASSES | {"arch": {"kind": "sequential", "layers": [LAST, NESTED]}},
            "arch.layers.1.layers.1.layers.0: found 'softmax' at the end, but task.head makes",
        ),
        (
            CLASSES | {"arch": {"kind": "graph", "nodes": [{"name": "end", **NESTED}]}},
            "arch.nodes.0.layers.1.layers.0: found 'softmax' at the end",
        ),
        ({"task": {"kind": "vl_regression"}}, "'mlp' sees all steps of a window at once"),
        ({"task": {"kind": "clasification"}}, "Did you mean 'classification'"),
    ],
)
def test_what_does_not_go_together_is_told(
    make_settings: Callable[..., Settings], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        make_settings(**changes)
    assert message in str(raised.value)


@pytest.mark.parametrize("data", [ZERO_ONE, {"data.scaling_tag": "in_only"}])
def test_bounded_outputs_suit_targets_that_are_bounded(
    make_settings: Callable[..., Settings], data: dict[str, Any]
) -> None:
    assert make_settings(**data | {"arch.output_activation": "sigmoid"})


def write(path: Path, values: Any) -> Path:
    x = np.random.default_rng(0).normal(size=len(values))
    text = "\n".join(f"{a!r},{b}" for a, b in zip(x.tolist(), values, strict=True))
    path.write_text(f"x,y\n{text}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("windows", [{}, {"data.in_chunk": [-1, 0]}])
@pytest.mark.parametrize(
    ("values", "remarked"),
    [
        (np.arange(60) % 3, True),
        (["0", "1"] * 29 + ["", "1"], True),
        (np.arange(60), False),
        (np.arange(60) % 2 / 2, False),
        (np.arange(60) % 20, False),
    ],
)
def test_labels_that_are_learnt_as_numbers_are_remarked(
    make_settings: Callable[..., Settings], tmp_path: Path, values: Any, remarked: bool,
    windows: dict[str, Any],
) -> None:  # fmt: skip
    path = write(tmp_path / "t.csv", values)
    notices: list[str] = []
    tasks.load_data(make_settings(**{"data.path": str(path)} | windows), notices)
    hints = [one for one in notices if "task=classification" in one]
    assert len(hints) == remarked
    assert not remarked or hints[0].startswith("column 'y' holds ")
    if not remarked:
        return
    notices.clear()
    tasks.load_data(
        make_settings(**{"data.path": str(path), "task": {"kind": "classification"}} | windows),
        notices,
    )
    assert not [one for one in notices if "task=classification" in one]
