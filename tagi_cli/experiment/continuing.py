"""Series that go on after their end: `tagi predict horizon=`, and `Model.forecast`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli import atomic, data
from tagi_cli.data.tail import tail
from tagi_cli.errors import UserError
from tagi_cli.experiment import carried_states, forecasting, laws, tasks
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.forecasting import Forecasts
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.new_file import new_file
from tagi_cli.experiment.predictions import Floats
from tagi_cli.experiment.report import fan_figures, forecast_diagnostics


@dataclass(frozen=True)
class Forecast:
    """What a model says about the steps after the end of n series, in the units of the data.

    Attributes:
        series: `(n,)` their names.
        times: `(n, H)` times of the steps, or places in the series where there are no times.
        mean: `(n, H, outputs)` mean of the predictive law.
        sd_epistemic: standard deviation that stems from what is not known of the network.
        sd_noise: standard deviation of the noise, also of what was fed back.
    """

    series: NDArray[np.str_]
    times: NDArray[Any]
    mean: Floats
    sd_epistemic: Floats
    sd_noise: Floats
    _law: Forecasts

    @property
    def sd(self) -> Floats:
        """Standard deviation of the predictive law: both parts together."""
        return np.hypot(self.sd_epistemic, self.sd_noise)

    def quantile(self, probability: float) -> Floats:
        """`(n, H, outputs)` the value below which each step lies with the given probability.

        Raises:
            ValueError: the probability is not between 0 and 1.
        """
        if not 0 < probability < 1:
            raise ValueError(f"probability {probability}; allowed: above 0 and below 1")
        return self._law.quantile(probability).reshape(self.mean.shape)

    @classmethod
    def of(cls, law: Forecasts) -> Forecast:
        """The same numbers, series by series."""
        index = law.places.index
        assert index is not None
        shape = (len(index), len(law.steps), len(law.names))
        return cls(
            np.array([law.places.series[code] for code in index[:, 0].tolist()], dtype=np.str_),
            np.stack([law.places.times(step) for step in law.steps], axis=1),
            law.mean.reshape(shape),
            law.sd_epistemic.reshape(shape),
            law.sd_noise.reshape(shape),
            law,
        )


def continued(
    model: Model, horizon: int, table: data.Table | None, notices: list[str]
) -> Forecasts:
    """Forecast the rows after the end of each series.

    Args:
        model: of a forecast.
        horizon: rows to forecast.
        table: with the past of the series, and inputs of rows to come where the network needs them
            (the target left empty); None takes the data of the run.
        notices: collects remarks for the user.

    Raises:
        UserError: the model forecasts nothing; the horizon is no number above 0, or needs
            predictions to be fed back that are no inputs; a column is missing, a series unknown or
            too short.
    """
    settings, encoder = model.settings, model.encoder
    if not tasks.forecasts(settings.task):
        name = tasks.tasks.of(settings.task).name
        raise UserError(
            f"horizon: series go on in runs of task forecasting, and this is one of {name}"
        )
    if horizon < 1:
        raise UserError(f"horizon: found {horizon}. Allowed: at least 1")
    tasks.check_feedback(encoder, horizon)
    is_own = table is None
    if table is None:
        table = data.source_table(settings.data, notices)
    at_once = encoder.output_shape[0]
    fed = max(0, -(-horizon // at_once) - 1) * at_once
    tracks = any(learner.tracks for learner in model.learners)
    # States go on from where training ended, wherever in the series that was.
    shown = forecasting.PAST * horizon
    history = max(shown, _longest(encoder, table)) if tracks else shown
    part = tail(encoder, table, fed, notices, history=history, is_own=is_own)
    notices += carried_states.notices(model.learners, part)
    law = forecasting.forecast(
        model.learners, encoder, part, horizon, settings.forecast, settings.seed
    )
    return forecasting.with_past(law, encoder, part, shown)


def _longest(encoder: data.Encoder, table: data.Table) -> int:
    """Rows of the longest series."""
    assert encoder.windowing is not None
    instance = encoder.windowing.instance
    if instance is None or instance not in table.columns:
        return len(table)
    return int(np.bincount(table.categories(instance).codes + 1).max())


def predict_ahead(
    run: str | Path,
    horizon: int,
    input: str | Path | None = None,
    output: str | Path | None = None,
    checkpoint: str = "best",
    *,
    overwrite: bool = False,
    notices: list[str] | None = None,
) -> Path:
    """Write what comes after the end of each series, and draw it.

    Beside the table, `<stem>.json` holds the numbers of fan charts of some series, and
    `<stem>.svg` and `.png` the charts.

    Args:
        run: a run folder of a forecast.
        horizon: rows to forecast.
        input: a table with the past of the series; None takes the data of the run.
        output: the CSV file to write; None writes `predictions/forecast.csv` of the run.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.
        overwrite: replace files that are there.
        notices: collects remarks for the user, among them which charts were drawn.

    Returns:
        the path of the table.

    Raises:
        UserError: as `continued`, or a file is there already.
    """
    notices = [] if notices is None else notices
    folder = RunFolder.open(run)
    given = folder.predictions / "forecast.csv" if output is None else output
    path = new_file(given, overwrite=overwrite, source=input)
    beside = {end: path.with_suffix(end) for end in (".json", ".svg", ".png")}
    for other in beside.values():
        if other.exists() and not overwrite:
            raise UserError(
                f"output: {other} is there already, and would hold the charts; name another file, "
                "or set overwrite=true"
            )
    model = Model.load(run, checkpoint)
    try:
        table = None if input is None else data.read_table(input, notices)
        law = continued(model, horizon, table, notices)
    except UserError as error:
        where = "input: " if input is not None and not str(error).startswith("horizon") else ""
        raise UserError(f"{where}{error}") from None
    fans = forecast_diagnostics.fans_ahead(law)
    laws.write_csv(path.resolve(), law)
    atomic.write_json(beside[".json"], {"steps": list(law.steps), "fans": fans})
    figure = fan_figures.ahead(path.stem, fans)
    atomic.write_text(beside[".svg"], figure.svg)
    with atomic.replacing(beside[".png"]) as file:
        file.write(figure.png)
    notices.append(
        f"fan charts of {len({fan['name'] for fan in fans})} series: {beside['.png']}, .svg; their "
        "numbers: .json"
    )
    return path
