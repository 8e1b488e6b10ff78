"""What a report says about forecasts."""

from __future__ import annotations

from html import escape

from tagi_cli.experiment.report import fan_figures, markup
from tagi_cli.experiment.report import regression as report_regression
from tagi_cli.experiment.report.account import Numbers

_MEASURES = {"mase": "MASE", "nd": "ND", "p90": "p90", "smape": "sMAPE (%)"}

_STEPS_LISTED = 12


def _beside_naive(one: Numbers) -> str:
    """Tables: the network beside the seasonal naive forecast, and by step."""
    found = one["forecast"]
    header = ["", *_MEASURES.values()]
    rows = [
        [escape(label), *(markup.number(found[key][name]) for name in _MEASURES)]
        for label, key in (("network", "measures"), ("seasonal naive", "baseline"))
    ]
    text = (
        "<h4>Beside the seasonal naive forecast</h4>"
        '<p class="lead">MASE: mean absolute error of the median over that of the seasonal naive '
        "forecast before the tested rows, averaged over series. ND: sum of absolute errors over "
        "sum of absolute values. p90: twice the sum of pinball losses of the 0.9 quantile over "
        "the same. Smaller is better.</p>"
    ) + markup.table(header, rows)
    steps = found["step"]
    if len(steps) < 2:
        return text
    listed = [round(i * (len(steps) - 1) / (_STEPS_LISTED - 1)) for i in range(_STEPS_LISTED)]
    own, naive = found["by_step"], found["baseline_by_step"]
    lines = [
        [
            str(steps[h]),
            markup.number(own["mase"][h]),
            markup.number(naive["mase"][h]),
            markup.number(own["nd"][h]),
            markup.number(own["crps"][h]),
            markup.number(naive["crps"][h]),
            _share(own["coverage_90"][h]),
        ]
        for h in sorted(set(listed))
    ]
    columns = ["step", "MASE", "naive MASE", "ND", "CRPS", "naive CRPS", "in 90 %"]
    return text + "<h4>By step</h4>" + markup.table(columns, lines)


def _share(value: float | None) -> str:
    return markup.number(None) if value is None else f"{100 * value:.1f} %"


_BASE = report_regression.ACCOUNT

ACCOUNT = _BASE._replace(
    metrics={**_MEASURES, **_BASE.metrics},
    tiles={**_MEASURES, **_BASE.tiles},
    note=f"{_BASE.note} The first four are measures that series of any size share.",
    draw=fan_figures.of_forecast,
    tables=_beside_naive,
)
