"""Any config that the schema allows, on any small data: a whole run, or a user's mistake."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tagi_cli import config
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, pipe, run
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings, registries

from .exploring import DEPTHS, explore
from .tables import Rows, tables
from .verbs import Verb, say, uses
from .ways import WAYS, Case, cases

ALWAYS = {"rmse", "mae", "nll", "crps", "coverage_90", "error_rate", "brier", "ece"}
"""Metrics that every test part has."""
NUMBERS = ("mu", "sd", "lo", "hi", "p_")
"""How columns of numbers begin."""


def strict(text: str, where: str) -> Any:
    """JSON without NaN or infinity."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} in {where}")

    return json.loads(text, parse_constant=refuse)


def sane(text: str, where: str) -> list[dict[str, str]]:
    """The rows of a table of predictions: finite moments, no deviation negative, ends in order."""
    rows = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        found = {k: float(v) for k, v in row.items() if v and k.startswith(NUMBERS)}
        assert all(map(math.isfinite, found.values())), (where, row)
        assert all(v >= 0 for k, v in found.items() if k.startswith(("sd", "p_"))), (where, row)
        if "lo_90" in found:
            assert found["lo_90"] <= found["hi_90"], (where, row)
        shares = [v for k, v in found.items() if k.startswith("p_")]
        assert not shares or math.isclose(sum(shares), 1, abs_tol=1e-3), (where, row)
    return rows


def check_run(folder: Path, status: str = "completed") -> dict[str, Any]:
    """The folder is whole, and there is nothing in it that is not finite; its summary."""
    summary: dict[str, Any] = strict((folder / "summary.json").read_text(), "summary.json")
    assert summary["status"] == status
    for name in ("config.yaml", "environment.json", "metrics.csv", "metrics.jsonl", "train.log"):
        assert (folder / name).is_file(), name
    for name in ("best", "last"):
        assert (folder / "checkpoints" / f"{name}.safetensors").is_file()
    for path in folder.rglob("*.json"):
        strict(path.read_text(), path.name)
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        strict(line, "metrics.jsonl")
    for path in (folder / "predictions").glob("*.csv"):
        sane(path.read_text(), path.name)
    return summary


def check_agreement(folder: Path, settings: Settings, summary: dict[str, Any]) -> None:
    """What was recorded is read back, and scoring the run again gives what it gave."""
    assert config.load(Settings, registries(), folder / "config.yaml") is not None
    again = evaluation.evaluate(folder, split="test").metrics if summary["test"] else {}
    for key, value in summary["test"].items():
        if key in ALWAYS:
            assert value is not None, key
        if isinstance(value, float):
            assert again[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key


def check_predictions(folder: Path, data: Path, case: Case) -> None:
    """Its own rows are predicted from a file, and the same one by one from a pipe."""
    target = folder.parent / "predicted.csv"
    code, _, err = say(["predict", f"run={folder}", f"input={data}", f"output={target}"])
    assert code == (0 if target.is_file() else 2), err
    if code or not sane(target.read_text(), target.name):
        return  # as where a row lacks an input
    model = Model.load(folder)
    if model.encoder.windowing is not None or not isinstance(case.data, Rows):
        return
    lines, out = case.data.text(), io.BytesIO()
    with contextlib.suppress(UserError):  # as where a text goes on in the next line
        assert pipe.answer(model, io.BytesIO(lines.encode()).read, out, []) == case.data.rows
    sane(out.getvalue().decode(), "pipe")


def check_verb(verb: Verb, places: dict[str, str], folder: Path) -> None:
    """It does what it should, or says in one message why it cannot; all that it leaves is sane."""
    words = [word.format(**places) for word in verb.words]
    code, out, err = say(words)
    assert code in ((0,) if verb.always else (0, 2)), (words, err)
    assert (code == 0) or err.strip().startswith(f"tagi {words[0]}: "), (words, err)
    if code:
        return
    if words[0] in ("eval", "angles"):
        strict(out, words[0])
    for path in folder.rglob("*.csv"):
        if path.parent.name != "csv":
            sane(path.read_text(), path.name)
    for path in folder.rglob("*.json"):
        strict(path.read_text(), path.name)
    for after in verb.then:
        check_verb(after, places, folder)


def check_after(
    folder: Path, settings: Settings, data: Path, case: Case, verbs: list[Verb], other: Rows
) -> None:
    """All that is asked of a finished run."""
    summary = check_run(folder)
    check_agreement(folder, settings, summary)
    check_predictions(folder, data, case)
    for number, verb in enumerate(verbs):
        places = {"run": str(folder), "data": str(data), "new": f"{folder.parent}/new{number}"}
        places["other"] = str(other.write(folder.parent / "other"))
        check_verb(verb, places, folder.parent)


@pytest.mark.parametrize("deep", DEPTHS)
@pytest.mark.parametrize("way", WAYS)
def test_any_config_that_the_schema_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, deep: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []

    def check(case: Case, verbs: list[Verb], other: Rows) -> None:
        runs = tmp_path / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        tree = case.written(tmp_path)
        try:
            settings = config.check(Settings, registries(), tree)
            folder = run.train(settings, "tagi train", runs)
        except UserError:
            return
        check_after(folder, settings, Path(tree["data"]["path"]), case, verbs, other)
        ran.append(case)

    explore(check, 3, 10, deep, case=cases(way), verbs=uses(), other=tables(likely=20))
    assert ran
