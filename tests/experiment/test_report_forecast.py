"""What the report says about forecasts, and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.experiment.report import fan_figures, figures
from tagi_cli.experiment.report import forecasts as report_forecast


def numbers(steps: int = 3, *, known: bool = True) -> dict[str, Any]:
    """What `forecast_diagnostics.diagnose` adds, for one series."""
    rng = np.random.default_rng(0)
    level = np.sort(rng.normal(size=(5, steps)), axis=0)
    names = ("lo_90", "lo_50", "median", "hi_50", "hi_90")
    values = {name: level[i].tolist() for i, name in enumerate(names)}
    keys = ("mase", "nd", "p90", "smape", "crps", "coverage_90")
    by_step = {key: rng.uniform(0.2, 1, steps).tolist() for key in keys}
    naive_by_step: dict[str, list[float | None]] = {
        key: rng.uniform(1, 2, steps).tolist() for key in keys
    }
    naive_by_step["mase"][0] = None
    fan = {"name": "S <1>", "past": [None, 1.0, 2.0], "y": [], "naive": [], **values}
    if known:
        fan |= {"y": [1.0] * (steps - 1) + [None], "naive": [0.5] * steps}
    return {
        "name": "sales",
        "forecast": {
            "step": list(range(1, steps + 1)),
            "measures": {"mase": 0.75, "nd": 0.125, "p90": 0.0625, "smape": 12.5},
            "baseline": {"mase": 1.25, "nd": 0.25, "p90": None, "smape": 15.5},
            "by_step": by_step,
            "baseline_by_step": naive_by_step,
            "fans": [fan],
        },
    }


@pytest.fixture
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_figures, "of_output", lambda stem, one: [])


def test_the_network_stands_beside_the_naive_forecast() -> None:
    page = report_forecast.ACCOUNT.tables(numbers())
    for cell in ("0.75", "0.125", "0.0625", "12.5", "1.25", "15.5", "–"):
        assert f"<td>{cell}</td>" in page
    assert page.count("<tr>") == 3 + 4


def test_of_many_steps_some_are_listed() -> None:
    page = report_forecast.ACCOUNT.tables(numbers(48))
    listed = [h for h in range(1, 49) if f'<td class="text">{h}</td>' in page]
    assert len(listed) == 12
    assert (listed[0], listed[-1]) == (1, 48)


def test_a_single_step_has_no_table_by_step() -> None:
    assert "By step" not in report_forecast.ACCOUNT.tables(numbers(1))


def test_the_measures_come_first() -> None:
    account = report_forecast.ACCOUNT
    assert list(account.metrics)[:4] == ["mase", "nd", "p90", "smape"]
    assert "coverage_90" in account.metrics


@pytest.mark.usefixtures("no_others")
def test_figures_of_a_forecast() -> None:
    drawn = fan_figures.of_forecast("test", numbers())
    assert [figure.name for figure in drawn] == [
        "test_mase_by_step",
        "test_crps_by_step",
        "test_coverage_by_step",
        "test_fan_1",
    ]
    for figure in drawn:
        assert figure.png.startswith(b"\x89PNG")
    assert "S &lt;1&gt;" in drawn[-1].svg
    for word in ("median", "naive", "observed", "90 %"):
        assert word in drawn[-1].svg


@pytest.mark.usefixtures("no_others")
def test_one_step_needs_no_fan() -> None:
    assert fan_figures.of_forecast("test", numbers(1)) == []


def test_fans_of_what_nobody_knows_yet(tmp_path: Path) -> None:
    (one,) = numbers(known=False)["forecast"]["fans"]
    fans = [{**one, "component": name} for name in ("u", "v", "w")]
    figure = fan_figures.ahead("next", fans)
    assert isinstance(figure, figures.Figure)
    for name in ("u", "v", "w"):
        assert f"S &lt;1&gt;: {name}" in figure.svg
    assert "naive" not in figure.svg
    assert figure == fan_figures.ahead("next", fans)


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([], "step"),
        ([1.5, 2.0, 2.5, 3.0, 3.5, 4.0], "time"),
        ([f"2024-0{month}-01T00:00:00" for month in range(1, 7)], "2024"),
        (None, "step"),  # as older versions wrote it
    ],
)
def test_fans_stand_at_their_times(times: list[Any] | None, told: str) -> None:
    (one,) = numbers(known=False)["forecast"]["fans"]
    fan = {**one, "component": "u"} | ({} if times is None else {"time": times})
    shown = fan_figures.ahead("next", [fan]).svg
    assert f"<!-- {told} -->" in shown or f">{told}<" in shown
    assert ("step" in shown) == (told == "step")
