"""Event files, read back by the format's definition, and by TensorBoard where it is installed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.settings import Settings

MakeSettings = Callable[..., Settings]
pytest.importorskip("tensorboardX", reason="needs the extra `tensorboard`")
pytestmark = pytest.mark.usefixtures("no_drawing")


def events(folder: Path) -> Iterator[Any]:
    """The events of a folder: records of a length, its checksum, the bytes and their checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    return [
        (value.tag, event.step, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]


def losses(made: Path) -> list[float]:
    """Validation NLL by epoch, of the search."""
    lines = (made / "metrics.csv").read_text(encoding="utf-8").splitlines()
    at = lines[0].split(",").index("valid_nll")
    return [float(line.split(",")[at]) for line in lines[1:] if line.split(",")[at]]


def test_curves_config_and_results_lie_in_the_run_folder(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    made = run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    found = scalars(made / "tensorboard")
    curve = [(step, value) for tag, step, value in found if tag == "valid/nll"]
    expected = losses(made)
    assert [step for step, _ in curve] == list(range(1, len(expected) + 1))
    assert [value for _, value in curve] == pytest.approx(expected, rel=1e-6)
    assert {"train/rmse", "refit/nll", "final/test/rmse"} <= {tag for tag, _, _ in found}
    text = [
        value.tensor.string_val[0].decode()
        for event in events(made / "tensorboard")
        for value in event.summary.value
        if value.tag.startswith("config")
    ]
    assert (made / "config.yaml").read_text(encoding="utf-8") in text[0]
    plugins = [
        value.metadata.plugin_data.plugin_name
        for event in events(made / "tensorboard")
        for value in event.summary.value
    ]
    assert "hparams" in plugins


def test_a_run_that_goes_on_stays_one_curve(make_settings: MakeSettings, tmp_path: Path) -> None:
    made = run.train(make_settings(tracker="tensorboard"), "tagi train", tmp_path)
    changes = {"tracker": "tensorboard", "trainer.resume": str(made), "trainer.max_epochs": 8}
    run.train(make_settings(**changes), "tagi train")
    # What a reader keeps: of the first part what precedes the step that the second begins at.
    restarts = [event.step for event in events(made / "tensorboard") if event.session_log.status]
    assert restarts == [7]
    curve = [v for tag, _, v in scalars(made / "tensorboard") if tag == "valid/nll"]
    assert curve == pytest.approx(losses(made), rel=1e-6)
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard"
    )
    reader = accumulator.EventAccumulator(str(made / "tensorboard"))
    reader.Reload()
    shown = [(event.step, event.value) for event in reader.Scalars("valid/nll")]
    assert shown == [(i, pytest.approx(value)) for i, value in enumerate(losses(made), 1)]
    refit = [event.step for event in reader.Scalars("refit/nll")]
    assert refit == sorted(set(refit))


def test_a_folder_of_many_runs(make_settings: MakeSettings, tmp_path: Path) -> None:
    tracker = {"kind": "tensorboard", "folder": str(tmp_path / "all")}
    made = run.train(make_settings(tracker=tracker), "tagi train", tmp_path / "sweep")
    assert scalars(tmp_path / "all" / "small" / "sweep" / made.name)
    named = make_settings(tracker={**tracker, "run": "mine"})
    run.train(named, "tagi train", tmp_path / "more")
    assert scalars(tmp_path / "all" / "mine")
    with pytest.raises(UserError, match=r"tracker\.run: .*mine holds another run already"):
        run.train(named, "tagi train", tmp_path / "more")
