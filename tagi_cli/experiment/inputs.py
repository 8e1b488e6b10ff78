"""Whether a network can take the values of its data, as opposed to their shape."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend import Backend
from tagi_cli.data import Dataset
from tagi_cli.experiment.members import MakeMember
from tagi_cli.experiment.settings import Settings
from tagi_cli.training.learner import Learner


def check_inputs(settings: Settings, dataset: Dataset, backend: Backend) -> None:
    """Show all rows to the first layer of the network that `settings` describe.

    Raises:
        UserError: it cannot take a value, such as an id outside a table.
    """
    member = MakeMember(settings, dataset.encoder, backend)(0, np.random.default_rng(0))
    if isinstance(member, Learner):
        for part in (dataset.train, dataset.valid, dataset.test):
            member.check_inputs(part.x)
