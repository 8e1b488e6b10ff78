"""A trained model, opened from its run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli.data import Encoder, Table
from tagi_cli.data.inputs import filled_notice
from tagi_cli.data.parts import Part
from tagi_cli.data.ranges import beyond_notices, means_of
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment import carried_states, forecasting, laws, tasks
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.laws import Law
from tagi_cli.experiment.members import MakeMember, backend_to_open
from tagi_cli.experiment.own_settings import settings_of
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Floats, Predictions
from tagi_cli.experiment.settings import Settings
from tagi_cli.training import checkpoint, prediction
from tagi_cli.training.interface import Learner, Values
from tagi_cli.training.resuming import split_members

if TYPE_CHECKING:
    from tagi_cli.experiment.continuing import Forecast
    from tagi_cli.experiment.explain.explanation import Explanation


class Moments(NamedTuple):
    """What a model says about n rows and K outputs, `(n, K)` each, in the units of the data."""

    mean: Floats
    """Mean of the predictive law."""
    sd_epistemic: Floats
    """Standard deviation that stems from what is not known of the network."""
    sd_noise: Floats
    """Standard deviation of the observation noise."""

    @property
    def sd(self) -> Floats:
        """Standard deviation of the predictive law: both parts together."""
        return np.hypot(self.sd_epistemic, self.sd_noise)


class Classes(NamedTuple):
    """What a model says about the classes of n rows."""

    names: tuple[str, ...]
    """The K classes."""
    probability: Floats
    """Of each class, `(n, K)`; rows sum to one."""
    sd_epistemic: Floats
    """Standard deviation of the probability that stems from what is not known of the network."""
    entropy: Floats
    """Of each row's probabilities, `(n,)`, nats."""
    entropy_epistemic: Floats
    """Its part that stems from what is not known of the network, `(n,)`."""

    @property
    def label(self) -> NDArray[np.str_]:
        """The most probable class of each row, `(n,)`."""
        best = self.probability.argmax(axis=1)
        return np.array([self.names[k] for k in best.tolist()], dtype=np.str_)


class Model:
    """An ensemble of trained networks that predicts in the units of the data.

    Attributes:
        inputs: names of the input columns, in the order that `predict` expects.
        outputs: names of the outputs; of a classification the one of its labels.
        classes: the labels of a classification, else None.
        settings: the settings of its run.
        learners: its networks.
        statistics: facts of each column in the rows that scalers come from, as in
            environment.json.
    """

    statistics: Sequence[Mapping[str, Any]] = ()

    def __init__(self, settings: Settings, encoder: Encoder, learners: Sequence[Learner]) -> None:
        self.settings = settings
        self.encoder = encoder
        self.inputs = encoder.inputs
        self.outputs = encoder.outputs
        self.classes = encoder.classes
        self.learners = learners

    def __repr__(self) -> str:
        inputs, outputs = listing(self.inputs, 6), listing(self.outputs, 6)
        return f"<tagi model of {len(self.learners)} networks: {inputs} -> {outputs}>"

    @classmethod
    def load(cls, run: str | Path, checkpoint: str = "best") -> Model:
        """Open the model of a run folder.

        Args:
            run: path of a run folder.
            checkpoint: `best`, `last`, or a checkpoint file or CSV folder.

        Raises:
            UserError: the folder or checkpoint is missing, damaged or of another version.
        """
        from tagi_cli.experiment.updating import statistics_of

        folder = RunFolder.open(run)
        model = cls._read(settings_of(folder), folder.checkpoint(checkpoint))
        model.statistics = statistics_of(folder)
        return model

    @classmethod
    def _read(cls, settings: Settings, path: Path) -> Model:
        tensors, metadata = checkpoint.read(path)
        try:
            encoder = Encoder.from_json(metadata["model"]["encoder"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: holds no encoder of its data ({error!r})") from None
        make = MakeMember(settings, encoder, backend_to_open(settings))
        # The values drawn here are replaced at once.
        learners = [make(i, np.random.default_rng(0)) for i in range(settings.ensemble.size)]
        try:
            for learner, state in zip(learners, split_members(tensors), strict=True):
                learner.load_state_dict(state)
        except (ValueError, KeyError) as error:
            raise UserError(
                f"{path}: does not fit the network of its run ({error}); name a checkpoint of this "
                "run"
            ) from None
        return cls(settings, encoder, learners)

    def predict(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Moments | Classes:
        """Moments of the outputs for new rows, or probabilities of their classes.

        Args:
            x: raw inputs in their original units: `(n, columns)` in the order of `inputs`, a
                mapping of names to `(n,)` values, or windows `(n, in_chunk, columns)`, which of a
                table are of one row.

        Returns:
            mean, epistemic and noise standard deviation, `(n, outputs)` each; of windows with
            several steps of output `(n, steps * outputs)`, step by step. For classes their
            probabilities `(n, K)`.

        Raises:
            UserError: another shape, a missing column or value, an unknown category.
        """
        law = self._predict_array(x)
        if isinstance(law, ClassPredictions):
            return Classes(
                law.classes, law.mean, law.sd_epistemic, law.entropy, law.entropy_epistemic
            )
        return Moments(law.mean, law.sd_epistemic, law.sd_noise)

    def quantile(self, x: ArrayLike | Mapping[str, ArrayLike], probability: float) -> Floats:
        """The value below which each output lies with the given probability, `(n, outputs)`.

        Raises:
            ValueError: the probability is not between 0 and 1.
            UserError: as in `predict`, or the outputs are classes.
        """
        if not 0 < probability < 1:
            raise ValueError(f"probability {probability}; allowed: above 0 and below 1")
        law = self._predict_array(x)
        if isinstance(law, ClassPredictions):
            raise UserError("classes have no quantiles; predict gives their probabilities")
        return law.quantile(probability)

    def _predict_array(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Law:
        if isinstance(x, Mapping):
            return self.predict_table(Table.from_columns(x, "input"))
        encoded = self.encoder.encode_array(x)
        return self._predict(encoded, Places(np.arange(len(encoded))), None, *self._scaler())

    def _scaler(self) -> tuple[Floats, Floats]:
        """Centre and scale of the targets `(1, K)`, where all examples share them."""
        encoder = self.encoder
        steps = 1 if encoder.classes is not None else encoder.output_shape[0]
        return np.tile(encoder.center_y, steps)[None], np.tile(encoder.scale_y, steps)[None]

    def predict_table(
        self, table: Table, notices: list[str] | None = None, *, targets: bool = True
    ) -> Law:
        """Predictions for all rows, or prediction points, of a table.

        Args:
            table: with the input columns.
            notices: collects remarks for the user.
            targets: whether to take along its targets, if it has any.

        Raises:
            UserError: a column is missing or does not fit.
        """
        encoder = self.encoder
        if notices is not None:
            notices += beyond_notices(self.statistics, means_of(table, encoder.inputs))
        if encoder.windowing is not None:
            part = encoder.windows(table, notices)
            if notices is not None:
                notices += carried_states.notices(self.learners, part)
            law = self.predict_part(part, continues=True)
            if not targets or not any(name in table.columns for name in self.outputs):
                return law.without_targets()
            return self.compared(law, part)
        law, filled = self.predict_rows(table, np.arange(len(table)), targets=targets)
        if filled and notices is not None:
            notices.append(filled_notice(filled))
        return law

    def predict_rows(
        self, table: Table, numbers: NDArray[np.int64], *, targets: bool = False
    ) -> tuple[Law, Counter[str]]:
        """Predictions for the rows of a plain table, and how many values of inputs were filled.

        Args:
            table: with the input columns.
            numbers: `(n,)` by which rows are called.
            targets: whether to take along its targets, if it has any.

        Raises:
            UserError: a column is missing or does not fit.
        """
        x, filled = self.encoder.encode_counting(table)
        y = self.encoder.raw_targets(table) if targets else None
        return self._predict(x, Places(numbers), y, *self._scaler()), filled

    def explain(
        self, x: ArrayLike | Mapping[str, ArrayLike] | Table, method: str = "auto"
    ) -> Explanation:
        """How the outputs move with the inputs, at some rows or prediction points.

        Args:
            x: raw inputs as in `predict`, or a table.
            method: `derivative`, `covariance` or `auto`; see `tagi explain`.

        Raises:
            UserError: as in `predict`; or these networks cannot be explained.
        """
        from tagi_cli.experiment.explain.explanation import explain

        if isinstance(x, Mapping):
            x = Table.from_columns(x, "input")
        part = self.part_of(x) if isinstance(x, Table) else self.encoder.examples(x)
        return explain(self, part, self.statistics, method=method)

    def part_of(self, table: Table, notices: list[str] | None = None) -> Part:
        """All rows, or prediction points, of a table as examples, without targets if it has none.

        Raises:
            UserError: a column is missing or does not fit.
        """
        encoder = self.encoder
        if encoder.windowing is not None:
            return encoder.windows(table, notices)
        x, filled = encoder.encode_counting(table)
        if filled and notices is not None:
            notices.append(filled_notice(filled))
        none = np.full((len(table), len(encoder.center_y)), np.nan)
        rows = np.arange(len(table))
        return Part(x, none, none, rows, encoder.center_y[None], encoder.scale_y[None])

    def forecast(
        self, horizon: int | None = None, table: Table | Mapping[str, ArrayLike] | None = None
    ) -> Forecast:
        """What comes after the end of each series, of a model that forecasts.

        Args:
            horizon: rows to forecast; None those of the run. Beyond the rows that the network
                predicts at once, its predictions are fed back, as the group `forecast` says.
            table: with the past of each series, as a mapping of columns; None takes the data of
                the run.

        Raises:
            UserError: the model is of another task; a column is missing, a series unknown or too
                short, or inputs of rows to come are needed and not given.
        """
        from tagi_cli.experiment.continuing import Forecast, continued

        horizon = self.settings.forecast.horizon if horizon is None else horizon
        given = Table.from_columns(table, "input") if isinstance(table, Mapping) else table
        return Forecast.of(continued(self, horizon, given, []))

    def compared(self, law: Law, part: Part, *, tested: bool = False) -> Law:
        """Predictions of a part, of a forecast beside the naive one; others as they are.

        Args:
            law: for the windows of `part`.
            part: with targets.
            tested: whether it is the test part, of which all steps of the horizon are forecast.
        """
        settings = self.settings
        if not tasks.forecasts(settings.task) or not isinstance(law, Predictions):
            return law
        if not tested:
            return forecasting.compared(law, self.encoder, part)
        return forecasting.of_test_part(
            law, self.learners, self.encoder, part, settings.forecast, settings.seed
        )

    def predict_part(self, part: Part, *, continues: bool = False) -> Law:
        """Predictions for examples that are encoded.

        Args:
            part: the examples.
            continues: whether networks that carry states go on from where training ended: of a part
                of the run's own data also through rows between, of a new table as far as its times
                tell that nothing lies between.

        Raises:
            NumericalError: a predicted moment is not finite; names the row.
        """
        index, earliest = part.index, None
        if continues and part.in_training is not None:
            index, earliest = part.in_training
        members = prediction.predict(
            self.learners,
            part.x,
            rows=part.rows,
            index=index,
            continues=continues,
            earliest=earliest,
        )
        assert members is not None  # nothing asked it to pause
        return laws.in_original_units(
            self.encoder,
            members,
            Places.of(part),
            part.target,
            part.center,
            part.scale,
            part.lengths,
        )

    def _predict(
        self, x: Values, places: Places, y: Floats | None, center: Floats, scale: Floats
    ) -> Law:
        members = prediction.predict(self.learners, x, rows=places.rows, index=places.index)
        assert members is not None  # nothing asked it to pause
        return laws.in_original_units(self.encoder, members, places, y, center, scale)
