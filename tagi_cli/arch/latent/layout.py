"""Which columns make up the groups of a latent regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagi_cli.arch.latent.options import LatentRegressionOptions
from tagi_cli.arch.latent.structure import Groups
from tagi_cli.errors import UserError, UserErrors, listing, nearest

Host = np.ndarray[Any, Any]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where the variables of each group stand in an encoded row or window, and in its targets.

    Attributes:
        groups: sizes.
        inputs: for each input group the columns among the features, `(d_in,)`.
        lags: of each input group, rows back.
        outputs: for each output group the columns among the targets, `(d_out,)`.
        features: number of features of a row.
        steps: rows of a window.
        subjects: names of the subjects that rows are of; empty where all are of one.
        marks: the feature of each subject, which is 1 in its rows and else 0.
    """

    groups: Groups
    inputs: tuple[Index, ...]
    lags: tuple[int, ...]
    outputs: tuple[Index, ...]
    features: int
    steps: int
    subjects: tuple[str, ...] = ()
    marks: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        options: LatentRegressionOptions,
        features: Sequence[str],
        outputs: Sequence[str],
        window: tuple[int, int] = (0, 0),
        subject: str | None = None,
    ) -> Layout:
        """The layout for data.

        Args:
            options: the groups.
            features: names of the features of a row; categories of column c are `c=...`.
            outputs: names of the targets.
            window: first and last row of a window, counted from the row predicted.
            subject: the column that names the subject of a row; None where all are of one.

        Raises:
            UserErrors: a pattern that no column matches, a lag beyond the window, a target in no
                group or in two, or groups of different sizes that are coupled directly.
        """
        faults: list[str] = []
        prefix = f"{subject}="
        marks = [i for i, name in enumerate(features) if subject and name.startswith(prefix)]
        columns = [
            None if i in marks else name.partition("=")[0] for i, name in enumerate(features)
        ]
        found_in = [
            _matching(f"arch.inputs.{name}.columns", group.columns, columns, "input", faults)
            for name, group in options.inputs.items()
        ]
        found_out = [
            _matching(f"arch.outputs.{name}.columns", group.columns, outputs, "target", faults)
            for name, group in options.outputs.items()
        ]
        first, last = window
        for name, group in options.inputs.items():
            if not first <= -group.lag <= last:
                faults.append(
                    f"arch.inputs.{name}.lag: found {group.lag}, but rows {first} to {last} are "
                    f"seen (data.in_chunk). Allowed: {max(-last, 0)} to {-first}"
                )
        if not faults:
            faults += _shared(list(options.outputs), found_out, outputs)
        names_in, names_out = list(options.inputs), list(options.outputs)
        pairs = tuple((names_in.index(g), names_out.index(h)) for g, h in options.direct)
        for i, (g, h) in enumerate(pairs):
            if not faults and len(found_in[g]) != len(found_out[h]):
                faults.append(
                    f"arch.direct.{i}: found [{names_in[g]}, {names_out[h]}], of "
                    f"{len(found_in[g])} and {len(found_out[h])} variables. Allowed: groups of one "
                    "size"
                )
        if faults:
            raise UserErrors(faults)
        groups = Groups(
            tuple(len(index) for index in found_in),
            tuple(len(index) for index in found_out),
            tuple(group.latents for group in options.inputs.values()),
            tuple(group.latents for group in options.outputs.values()),
            pairs,
        )
        rows = tuple(-group.lag - first for group in options.inputs.values())
        placed = tuple(
            row * len(features) + index for row, index in zip(rows, found_in, strict=True)
        )
        lags = tuple(group.lag for group in options.inputs.values())
        return cls(
            groups,
            placed,
            lags,
            tuple(found_out),
            len(features),
            last - first + 1,
            tuple(features[i].removeprefix(prefix) for i in marks),
            tuple(marks),
        )

    def unused(self) -> list[int]:
        """The features of a row that no input group looks at, and that mark no subject."""
        used = {int(i) % self.features for index in self.inputs for i in index}
        return [i for i in range(self.features) if i not in used and i not in self.marks]

    def subject_of(self, x: Any) -> Index:
        """Number of the subject of each row or window, `(n,)`; 0 where all are of one.

        Raises:
            UserError: a row is of no subject, or of several.
        """
        if not self.subjects:
            return np.zeros(len(x), np.int64)
        # Padding shows no subject, and at least one row of a window is none.
        rows = np.asarray(x).reshape(len(x), self.steps, self.features)
        shown = (rows[:, :, self.marks] > 0).any(axis=1)
        if (shown.sum(axis=1) != 1).any():
            raise UserError(
                "data.instance: a row is of no subject, or of several. Allowed: one of "
                f"{listing(self.subjects)}"
            )
        return np.asarray(shown.argmax(axis=1), np.int64)

    def rows(self, x: Any) -> Host:
        """Variables of all input groups side by side, `(n, I)`, of rows or windows `x`."""
        array = np.asarray(x)
        return array.reshape(len(array), -1)[:, np.concatenate(self.inputs)]

    def targets(self, y: Any) -> Host:
        """Variables of all output groups side by side, `(n, K)`, of targets in their order."""
        array = np.asarray(y)
        return array.reshape(len(array), -1)[:, np.concatenate(self.outputs)]

    def in_order(self, y: Host) -> Host:
        """Targets `(..., K)` in their order, from output groups side by side."""
        return y[..., np.argsort(np.concatenate(self.outputs))]


def _matching(
    where: str,
    patterns: Sequence[str],
    columns: Sequence[str | None],
    what: str,
    faults: list[str],
) -> Index:
    """Places of the columns that patterns name; None is a column that no pattern takes."""
    found: dict[int, None] = {}
    names = [name for name in columns if name is not None]
    for pattern in patterns:
        hits = [i for i, name in enumerate(columns) if name == pattern]
        hits = hits or [
            i for i, name in enumerate(columns) if name is not None and fnmatchcase(name, pattern)
        ]
        if not hits:
            faults.append(
                f"{where}: no {what} '{pattern}'.{nearest(pattern, names)} Columns: "
                f"{listing(list(dict.fromkeys(names)), 30)}"
            )
        found.update(dict.fromkeys(hits))
    return np.array(list(found), np.int64)


def _shared(groups: Sequence[str], found: Sequence[Index], names: Sequence[str]) -> list[str]:
    """Faults of targets that are in no group or in several."""
    faults = []
    for k, name in enumerate(names):
        holders = [group for group, index in zip(groups, found, strict=True) if k in index]
        if not holders:
            faults.append(
                f"arch.outputs: the target '{name}' is in no group. Allowed: in one, or left out "
                "of data.out_components"
            )
        if len(holders) > 1:
            faults.append(
                f"arch.outputs: the target '{name}' is in the groups {listing(holders)}. Allowed: "
                "in one"
            )
    return faults
