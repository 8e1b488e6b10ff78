"""Learners whose networks carry no states from row to row."""

from __future__ import annotations

from collections.abc import Callable

from tagi_cli.training.interface import Indices, Prediction, Values


class Stateless:
    """What `training.interface.Learner` asks for on states, where there are none."""

    tracks = False

    def predict_along(
        self,
        x: Values,
        index: Indices | None,
        pause: Callable[[], bool] = lambda: False,
        *,
        continues: bool = False,
        earliest: Indices | None = None,
        var_x: Values | None = None,
    ) -> Prediction | None:
        """No states are carried.

        Raises:
            ValueError: always.
        """
        raise ValueError("the network does not track its states")
