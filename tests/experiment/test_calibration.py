"""A run on a plain table: its network by default, calibrated, and what is said if it is off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.errors import UserErrors
from tagi_cli.experiment import run, tasks
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint
from tagi_cli.training.calibration import FACTORS
from tagi_cli.training.classification import ClassificationTask
from tagi_cli.training.task import RegressionTask

from .conftest import rows, summary, write_table

Make = Callable[..., Settings]
LSTM = {"arch": {"kind": "lstm", "width": 3}, "data.in_chunk": [-2, 0]}


def in_force(settings: Settings) -> tuple[str, str | None]:
    """The kind of noise and the activation of a run."""
    found = tasks.network_in_force(settings)
    return type(found.noise).__name__, getattr(found.arch, "activation", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("HeteroscedasticOptions", "alternating")),
        ({"arch.activation": "tanh"}, ("HeteroscedasticOptions", "tanh")),
        ({"noise": {"kind": "learned"}}, ("LearnedOptions", "alternating")),
        ({"noise": {"kind": "auto", "sigma_v": 0.5}}, ("AutoOptions", "alternating")),
        ({"trainer.online": True}, ("AutoOptions", "mixture_relu")),
        ({"data.in_chunk": [-2, 0]}, ("AutoOptions", "mixture_relu")),
        (
            {"task": {"kind": "classification"}, "data.out_components": ["kind"]},
            ("AutoOptions", "mixture_relu"),
        ),
        (
            {"arch.output_activation": "tanh", "data.scaling_method": "zero-one"},
            ("AutoOptions", "alternating"),
        ),
        ({"arch": {"kind": "sequential", "layers": ["relu"]}}, ("AutoOptions", None)),
    ],
)
def test_what_is_left_to_the_task(
    make_settings: Make, changes: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assert in_force(make_settings(**changes)) == expected


def test_what_was_decided_is_in_the_config_of_the_run(make_settings: Make, tmp_path: Path) -> None:
    folder = run.train(make_settings(**{"trainer.max_epochs": 1}), "", tmp_path)
    settings = Model.load(folder).settings
    assert in_force(settings) == (type(settings.noise).__name__, settings.arch.activation)
    assert settings.arch.activation == "alternating"


def test_networks_of_an_ensemble_have_their_activations_in_turn(
    make_settings: Make, tmp_path: Path
) -> None:
    folder = run.train(make_settings(**{"trainer.max_epochs": 1}), "", tmp_path)
    kinds = [[type(layer).__name__ for layer in one.layer] for one in Model.load(folder).learners]
    assert [one[1] for one in kinds] == ["ReLU", "MixtureReLU"]


@pytest.mark.parametrize("refit", [False, True])
def test_factors_multiply_what_the_networks_predict(
    make_settings: Make, tmp_path: Path, refit: bool
) -> None:
    """Of one epoch, which is the best either way, in the network of the search and of the refit."""
    one = {"trainer.max_epochs": 1, "trainer.refit": refit, "ensemble.size": 1}
    settings = (make_settings(**one, **{"trainer.calibrate": c}) for c in (True, False))
    first, other = (run.train(made, "", tmp_path) for made in settings)
    tensors, _ = checkpoint.read(first / "checkpoints" / "best.safetensors")
    factors = tensors[f"member.0.{FACTORS}"]
    assert factors.shape == (1,)
    assert factors[0] != 1
    found, plainly = (rows(made / "predictions" / "test.csv") for made in (first, other))
    for calibrated, plain in zip(found, plainly, strict=True):
        assert float(calibrated["mu"]) == float(plain["mu"])
        ratio = float(calibrated["sd_noise"]) / float(plain["sd_noise"])
        assert ratio**2 == pytest.approx(factors[0], rel=1e-5)
    without, _ = checkpoint.read(other / "checkpoints" / "best.safetensors")
    assert not any(FACTORS in name for name in without)


@pytest.mark.parametrize(
    ("changes", "calibrates"),
    [
        ({}, True),
        ({"trainer.calibrate": False}, False),
        ({"data.in_chunk": [-2, 0]}, False),
        ({"data.in_chunk": [-2, 0], "trainer.calibrate": True}, True),
    ],
)
def test_plain_tables_are_calibrated_and_others_when_asked(
    make_settings: Make, changes: dict[str, Any], calibrates: bool
) -> None:
    scoring = tasks.scoring(make_settings(**changes), None)
    assert isinstance(scoring, RegressionTask)
    assert scoring.calibrates == calibrates


def test_classes_are_scored_as_before(make_settings: Make) -> None:
    classes = {"task": {"kind": "classification"}, "data.out_components": ["kind"]}
    assert isinstance(tasks.scoring(make_settings(**classes), None), ClassificationTask)


@pytest.mark.parametrize(
    ("changes", "beside"),
    [
        ({"task": {"kind": "classification"}, "data.out_components": ["kind"]}, "classes"),
        ({"trainer.online": True}, "trainer.online=true"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    make_settings: Make, changes: dict[str, Any], beside: str
) -> None:
    with pytest.raises(UserErrors, match=f"trainer.calibrate: found true beside {beside}"):
        make_settings(**changes, **{"trainer.calibrate": True})


def test_a_run_says_by_itself_that_its_intervals_are_wrong(
    make_settings: Make, tmp_path: Path
) -> None:
    """A noise held at a fraction of what there is: in the summary, and not where it is right."""
    table = write_table(tmp_path / "wide.csv", rows=400)
    small = {"data.path": str(table), "noise": {"kind": "constant", "sigma_v": 0.001}}
    wrong = summary(
        run.train(make_settings(**small, **{"trainer.calibrate": False}), "", tmp_path / "runs")
    )
    (said,) = wrong["remarks"]
    assert "the 90 % intervals of y hold" in said
    assert "more than chance allows" in said
