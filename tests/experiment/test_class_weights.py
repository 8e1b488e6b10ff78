"""Labels that count more often than once, from config to checkpoint."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment import class_weights, evaluation, run
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.training import checkpoint

from .conftest import rows, summary

LABELLED: dict[str, Any] = {
    "task": {"kind": "classification"},
    "data.out_components": ["kind"],
    "data.in_components": ["x"],
    "data.split_method": "random",
    "ensemble.size": 1,
    "trainer.max_epochs": 8,
}


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Overlapping classes, one of them rare; some labels are missing."""
    rng = np.random.default_rng(0)
    lines = ["x,kind"]
    for i in range(400):
        rare = i % 10 == 0
        name = "" if i % 23 == 22 else "1" if rare else "0"
        lines.append(f"{float(rng.normal() + 1.5 * rare)!r},{name}")
    path = tmp_path_factory.mktemp("unequal") / "unequal.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_balanced_weights_let_all_classes_count_alike() -> None:
    labels = np.array([0, 0, 0, 2, 2, np.nan, 0, 0, 0, 0])
    found = class_weights.of_labels("balanced", "abc", labels)
    assert found is not None
    counts = np.array([7, 0, 2])
    np.testing.assert_allclose((found * counts)[[0, 2]], 4.5)
    assert (found * counts).sum() == pytest.approx(9)
    assert found[1] == 1
    assert class_weights.of_labels(None, "abc", labels) is None
    some = class_weights.of_labels({"c": 3.0}, "abc", labels)
    assert some is not None
    assert some.tolist() == [1, 1, 3]


@pytest.mark.usefixtures("no_drawing")
def test_a_rare_class_is_predicted_more_often(
    unequal: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    share, chosen = {}, {}
    for weights in (None, "balanced", {"1": 9}):
        settings = make_settings(
            **LABELLED | {"data.path": str(unequal), "task.class_weights": weights}
        )
        made = run.train(settings, "tagi train", tmp_path)
        again = evaluation.evaluate(made)  # the checkpoint opens
        assert again.metrics["nll"] == pytest.approx(summary(made)["test"]["nll"], rel=1e-5)
        written = rows(made / "predictions" / "test.csv")
        share[str(weights)] = np.mean([float(row["p_1"]) for row in written])
        chosen[str(weights)] = "valid_nll_weighted" in (made / "metrics.csv").read_text()
    assert share["None"] < 0.25
    assert share["balanced"] > share["None"] + 0.15
    assert share["{'1': 9}"] == pytest.approx(share["balanced"], abs=0.05)
    assert list(chosen.values()) == [False, True, True]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("balance", "task.class_weights: found 'balance'. Did you mean 'balanced'"),
        ({"0": 0}, "task.class_weights.0: found 0. Allowed: number, above 0"),
        ([1, 2], "task.class_weights: found [1, 2]"),
        ({"0": "much"}, "task.class_weights: found {0: 'much'}"),
    ],
)
def test_weights_that_are_none_are_told(
    weights: Any, message: str, make_settings: Callable[..., Settings]
) -> None:
    with pytest.raises(UserError) as caught:
        make_settings(**LABELLED | {"task.class_weights": weights})
    assert message in str(caught.value)


@pytest.mark.usefixtures("no_drawing")
def test_an_update_goes_on_with_the_weights_of_its_parent(
    unequal: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    changes = {"data.path": str(unequal), "task.class_weights": "balanced"}
    parent = run.train(make_settings(**LABELLED | changes), "tagi train", tmp_path)
    rare = tmp_path / "rare.csv"
    rare.write_text("x,kind\n" + "2.0,1\n" * 20 + "0.1,0\n", encoding="utf-8")
    console = Console(file=io.StringIO())
    more = {"data.path": str(rare), "trainer.parent": str(parent), "trainer.online": True}
    made = run.train(
        make_settings(**LABELLED | changes | more), "tagi update", tmp_path, console=console
    )
    assert "errors" in console.file.getvalue()
    kept = [
        checkpoint.read(folder / "checkpoints" / "best.safetensors")[0][
            "member.0.noise.class_weights"
        ]
        for folder in (parent, made)
    ]
    np.testing.assert_array_equal(*kept)
    assert kept[0][1] > 4 * kept[0][0]


def test_a_weight_of_no_class_is_told(
    unequal: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(
        **LABELLED | {"data.path": str(unequal), "task.class_weights": {"11": 2}}
    )
    with pytest.raises(UserError, match=r"task.class_weights: no label '11' in the training part"):
        run.train(settings, "tagi train", tmp_path)


def test_weights_are_given_on_the_command_line_and_written_down(unequal: Path) -> None:
    words = [
        f"data.path={unequal}", "data.out_components=kind", "task=classification",
        "task.class_weights={0: 1, 1: 2.5}",
    ]  # fmt: skip
    composed = config.compose(Settings, registries(), words)
    settings = config.check(Settings, registries(), composed.tree, composed.faults)
    assert settings.task.class_weights == {"0": 1.0, "1": 2.5}
    assert "class_weights" in config.dump(settings, registries())


def test_written_weights_are_read_back(
    unequal: Path, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(
        **LABELLED | {"data.path": str(unequal), "task.class_weights": {"0": 1, "1": 2}}
    )
    path = tmp_path / "config.yaml"
    path.write_text(config.dump(settings, registries()), encoding="utf-8")
    assert config.load(Settings, registries(), path) == settings
