"""Networks that carry states go on with a new file where the training ended, if nothing is between.

What a run says of its test part is what it says of a file with the same rows, whichever way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import Table, read_table
from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.continuing import predict_ahead
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint

from .conftest import rows, summary

Make = Callable[..., Settings]
Line = dict[str, str]

END_OF_DATA = np.datetime64("2024-03-01")
DAYS = {"s0": 70, "s1": 60, "s2": 64}
TRACKED = {"kind": "lstm", "width": 4, "internal_state": {"tracking": True}}
KINDS: dict[str, dict[str, Any]] = {
    "rows": {"arch": TRACKED, "data.in_chunk": [0, 0]},
    "slstm": {"arch": {"kind": "slstm", "width": 4}, "data.in_chunk": [0, 0]},
    "overlap": {"arch": TRACKED, "data.in_chunk": [-3, 0]},
    "side by side": {
        "arch": TRACKED | {"head": "step"}, "data.in_chunk": [-3, 0], "data.out_chunk": [-3, 0],
        # Of four windows that begin one after the other, an epoch learns one.
        "data.slide_stride": 4, "data.split_portions": [0.8, 0.0, 0.2], "trainer.max_epochs": 40,
    },
}  # fmt: skip
"""Windows of one row; of several, which overlap by three rows; and which touch."""


def write(path: Path, lines: list[Line]) -> Path:
    text = [",".join(lines[0]), *(",".join(line.values()) for line in lines)]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    """Three series day by day that end on the same one; one lacks a day of January."""
    rng = np.random.default_rng(3)
    found = []
    for who, count in DAYS.items():
        a = np.cumsum(rng.normal(size=count))
        for back in range(count, 0, -1):
            when = END_OF_DATA - back
            if (who, str(when)) != ("s1", "2024-01-20"):
                y = a[-back] - (a[-back - 2] if back + 2 <= count else 0) + 0.1 * rng.normal()
                found.append(
                    {"who": who, "when": str(when), "a": f"{a[-back]:.4f}", "y": f"{y:.4f}"}
                )
    return found


@pytest.fixture(scope="module")
def trained(
    make_settings: Make, lines: list[Line], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """The run of each kind, trained once."""
    folder = tmp_path_factory.mktemp("carried")
    table = write(folder / "whole.csv", lines)
    made: dict[str, Path] = {}

    def get(kind: str, **changes: Any) -> Path:
        name = kind + str(changes)
        if name not in made:
            settings = make_settings(**{
                "data.path": str(table), "data.instance": "who", "data.time": "when",
                "data.in_components": ["a"], "data.out_chunk": [0, 0], "data.batch_size": 3,
                "trainer.max_epochs": 2, "viz.enabled": False, "ensemble.size": 2,
            } | KINDS[kind] | changes)  # fmt: skip
            made[name] = run.train(settings, "tagi train", folder / f"run{len(made)}")
        return made[name]

    return get


def of_test_part(folder: Path) -> dict[tuple[str, str, str], Line]:
    """The predictions of the test part, by series, time and step."""
    return {place(line): line for line in rows(folder / "predictions" / "test.csv")}


def place(line: Line) -> tuple[str, str, str]:
    return line["instance"], line["time"], line.get("step", "")


def border(folder: Path) -> str:
    """The first day that was tested."""
    return min(line["time"] for line in of_test_part(folder).values())[:10]


def day(when: str, count: int) -> str:
    return str(np.datetime64(when) + count)


def predicted(folder: Path, file: Path, notices: list[str] | None = None) -> list[Line]:
    path = evaluation.predict(
        folder, file, file.with_suffix(".out.csv"), overwrite=True, notices=notices
    )
    return rows(path)


def assert_same(found: list[Line], expected: dict[tuple[str, str, str], Line]) -> int:
    """Predictions of the same places are the same; how many there are."""
    count = 0
    for line in found:
        own = expected.get(place(line))
        if own is not None:
            count += 1
            for name in ("mu", "sd_epistemic", "sd_noise", "lo_90", "hi_90"):
                np.testing.assert_allclose(
                    float(line[name]), float(own[name]), rtol=2e-4, atol=1e-5
                )
    return count


def differs(found: list[Line], expected: dict[tuple[str, str, str], Line]) -> list[str]:
    """The series in which a prediction is another."""
    far = [
        line["instance"]
        for line in found
        if abs(float(line["mu"]) - float(expected[place(line)]["mu"])) > 1e-3
    ]
    return sorted(set(far))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_after_the_training_are_predicted_as_the_test_part(
    kind: str, trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    """As little of the past in front as the first window shows, or more, or all of it."""
    folder = trained(kind)
    whole = of_test_part(folder)
    first = border(folder)
    back = {"overlap": 3}.get(kind, 0)
    for more in (back, back + 5, 200):
        begin = day(first, -more)
        file = write(tmp_path / "new.csv", [line for line in lines if line["when"] >= begin])
        notices: list[str] = []
        found = predicted(folder, file, notices)
        expected = whole
        if kind == "side by side" and more == 0:
            # The windows that touch the first of the file; others go on from rows that it lacks.
            expected = {at: line for at, line in whole.items() if days_after(first, at) % 4 == 3}
        assert assert_same(found, expected) == len(expected) > 10
        assert "states go on from where training ended in all 3 series" in notices


def days_after(first: str, at: tuple[str, str, str]) -> int:
    """Days from the first to the prediction point of a place."""
    return int((np.datetime64(at[1]) - np.datetime64(first)).astype(int)) - int(at[2])


def test_eval_and_python_say_the_same(
    trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    folder = trained("rows")
    new = [line for line in lines if line["when"] >= border(folder)]
    file = write(tmp_path / "new.csv", new)
    found = evaluation.evaluate(folder, data_path=str(file))
    assert "states go on from where training ended in all 3 series" in found.notices
    expected = summary(folder)["test"]
    assert found.metrics["nll"] == pytest.approx(expected["nll"], rel=1e-4)
    assert found.metrics["rmse"] == pytest.approx(expected["rmse"], rel=1e-4)
    model = Model.load(folder)
    columns = {name: [line[name] for line in new] for name in new[0]}
    columns["a"] = [float(value) for value in columns["a"]]  # type: ignore[misc]
    del columns["y"]
    moments = model.predict(columns)
    law = model.predict_table(Table.from_columns(columns))
    own = [of_test_part(folder)[line["who"], line["when"], "0"] for line in new]
    places = [tuple(row) for row in zip(*(columns[n] for n in ("who", "when")), strict=True)]
    at = [places.index((line["instance"], line["time"])) for line in own]
    for mean in (moments.mean, law.mean):  # type: ignore[union-attr]
        order = law.places.rows.argsort()
        np.testing.assert_allclose(
            mean[order][at, 0], [float(line["mu"]) for line in own], rtol=2e-4, atol=1e-5
        )


def fresh(folder: Path, file: Path) -> dict[tuple[str, str, str], Line]:
    """What is predicted of a file whose series all start anew."""
    model = Model.load(folder)
    law = model.predict_part(model.encoder.windows(read_table(file)))
    assert law.places.index is not None
    mean = law.mean[:, 0].tolist()
    names = [law.places.series[code] for code in law.places.index[:, 0].tolist()]
    times = [str(when)[:10] for when in law.places.times()]
    return {
        (who, when, "0"): {"mu": str(mu)} for who, when, mu in zip(names, times, mean, strict=True)
    }


def test_rows_that_do_not_follow_start_anew(
    trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    """Behind a gap; of a series that training did not know; and the rest goes on."""
    folder = trained("rows")
    begin = border(folder)
    late = write(tmp_path / "late.csv", [line for line in lines if line["when"] > begin])
    notices: list[str] = []
    found = predicted(folder, late, notices)
    assert not differs(found, fresh(folder, late))
    assert differs(found, of_test_part(folder)) == ["s0", "s1", "s2"]
    assert any(note.startswith("states start anew with the file: no row") for note in notices)
    mixed = [
        line | ({"who": "s7"} if line["who"] == "s0" else {})
        for line in lines
        if line["when"] >= begin and (line["who"], line["when"]) != ("s2", begin)
    ]
    file = write(tmp_path / "mixed.csv", mixed)
    notices = []
    found = predicted(folder, file, notices)
    assert differs(found, fresh(folder, file)) == ["s1"]
    assert any("in 1 of 3 series; in the others (s2, s7) they start" in note for note in notices)
    own = [line for line in found if line["instance"] == "s1"]
    assert assert_same(own, of_test_part(folder)) > 5


def test_a_window_that_is_not_whole_does_not_go_on(
    trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    """With a row too few in front, the next window would show padding where training saw rows."""
    folder = trained("overlap")
    begin = day(border(folder), -2)
    file = write(tmp_path / "short.csv", [line for line in lines if line["when"] >= begin])
    found = predicted(folder, file)
    assert not differs(found, fresh(folder, file))
    assert differs([f for f in found if place(f) in of_test_part(folder)], of_test_part(folder))


def test_rows_between_training_and_test_must_be_in_the_file(
    trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    """Without a refit the validation part lies between, of which nothing was learnt."""
    folder = trained("rows", **{"trainer.refit": False})
    begin = border(folder)
    file = write(tmp_path / "test.csv", [line for line in lines if line["when"] >= begin])
    assert not differs(predicted(folder, file), fresh(folder, file))
    file = write(tmp_path / "more.csv", [line for line in lines if line["when"] >= day(begin, -15)])
    assert assert_same(predicted(folder, file), of_test_part(folder)) == len(of_test_part(folder))


def test_a_checkpoint_of_older_versions_starts_anew(
    trained: Callable[..., Path], lines: list[Line], tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    shutil.copytree(trained("rows"), folder)
    file = folder / "checkpoints" / "best.safetensors"
    tensors, metadata = checkpoint.read(file)
    del metadata["model"]["encoder"]["windows"]["origins"]
    checkpoint.write(file, tensors, metadata)
    new = write(tmp_path / "new.csv", [line for line in lines if line["when"] >= border(folder)])
    notices: list[str] = []
    assert not differs(predicted(folder, new, notices), fresh(folder, new))
    assert any(note.startswith("states start anew with the file") for note in notices)


def test_a_forecast_goes_on_from_rows_that_follow(
    make_settings: Make, lines: list[Line], tmp_path: Path
) -> None:
    """From the data of the run, or a file with the rows that were not learnt; else anew."""
    table = write(tmp_path / "whole.csv", lines)
    settings = make_settings(**{
        "task": "forecasting", "data.path": str(table), "data.instance": "who",
        "data.time": "when", "data.in_components": ["y"], "data.out_components": ["y"],
        "data.in_chunk": [0, 0], "data.batch_size": 3, "trainer.max_epochs": 2,
        "viz.enabled": False, "ensemble.size": 2, "arch": TRACKED, "forecast.horizon": 4,
        "forecast.mode": "recursive",
    })  # fmt: skip
    folder = run.train(settings, "tagi train", tmp_path / "run")

    def ahead(back: int | None) -> tuple[np.ndarray[Any, Any], list[str]]:
        notices: list[str] = []
        file = None
        if back is not None:
            begin = str(END_OF_DATA - back)
            file = write(tmp_path / "end.csv", [one for one in lines if one["when"] >= begin])
        path = predict_ahead(
            folder, 6, file, tmp_path / "next.csv", overwrite=True, notices=notices
        )
        return np.array([float(line["mu"]) for line in rows(path)]), notices

    own, said = ahead(None)
    going = "states go on from where training ended in all 3 series"
    assert going in said
    # The first window that was not learnt begins with the last row before the tested ones.
    for back in (5, 9, 200):
        found, said = ahead(back)
        assert going in said
        np.testing.assert_allclose(found, own, rtol=2e-4, atol=1e-5)
    for back in (4, 1):
        found, said = ahead(back)
        assert any(note.startswith("states start anew with the file") for note in said)
        assert np.abs(found - own).max() > 1e-3
        # Through the rows of the file, as a prediction of its last ones.
        last = str(END_OF_DATA - 1)
        along = fresh(folder, tmp_path / "end.csv")
        expected = [float(along[who, last, "0"]["mu"]) for who in DAYS]
        np.testing.assert_allclose(found.reshape(3, -1)[:, 0], expected, rtol=2e-4, atol=1e-5)
