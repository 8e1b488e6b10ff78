"""The states in which an LSTM starts a window: as configs describe them, and from Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tagi_cli.errors import UserError, nearest
from tagi_cli.nn.layers.recurrent import RANDOM_SPREAD
from tagi_cli.nn.network import Moments
from tagi_cli.options import option

INITIAL = ("zeros", "random")


@dataclass(frozen=True)
class InternalStateOptions:
    """The states before the first step of a window."""

    init_hidden_state: str | None = option(
        "zeros",
        "Hidden states of a row that continues no other. zeros (or null); random: means uniform on "
        "+-0.173, so of standard deviation 0.1, drawn anew for each row and batch in training from "
        "a counter that `seed` starts and that is saved; in prediction their variance instead.",
        choices=INITIAL,
    )
    init_cell_state: str | None = option(
        "zeros", "The same for cell states; both are of one kind.", choices=INITIAL
    )
    tracking: bool = option(
        False,
        "Whether a row of a batch starts from the states in which the row that it continues ended: "
        "the same instance and slice, one step earlier.",
    )

    @property
    def kind(self) -> str:
        """`zeros` or `random`."""
        return self.init_hidden_state or "zeros"

    def faults(self) -> list[str]:
        """Hidden and cell states are drawn together."""
        if self.kind == (self.init_cell_state or "zeros"):
            return []
        return [
            f"arch.internal_state: found init_hidden_state '{self.kind}' beside init_cell_state "
            f"'{self.init_cell_state or 'zeros'}'. Allowed: the same for both"
        ]


class InternalState:
    """Hidden and cell states of an LSTM before its next batch, as Gaussian moments.

    Args:
        width: units of each layer and direction.
        depth: number of layers.
        init_hidden_state: hidden states of rows that go on from no other. None or `zeros`: certain
            zeros; `random`: in training means drawn from the uniform distribution with mean zero
            and standard deviation 0.1, anew for each batch, in prediction that distribution's
            moments; or values, an array for certain ones or `(mean, variance)`, of a shape that
            broadcasts to `(d * depth, batch, width)`.
        init_cell_state: the same for cell states.
        track_hidden: whether a batch goes on from the states that the one before left, row by row.
        bidirect: whether each layer runs in both directions.
        seed: of the draws.

    Attributes:
        d: directions, 1 or 2.
        h0: moments of the hidden states, `(d * depth, batch, width)` each; of each layer the
            forward direction first. None before `initialize`.
        c0: the same of the cell states.
        tracking: whether states are kept from batch to batch.
        training: whether `random` draws.

    Raises:
        UserError: states of another kind or shape, or tracking in both directions.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        init_hidden_state: Any,
        init_cell_state: Any,
        *,
        track_hidden: bool,
        bidirect: bool,
        seed: int = 0,
    ) -> None:
        self.width = width
        self.depth = depth
        self.init_hidden_state = _checked("init_hidden_state", init_hidden_state)
        self.init_cell_state = _checked("init_cell_state", init_cell_state)
        self.tracking = track_hidden
        self.d = 2 if bidirect else 1
        self.training = True
        self.h0: Moments | None = None
        self.c0: Moments | None = None
        self._rng = np.random.default_rng(seed)
        if track_hidden and bidirect:
            raise UserError(
                "tracking: the backward states of a window come from its end, so there is nothing "
                "to track in both directions. Allowed: one of tracking and bidirectional"
            )

    def initialize(self, batch_size: int) -> None:
        """Set the states of a batch: those tracked, of as many rows as there are, then fresh ones.

        Raises:
            UserError: given states are of another shape.
        """
        kept = (self.h0, self.c0) if self.tracking else (None, None)
        self.h0 = self._start(batch_size, "init_hidden_state", self.init_hidden_state, kept[0])
        self.c0 = self._start(batch_size, "init_cell_state", self.init_cell_state, kept[1])

    def update(self, cn: Any, hn: Any) -> None:
        """Set the states that the next batch goes on from.

        Args:
            cn: cell states, `(mean, variance)`, `(d * depth, batch, width)` each.
            hn: hidden states.
        """
        self.c0, self.h0 = Moments(*cn), Moments(*hn)

    def reset(self) -> None:
        """Forget the states: the next batch starts anew."""
        self.h0 = self.c0 = None

    def _start(self, rows: int, name: str, kind: Any, kept: Moments | None) -> Moments:
        shape = (self.d * self.depth, rows, self.width)
        mu, var = np.zeros(shape), np.zeros(shape)
        if kind == "random" and self.training:
            limit = RANDOM_SPREAD * np.sqrt(3)
            mu = self._rng.uniform(-limit, limit, shape)
        elif kind == "random":
            var += RANDOM_SPREAD**2
        elif isinstance(kind, Moments):
            try:
                mu, var = (np.broadcast_to(part, shape).copy() for part in kind)
            except ValueError:
                raise UserError(
                    f"{name}: found an array of shape {kind.mu.shape}. Allowed: what broadcasts to "
                    f"{shape}, directions times depth, rows of the batch, width"
                ) from None
        if kept is not None:
            common = min(rows, kept.mu.shape[1])
            mu[:, :common], var[:, :common] = kept.mu[:, :common], kept.var[:, :common]
        return Moments(mu, var)


def _checked(name: str, kind: Any) -> str | Moments:
    """`zeros`, `random`, or moments."""
    if kind is None:
        return "zeros"
    if isinstance(kind, str):
        if kind not in INITIAL:
            raise UserError(
                f"{name}: found '{kind}'.{nearest(kind, INITIAL)} Allowed: None, "
                f"{', '.join(INITIAL)}, an array, or a pair of arrays (mean, variance)"
            )
        return kind
    mu, var = kind if isinstance(kind, tuple) else (kind, np.zeros(()))
    mu, var = np.asarray(mu, np.float64), np.asarray(var, np.float64)
    if not (np.isfinite(mu).all() and (var >= 0).all()):
        raise UserError(f"{name}: a mean is not finite, or a variance negative")
    return Moments(mu, np.broadcast_to(var, np.broadcast_shapes(mu.shape, var.shape)))
