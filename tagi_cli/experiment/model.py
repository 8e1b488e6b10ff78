"""A trained model, opened from its run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tagi_cli import config
from tagi_cli.data import Encoder, Table
from tagi_cli.errors import UserError, listing
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.members import MakeMember, backend_to_open
from tagi_cli.experiment.predictions import Floats, Predictions
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.training import checkpoint, prediction
from tagi_cli.training.interface import Learner, Prediction

MEMBER = "member."
"""What the names of the tensors of a network begin with, before its number in the ensemble."""


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


class Model:
    """An ensemble of trained networks that predicts in the units of the data.

    Attributes:
        inputs: names of the input columns, in the order that `predict` expects.
        outputs: names of the outputs.
        settings: the settings of its run.
        learners: its networks.
    """

    def __init__(self, settings: Settings, encoder: Encoder, learners: Sequence[Learner]) -> None:
        self.settings = settings
        self.encoder = encoder
        self.inputs = encoder.inputs
        self.outputs = encoder.outputs
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
        folder = RunFolder.open(run)
        return cls._read(
            config.load(Settings, registries(), folder.config), folder.checkpoint(checkpoint)
        )

    @classmethod
    def _read(cls, settings: Settings, path: Path) -> Model:
        tensors, metadata = checkpoint.read(path)
        try:
            encoder = Encoder.from_json(metadata["model"]["encoder"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: holds no encoder of its data ({error!r})") from None
        make = MakeMember(settings, encoder, backend_to_open(settings))
        learners = []
        for member in range(settings.ensemble.size):
            # The values drawn here are replaced at once.
            learner = make(member, np.random.default_rng(0))
            prefix = f"{MEMBER}{member}."
            state = {
                name.removeprefix(prefix): array
                for name, array in tensors.items()
                if name.startswith(prefix)
            }
            try:
                learner.load_state_dict(state)
            except (ValueError, KeyError) as error:
                raise UserError(
                    f"{path}: does not fit the network of its run ({error}); name a checkpoint of "
                    "this run"
                ) from None
            learners.append(learner)
        return cls(settings, encoder, learners)

    def predict(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Moments:
        """Moments of the outputs for new rows.

        Args:
            x: raw inputs in their original units: `(n, columns)` in the order of `inputs`, a
                mapping of names to `(n,)` values, or windows `(n, in_chunk, columns)`, which of a
                table are of one row.

        Returns:
            mean, epistemic and noise standard deviation, `(n, outputs)` each.

        Raises:
            UserError: another shape, a missing column or value, an unknown category.
        """
        law = self._predict_array(x)
        return Moments(law.mean, law.sd_epistemic, law.sd_noise)

    def quantile(self, x: ArrayLike | Mapping[str, ArrayLike], probability: float) -> Floats:
        """The value below which each output lies with the given probability, `(n, outputs)`.

        Raises:
            ValueError: the probability is not between 0 and 1.
            UserError: as in `predict`.
        """
        if not 0 < probability < 1:
            raise ValueError(f"probability {probability}; allowed: above 0 and below 1")
        return self._predict_array(x).quantile(probability)

    def _predict_array(self, x: ArrayLike | Mapping[str, ArrayLike]) -> Predictions:
        if isinstance(x, Mapping):
            encoded = self.encoder.encode(Table.from_columns(x, "input"))
        else:
            encoded = self.encoder.encode_array(x)
        return self.predict_encoded(encoded, np.arange(len(encoded)), None)

    def predict_encoded(
        self, x: NDArray[Any], rows: NDArray[np.int64], y: Floats | None
    ) -> Predictions:
        """Predictions for encoded inputs `x (n, features)`; `rows`, `y` are passed on.

        Raises:
            NumericalError: a predicted moment is not finite; names the row by its number in `rows`.
        """
        members = prediction.predict(self.learners, x, rows=rows)
        assert members is not None  # nothing asked it to pause
        return in_original_units(self.encoder, members, rows, y)


def in_original_units(
    encoder: Encoder,
    members: Sequence[Prediction],
    rows: NDArray[np.int64],
    y: Floats | None,
) -> Predictions:
    """The members' predictions, made in scaled units, in those of the data."""
    center, scale = encoder.center_y, encoder.scale_y
    mu = np.stack([member.mu for member in members]) * scale + center
    epistemic = np.stack([member.var_epistemic for member in members]) * scale**2
    noise = np.stack([member.var_noise for member in members]) * scale**2
    return Predictions(encoder.outputs, rows, y, mu, epistemic, noise)
