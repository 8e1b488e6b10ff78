"""Explanations of classes: differences of log-odds, and a logistic law's coefficients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.experiment.explain import figures, of_run, tables
from tagi_cli.experiment.explain.of_run import Place, Source
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.model import Classes, Model
from tagi_cli.experiment.report import page

from .test_explanation import read, trained

CLASSES = {
    "task": {"kind": "classification"},
    "data.out_components": ["label"],
    "ensemble": {"size": 1},
}


def rows(n: int, labels: tuple[str, ...]) -> list[str]:
    """Log-odds 0, 1.5 a - 3 b and, of a third class, a / 2 + b, of the labels in their order."""
    rng, lines = np.random.default_rng(8), []
    for a, b in rng.normal([4, -1], [2, 0.5], size=(n, 2)):
        z = np.array([0.0, 1.5 * (a - 4) - 3 * (b + 1), 0.5 * a + b])[: len(labels)]
        label = rng.choice(labels, p=np.exp(z) / np.exp(z).sum())
        lines.append(f"{float(a)!r},{float(b)!r},{label}")
    return lines


def log_odds(model: Model, a: Any, b: Any) -> Any:
    """`log p_k` less the mean of the others', from what is predicted."""
    found = model.predict({"a": a, "b": b})
    assert isinstance(found, Classes)
    logs = np.log(found.probability)
    others = logs.sum(axis=1, keepdims=True) - logs
    return logs - others / (logs.shape[1] - 1)


@pytest.mark.parametrize("labels", [("no", "yes"), ("no", "yes", "a&b")])
def test_derivatives_are_differences_of_log_odds(labels: tuple[str, ...], tmp_path: Path) -> None:
    made = trained(tmp_path, "a,b,label", rows(200, labels), **CLASSES)
    model = Model.load(made)
    a, b, step = np.linspace(0, 8, 7), np.linspace(-2, 0, 7), 1e-4
    found = model.explain({"a": a, "b": b})
    assert found.odds
    assert found.names == tuple(sorted(labels))
    np.testing.assert_allclose(found.prediction, log_odds(model, a, b), rtol=1e-6)
    for i, (da, db) in enumerate(((step, 0), (0, step))):
        up, down = (log_odds(model, a + s * da, b + s * db) for s in (1, -1))
        slope = (up - down) / (2 * step)
        np.testing.assert_allclose(
            found.derivative[:, :, i], slope, atol=1e-5 * np.abs(slope).max()
        )
    if len(labels) == 2:
        yes = model.predict({"a": a, "b": b}).probability[:, 1]
        np.testing.assert_allclose(found.prediction[:, 1], np.log(yes / (1 - yes)), rtol=1e-6)
        np.testing.assert_allclose(found.derivative[:, 0], -found.derivative[:, 1])


def test_a_logistic_law_gives_its_coefficients(tmp_path: Path) -> None:
    """1.5 and -3, of one network that is linear; what it does not know of them is told."""
    made = trained(
        tmp_path, "a,b,label", rows(1500, ("no", "yes")),
        **CLASSES, **{"arch.depth": 0, "trainer.max_epochs": 30},
    )  # fmt: skip
    of_run.explain_run(made, Source(), Place(str(tmp_path / "out")), notices=[])
    found = {
        (row["component"], row["column"]): float(row["derivative"])
        for row in read(tmp_path / "out" / tables.SENSITIVITIES)
    }
    for name, coefficient in (("a", 1.5), ("b", -3.0)):
        assert found["yes", name] == pytest.approx(coefficient, rel=0.25)
        assert found["no", name] == pytest.approx(-found["yes", name], rel=1e-5)
    for row in read(tmp_path / "out" / tables.ROWS):
        whole = sum(float(row[n]) for n in ("baseline", "from_a", "from_b", "remainder"))
        assert whole == pytest.approx(float(row["mu"]), rel=1e-4, abs=1e-6)
        assert abs(float(row["remainder"])) <= 1e-5


def test_networks_are_averaged_and_their_differences_told(tmp_path: Path) -> None:
    made = trained(
        tmp_path, "a,b,label", rows(200, ("no", "yes")), **CLASSES | {"ensemble": {"size": 3}}
    )
    model = Model.load(made)
    x = {"a": [3.0, 5.0], "b": [-1.0, 0.0]}
    both = model.explain(x)
    single = []
    for learner in model.learners:
        alone = Model(model.settings, model.encoder, [learner])
        alone.statistics = model.statistics
        single.append(alone.explain(x))
    slopes = np.array([one.slope for one in single])
    np.testing.assert_allclose(both.slope, slopes.mean(axis=0))
    spread = np.mean([one.slope_sd**2 for one in single], axis=0) + slopes.var(axis=0)
    np.testing.assert_allclose(both.slope_sd, np.sqrt(spread))


def test_the_report_says_that_odds_are_explained(tmp_path: Path) -> None:
    label = 'a<b>,"c"'
    made = trained(
        tmp_path, '"x,""1""",b,label',
        rows(100, ("no", '"a<b>,""c"""')),  # as it stands in a file
        **CLASSES,
    )  # fmt: skip
    (tmp_path / "a<i>.csv").write_text((tmp_path / "table.csv").read_text())
    of_run.explain_run(made, Source(input=str(tmp_path / "a<i>.csv")), Place(), notices=[])
    found = Model.load(made).explain({'x,"1"': [1.0], "b": [0.0]})
    drawn = figures.drawings(tables.numbers_of(found, "rows"))
    assert "log-odds per input sd" in drawn[0].svg
    text = page.write_report(RunFolder.open(made)).read_text()
    assert "Of a class its log-odds" in text
    assert "Sensitivity of a&lt;b&gt;" in text
    for name in (tables.SENSITIVITIES, tables.CONTRIBUTIONS):
        lines = read(made / figures.FOLDER / name)
        assert {line["component"] for line in lines} == {label, "no"}
        assert {line["column"] for line in lines} == {'x,"1"', "b"}
    lines = read(made / figures.FOLDER / tables.ROWS)
    assert {line["component"] for line in lines} == {label, "no"}
    assert 'from_x,"1"' in lines[0]
    assert "On 100 rows of a&lt;i&gt;.csv" in text
    assert "a<b>" not in text
    assert "a<i>" not in text
