"""`tagi predict horizon=`: series that go on after their end."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tagi_cli
from tagi_cli.cli.main import main

SMALL = (
    "kernels=numpy",
    "viz.enabled=false",
    "arch.width=8",
    "arch.depth=1",
    "ensemble.size=2",
    "trainer.max_epochs=3",
    "data.batch_size=8",
)


def write(
    path: Path, names: str = "ab", rows: int = 30, columns: str = "series,time,value"
) -> Path:
    rng = np.random.default_rng(0)
    lines = [
        f"{name},{np.datetime64('2024-01', 'M') + t}-01,{100 * k + t + rng.normal():.3f}"
        for k, name in enumerate(names)
        for t in range(rows)
    ]
    path.write_text("\n".join([columns, *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ahead")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write(folder / "long.csv")
        options = ("forecast.horizon=4", "forecast.season=4", "data.path=long.csv")
        assert main(["train", "config=forecast/global", *options, *SMALL]) == 0
        assert main(["train", "data.path=long.csv", "data.out_components=value", *SMALL]) == 0
    return folder


def run_of(folder: Path, name: str = "forecast-global") -> str:
    (found,) = (folder / "outputs" / name).iterdir()
    return str(found)


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_series_goes_on_after_its_end(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "next.csv"
    given = ["predict", f"run={run_of(trained)}", "horizon=9", f"output={out}"]
    assert main(given) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(out)]
    charts = f"fan charts of 2 series: {tmp_path / 'next.png'}, .svg; their numbers: .json"
    assert f"note: {charts}" in said.err.splitlines()
    lines = lines_of(out)
    assert [line["instance"] for line in lines] == ["a"] * 9 + ["b"] * 9
    assert [line["step"] for line in lines] == [str(h) for h in range(1, 10)] * 2
    assert "y" not in lines[0]
    months = np.datetime64("2026-07", "M") + np.arange(9)
    assert [line["time"] for line in lines[:9]] == [f"{month}-01" for month in months]
    for line in lines:
        assert float(line["lo_90"]) < float(line["mu"]) < float(line["hi_90"])
    fans = json.loads((tmp_path / "next.json").read_text())
    assert fans["steps"] == list(range(1, 10))
    assert [fan["name"] for fan in fans["fans"]] == ["a", "b"]
    times = [str(np.datetime64("2026-07", "M") + k) for k in range(-18, 9)]
    assert fans["fans"][0]["time"] == [f"{month}-01T00:00:00" for month in times]
    long = lines_of(trained / "long.csv")
    known = [float(line["value"]) for line in long if line["series"] == "a"]
    assert fans["fans"][0]["past"][-5:] == pytest.approx(known[-5:], rel=1e-5)
    assert fans["fans"][0]["past"][0] == pytest.approx(known[12], rel=1e-5)
    assert (tmp_path / "next.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "next.svg").read_text().startswith("<?xml")
    assert main(given) == 2
    assert "is there already" in capsys.readouterr().err
    assert main([*given, "overwrite=true"]) == 0


def test_python_says_the_same(trained: Path, tmp_path: Path) -> None:
    run, out = run_of(trained), tmp_path / "next.csv"
    assert main(["predict", f"run={run}", "horizon=6", f"output={out}"]) == 0
    found = tagi_cli.load(run).forecast(6)
    assert found.series.tolist() == ["a", "b"]
    assert found.times.shape == (2, 6)
    lines = lines_of(out)
    np.testing.assert_allclose(found.mean.ravel(), [float(line["mu"]) for line in lines])
    np.testing.assert_allclose(found.sd.ravel(), [float(line["sd"]) for line in lines], rtol=1e-6)
    high = found.quantile(0.95).ravel()
    np.testing.assert_allclose(high, [float(line["hi_90"]) for line in lines])
    with pytest.raises(ValueError, match="above 0 and below 1"):
        found.quantile(1.0)
    # The horizon of the run, if none is given.
    assert tagi_cli.load(run).forecast().mean.shape == (2, 4, 1)


def test_without_an_output_the_run_keeps_it(trained: Path) -> None:
    run = Path(run_of(trained))
    assert main(["predict", f"run={run}", "horizon=2", "overwrite=true"]) == 0
    assert len(lines_of(run / "predictions" / "forecast.csv")) == 4


def test_series_of_another_file(trained: Path, tmp_path: Path) -> None:
    new, out = write(tmp_path / "new.csv", "b", 20), tmp_path / "o.csv"
    assert (
        main(["predict", f"run={run_of(trained)}", "horizon=2", f"input={new}", f"output={out}"])
        == 0
    )
    lines = lines_of(out)
    assert [line["instance"] for line in lines] == ["b", "b"]
    assert lines[0]["time"] == "2025-09-01"


def test_rows_of_another_file(trained: Path, tmp_path: Path) -> None:
    new, out = write(tmp_path / "new.csv", "b", 20), tmp_path / "o.csv"
    assert main(["predict", f"run={run_of(trained)}", f"input={new}", f"output={out}"]) == 0
    assert {line["step"] for line in lines_of(out)} == set("1234")


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"names": "bq"}, "horizon=2", "input: new.csv, row 32, column 'series': 'q' is no series"),
    ({"rows": 3}, "horizon=2", "input: new.csv: series 'a' ends with 3 rows in a row"),
    ({"columns": "series,time,price"}, "horizon=2", "no column for the input value"),
    ({"columns": "name,time,value"}, "horizon=2", "no column 'series' for the series"),
    ({}, "horizon=0", "horizon: found '0'. Allowed: a number of steps, at least 1"),
    ({}, "horizon=two", "horizon: found 'two'. Allowed: a number of steps, at least 1"),
]


@pytest.mark.parametrize(("table", "horizon", "message"), MISTAKES)
def test_mistakes(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: dict[str, Any],
    horizon: str,
    message: str,
) -> None:
    new = write(tmp_path / "new.csv", **table)
    given = [f"run={run_of(trained)}", horizon, f"input={new}", f"output={tmp_path / 'o.csv'}"]
    assert main(["predict", *given]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()


def test_other_runs_do_not_go_on(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"run={run_of(trained, 'long')}", "horizon=2", f"output={tmp_path / 'o.csv'}"]
    assert main(["predict", *given]) == 2
    assert "horizon: series go on in runs of task forecasting" in capsys.readouterr().err


def test_charts_are_not_overwritten(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "o.png").touch()
    given = [f"run={run_of(trained)}", "horizon=2", f"output={tmp_path / 'o.csv'}"]
    assert main(["predict", *given]) == 2
    assert "o.png is there already, and would hold the charts" in capsys.readouterr().err


def with_covariate(path: Path, known: int, rows: int) -> Path:
    """One series of `rows` rows with a covariate, of which `known` have a value."""
    lines = [f"{t},{t % 5},{t + 3 * (t % 5) if t < known else ''}" for t in range(rows)]
    path.write_text("\n".join(["t,c,value", *lines]) + "\n")
    return path


def test_covariates_of_rows_to_come_stand_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with_covariate(tmp_path / "one.csv", 60, 60)
    options = ("forecast.horizon=3", "forecast.season=null", "data.path=one.csv")
    assert main(["train", "config=forecast/global", *options, *SMALL]) == 0
    given = ["predict", f"run={run_of(tmp_path)}"]
    # What the network predicts at once needs no more than the past.
    assert main([*given, "horizon=3", "output=a.csv"]) == 0
    assert main([*given, "horizon=7", "output=b.csv"]) == 2
    assert "Add these rows, with the target left empty" in capsys.readouterr().err
    for name, shift in (("more", 0), ("other", 1)):
        path = with_covariate(tmp_path / f"{name}.csv", 60, 66)
        if shift:
            text = path.read_text().splitlines()
            text[-6:] = [f"{60 + i},4," for i in range(6)]
            path.write_text("\n".join(text) + "\n")
        assert main([*given, "horizon=7", f"input={path}", f"output={name}_next.csv"]) == 0
    mu = [
        [float(line["mu"]) for line in lines_of(tmp_path / file)]
        for file in ("a.csv", "more_next.csv", "other_next.csv")
    ]
    assert mu[0] == pytest.approx(mu[1][:3])
    assert mu[1][:3] == pytest.approx(mu[2][:3])
    assert mu[1][3:] != pytest.approx(mu[2][3:])
