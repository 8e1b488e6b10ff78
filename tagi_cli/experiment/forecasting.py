"""Forecasts: what comes after series, however far, and how it compares with a naive forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.continuation import Ahead, Continuation, scaler_of
from tagi_cli.data.inputs import NumberInput
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Floats, Predictions
from tagi_cli.training import prediction
from tagi_cli.training.forecasting import Errors, by_step, measures
from tagi_cli.training.interface import Learner, Prediction

if TYPE_CHECKING:
    from tagi_cli.data import Encoder, Part
    from tagi_cli.experiment.forecast_options import ForecastOptions

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Forecasts(Predictions):
    """Predictions of values to come.

    Attributes:
        naive: `(n, K)` seasonal naive forecasts, NaN where nothing is known; None where there is
            nothing to compare.
        naive_error: `(n, components)` unit of errors in each series, see `training.forecasting`.
        past: `(n, P, components)` the values before, NaN where there are none; for figures.
        networks: of the ensemble; `mu` and so on hold as many trajectories of each.
    """

    naive: Floats | None = None
    naive_error: Floats | None = None
    past: Floats | None = None
    networks: int = 0

    def take(self, index: slice | Rows) -> Forecasts:
        """The same for some of the examples."""
        base = super().take(index)
        own = {name: getattr(self, name) for name in ("naive", "naive_error", "past")}
        taken: dict[str, Any] = {
            name: None if values is None else values[index] for name, values in own.items()
        }
        return Forecasts(**_fields(base), **taken, networks=self.networks)

    @cached_property
    def sd_epistemic(self) -> Floats:
        """(n, K) epistemic standard deviation; what trajectories of one network differ is noise."""
        if not self.networks or len(self.mu) == self.networks:
            return np.asarray(np.sqrt(np.mean(self.var_epistemic, 0) + np.var(self.mu, 0)))
        between = np.var(self._of_networks(self.mu).mean(axis=1), axis=0)
        return np.asarray(np.sqrt(np.mean(self.var_epistemic, axis=0) + between))

    @cached_property
    def sd_noise(self) -> Floats:
        """(n, K) standard deviation of the noise, of what was fed back too."""
        noise = np.mean(self.var_noise, axis=0)
        if self.networks and len(self.mu) > self.networks:
            noise = noise + np.var(self._of_networks(self.mu), axis=1).mean(axis=0)
        return np.asarray(np.sqrt(noise))

    def _of_networks(self, values: Floats) -> Floats:
        return values.reshape(self.networks, -1, *values.shape[1:])

    def component(self, k: int) -> tuple[Errors, Errors, Floats, Rows]:
        """Errors of one component, those of the naive forecast, and units and numbers of series."""
        assert self.y is not None
        assert self.naive is not None
        assert self.naive_error is not None
        assert self.places.index is not None
        C = len(self.names)
        y = self.y[:, k::C]
        law = Errors.of_law(y, self.mu[..., k::C], self.var[..., k::C])
        naive = Errors.of_points(y, self.naive[:, k::C])
        return law, naive, self.naive_error[:, k], self.places.index[:, 0]

    def metrics(self) -> dict[str, Any]:
        """The measures of summary.json: means over components, and the same of the baseline."""
        own, baseline = [], []
        for k in range(len(self.names)):
            law, naive, unit, series = self.component(k)
            own.append(measures(law, unit, series))
            baseline.append(measures(naive, unit, series))
        return _mean_of(own) | {"baseline": _mean_of(baseline)}

    def metrics_by_step(self, k: int) -> dict[str, Any]:
        """Measures of one component, for the report: `measures`, `baseline`, `steps` of both."""
        law, naive, unit, series = self.component(k)
        return {
            "step": list(self.steps),
            "measures": measures(law, unit, series),
            "baseline": measures(naive, unit, series),
            "by_step": by_step(law, unit, series),
            "baseline_by_step": by_step(naive, unit, series),
        }


def _fields(law: Predictions) -> dict[str, Any]:
    """What any predictions hold."""
    return {field.name: getattr(law, field.name) for field in fields(Predictions)}


def _mean_of(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def compared(law: Predictions, encoder: Encoder, part: Part) -> Forecasts:
    """Predictions of a part's windows beside the seasonal naive forecast.

    Args:
        law: for the windows of `part`, perhaps of more steps.
        encoder: of a forecast.
        part: with targets.
    """
    windowing = encoder.windowing
    assert windowing is not None
    assert windowing.season is not None
    assert part.index is not None
    chunks = windowing.chunks
    rows = part.raw.rows
    last = part.raw.starts - chunks.targets[0] + chunks.inputs[1]
    place = part.index[:, 2] + chunks.inputs[1]
    ahead = np.array(law.steps) - chunks.inputs[1]
    naive = seasonal_naive(rows, last, place, ahead, windowing.season)
    codes = part.index[:, 0]
    unit = np.stack([_of_series(windowing.naive_error[name], codes) for name in encoder.outputs])
    back = np.arange(-min(PAST * len(ahead), int(place.max(initial=0)) + 1) + 1, 1)
    known = place[:, None] + back >= 0
    past = np.where(known[..., None], rows[np.maximum(last[:, None] + back, 0)], np.nan)
    networks = law.networks if isinstance(law, Forecasts) else len(law.mu)
    return Forecasts(**_fields(law), naive=naive, naive_error=unit.T, past=past, networks=networks)


PAST = 2
"""Horizons of the past that figures show before a forecast."""


def with_past(law: Forecasts, encoder: Encoder, part: Part, count: int) -> Forecasts:
    """The forecast of the rows after a part's windows, with the values before for figures.

    Args:
        law: the forecast.
        encoder: of the model.
        part: windows that have as many rows before their end.
        count: of values to show.
    """
    windowing = encoder.windowing
    assert windowing is not None
    assert part.index is not None
    past = np.full((len(part), count, len(encoder.outputs)), np.nan)
    back = np.arange(1 - count, 1)
    known = part.index[:, 2:] + back >= 0
    at = np.maximum(part.x.starts[:, None] + windowing.chunks.input_length - 1 + back, 0)
    for column in encoder.columns:
        if column.name in encoder.outputs and isinstance(column, NumberInput):
            center, scale = scaler_of(column, windowing.scalers, part.index[:, 0])
            values = part.x.rows[at, encoder.features.index(column.name)] * scale + center
            past[..., encoder.outputs.index(column.name)] = np.where(known, values, np.nan)
    return replace(law, past=past)


def _of_series(values: Floats, codes: Rows) -> Floats:
    """Values of series by number; 0 for those that the training data did not have."""
    new = np.zeros(max(0, int(codes.max(initial=-1)) + 1 - len(values)))
    return np.append(values, new)[codes]


def seasonal_naive(rows: Floats, last: Rows, place: Rows, ahead: Rows, season: int) -> Floats:
    """What was one season before, `(n, H * components)` step by step; NaN where nothing is known.

    Where that is missing, what was two seasons before, and so on.

    Args:
        rows: `(N, components)` values of all series.
        last: `(n,)` the row of the last known value.
        place: `(n,)` its place in its slice.
        ahead: `(H,)` how many rows later each target is.
        season: rows in a season; 1 takes the last value.
    """
    n, (H, C) = len(last), (len(ahead), rows.shape[1])
    found = np.full((n, H, C), np.nan)
    back = np.broadcast_to(season - 1 - (ahead - 1) % season, (n, H)).copy()
    while True:
        open_ = (back <= place[:, None])[..., None] & np.isnan(found)
        if not open_.any():
            return found.reshape(n, H * C)
        value = rows[np.maximum(last[:, None] - back, 0)]
        found = np.where(open_, value, found)
        back += season


def forecast(
    learners: Sequence[Learner],
    encoder: Encoder,
    part: Part,
    horizon: int,
    options: ForecastOptions,
    seed: int,
) -> Forecasts:
    """Forecast the rows after the windows of a part, feeding back what is predicted.

    Args:
        learners: the networks of the ensemble.
        encoder: of a forecast whose targets begin with the next row.
        part: n windows; inputs of rows to come are read from where their rows stand.
        horizon: rows to forecast.
        options: the group `forecast`.
        seed: of trajectories.

    Raises:
        NumericalError: a predicted moment is not finite.
    """
    windowing = encoder.windowing
    assert windowing is not None
    at_once = encoder.output_shape[0]
    needed = max(0, -(-horizon // at_once) - 1) * at_once
    tracks = any(learner.tracks for learner in learners)
    assert part.index is not None
    before = int(part.index[:, 2].max(initial=0)) if tracks else 0
    start = Continuation(encoder, part, needed, before)
    draws = options.feedback == "trajectories" and horizon > at_once
    count = -(-options.samples // len(learners)) if draws else 1
    laws = []
    for number, learner in enumerate(learners):
        rng = np.random.default_rng([seed, number]) if draws else None
        laws.append(_of_learner(learner, encoder, start.repeated(count), horizon, rng))
    # (networks * count, n, K): trajectories of one network stand together.
    mu, epistemic, noise = (
        np.concatenate([_trajectories_first(one[field], count) for one in laws])
        for field in range(3)
    )
    return Forecasts(
        encoder.outputs,
        replace(Places.of(part), clock=windowing.step),
        None,
        mu,
        epistemic,
        noise,
        tuple(range(1, horizon + 1)),
        networks=len(learners),
    )


def _of_learner(
    learner: Learner,
    encoder: Encoder,
    windows: Continuation,
    horizon: int,
    rng: np.random.Generator | None,
) -> tuple[Floats, Floats, Floats]:
    """Mean, epistemic and noise variance `(n, horizon * components)` of one network."""
    at_once, C = encoder.output_shape
    found = []
    for offset in range(0, horizon, at_once):
        ahead = windows.ahead(offset)
        (one,) = _predict(learner, ahead)
        mu = one.mu * ahead.scale + ahead.center
        epistemic = one.var_epistemic * ahead.scale**2 + ahead.var_center
        noise = one.var_noise * ahead.scale**2
        found.append((mu, epistemic, noise))
        if offset + at_once >= horizon:
            break
        shape = (len(mu), at_once, C)
        total = epistemic + noise
        if rng is None:
            windows.feed(offset, mu.reshape(shape), total.reshape(shape))
        else:
            drawn = mu + np.sqrt(total) * rng.standard_normal(mu.shape)
            windows.feed(offset, drawn.reshape(shape))
    parts = (np.concatenate(blocks, axis=1) for blocks in zip(*found, strict=True))
    mu, epistemic, noise = (values[:, : horizon * C] for values in parts)
    return mu, epistemic, noise


def _predict(learner: Learner, ahead: Ahead) -> list[Prediction]:
    certain = not ahead.var_x.rows.any()
    members = prediction.predict(
        [learner],
        ahead.x,
        rows=ahead.places[:, 2],
        index=ahead.places,
        continues=True,
        earliest=ahead.earliest,
        var_x=None if certain else ahead.var_x,
    )
    assert members is not None  # nothing asked it to pause
    return members


def _trajectories_first(values: Floats, count: int) -> Floats:
    """`(count, n, K)` of `(n * count, K)`."""
    return values.reshape(-1, count, values.shape[1]).swapaxes(0, 1)


def of_test_part(
    law: Predictions,
    learners: Sequence[Learner],
    encoder: Encoder,
    part: Part,
    options: ForecastOptions,
    seed: int,
) -> Forecasts:
    """The predictions of a test part: as they are where all steps are predicted at once, else fed.

    Args:
        law: predictions of the part's windows.
        learners: the networks of the ensemble.
        encoder: of the forecast.
        part: the test part; of several windows of a series the first is gone on from.
        options: the group `forecast`.
        seed: of trajectories.
    """
    if encoder.output_shape[0] >= options.horizon:
        return compared(law, encoder, part)
    assert part.index is not None
    order = np.lexsort((part.index[:, 2], part.index[:, 0]))
    first = order[np.append(True, np.diff(part.index[order, 0]) != 0)]
    windows = part.take(first)
    found = forecast(learners, encoder, windows, options.horizon, options, seed)
    at = windows.raw.starts[:, None] + np.arange(options.horizon)
    y = windows.raw.rows[at].reshape(len(first), -1)
    return compared(replace(found, y=y), encoder, windows)
