"""What callers ask for, checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.shrinkage import Lasso, Shrinkage
from tagi_cli.arch.latent.structure import Groups

Host = np.ndarray[Any, Any]

INITS = ("tagi", "janelia")
CONVENTIONS = ("code", "docs")


def is_janelia(init: str, sc_std: float, noise_range: Sequence[float]) -> bool:
    """Whether the initial values are the original's.

    Raises:
        ValueError: unknown, or options given that mean nothing then.
    """
    if init not in INITS:
        raise ValueError(f"init: found '{init}'. Allowed: {', '.join(INITS)}")
    if init == "tagi" and (sc_std != 0.01 or list(noise_range) != [0.1, 0.2]):
        raise ValueError("sc_std and noise_range mean something with init='janelia' only")
    if not 0 < noise_range[0] <= noise_range[1]:
        raise ValueError(f"noise_range: found {list(noise_range)}. Allowed: 0 < low <= high")
    return init == "janelia"


def flags(name: str, given: bool | Sequence[bool], count: int) -> list[bool]:
    """One flag for each of `count` tensors.

    Raises:
        ValueError: a list of another length.
    """
    if isinstance(given, bool | np.bool_):
        return [bool(given)] * count
    if len(given) != count:
        raise ValueError(f"{name}: found {len(given)} flags. Allowed: one, or {count}")
    return [bool(flag) for flag in given]


def joined(name: str, arrays: Sequence[Any], sizes: Sequence[int]) -> Host:
    """Groups of variables side by side, `(n, sum(sizes))`.

    Raises:
        ValueError: the wrong number of groups, or an array of the wrong shape.
    """
    if not isinstance(arrays, list | tuple) or len(arrays) != len(sizes):
        found = (
            f"{len(arrays)} arrays" if isinstance(arrays, list | tuple) else type(arrays).__name__
        )
        raise ValueError(f"{name}: found {found}. Allowed: a list of {len(sizes)}, one per group")
    made = [_numbers(a) for a in arrays]
    for g, (array, size) in enumerate(zip(made, sizes, strict=True)):
        if array.ndim != 2 or array.shape[1] != size or len(array) != len(made[0]):
            raise ValueError(f"{name}[{g}]: found {array.shape}. Allowed: ({len(made[0])}, {size})")
    for g, array in enumerate(made):
        if np.isinf(array).any():
            row, column = (int(i) for i in np.argwhere(np.isinf(array))[0])
            raise ValueError(
                f"{name}[{g}]: row {row}, column {column} is {array[row, column]}. Allowed: finite "
                "numbers, and NaN where one is missing"
            )
    return made[0] if len(made) == 1 else np.concatenate(made, axis=1)


def _numbers(array: Any) -> Host:
    """An array of floating-point numbers; one that is so already is not copied."""
    array = np.asarray(array)
    floating = np.issubdtype(array.dtype, np.floating)
    return array if floating else np.asarray(array, np.float64)


def check_unused(layers: Iterable[nn.Layer | None]) -> None:
    """Make sure that layers are no part of a network yet.

    Raises:
        ValueError: one is.
    """
    for layer in layers:
        if layer is not None and layer.input_shape is not None:
            raise ValueError(
                f"{layer.describe()} already belongs to a network; give each model layers of its "
                "own, or share them by SharedMLatentRegModel"
            )


def known(name: str, rows: Host, sizes: Sequence[int]) -> None:
    """Make sure that no value is missing in groups side by side.

    Raises:
        ValueError: naming the first one.
    """
    missing = np.argwhere(np.isnan(rows))
    if len(missing):
        row, column = (int(i) for i in missing[0])
        ends = np.cumsum(sizes)
        g = int(np.searchsorted(ends, column, side="right"))
        within = column - int(ends[g]) + sizes[g]
        raise ValueError(f"{name}[{g}]: row {row}, column {within} is NaN. Allowed: numbers")


def check_sizes(rows: int, batch_size: int, send_size: int | None) -> None:
    """Make sure that batches and chunks can be made.

    Raises:
        ValueError: sizes are too large, or not positive.
    """
    if not 1 <= batch_size <= rows:
        raise ValueError(f"batch_size: found {batch_size}. Allowed: 1 to {rows}, the rows given")
    if send_size is not None and not 1 <= send_size <= batch_size:
        raise ValueError(f"send_size: found {send_size}. Allowed: 1 to batch_size, {batch_size}")


def check_original(learning_rates: Any, adam_params: Mapping[str, Any]) -> None:
    """Refuse settings of gradient descent.

    Raises:
        ValueError: saying what there is instead.
    """
    if learning_rates != 0.01:
        raise ValueError(
            "learning_rates: closed-form inference has no learning rate, each step is as long as "
            "the posterior says. Leave it out; damping='full' makes the first steps cautious"
        )
    if adam_params:
        raise ValueError(
            f"adam_params: found {dict(adam_params)}. There is no Adam here: posteriors are in "
            "closed form. Leave it out"
        )


def lassos(
    name: str,
    lambdas: Sequence[float | None] | None,
    shapes: Sequence[tuple[int, ...]],
    rows: int,
    convention: str,
) -> list[Shrinkage | None]:
    """Shrinkage in place of l1 penalties, one for each group.

    A penalty on the mean negative log-likelihood of N rows is a Laplace prior of rate N lambda; the
    original's code takes the mean of the entries, its documentation their sum.

    Raises:
        ValueError: wrong number of penalties, a negative one, or an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"l1_convention: found '{convention}'. Allowed: {', '.join(CONVENTIONS)}")
    if lambdas is None:
        return [None] * len(shapes)
    if len(lambdas) != len(shapes):
        raise ValueError(f"{name}: found {len(lambdas)} penalties. Allowed: {len(shapes)}")
    warnings.warn(
        f"{name}: penalties become Laplace priors, renewed after each pass (shrinkage); no entry "
        "gets exactly zero",
        UserWarning,
        stacklevel=3,
    )
    made: list[Shrinkage | None] = []
    for value, shape in zip(lambdas, shapes, strict=True):
        if value is not None and value < 0:
            raise ValueError(f"{name}: found {value:g}. Allowed: from 0")
        divisor = np.prod(shape) if convention == "code" else 1
        made.append(Lasso(rows * value / float(divisor)) if value else None)
    return made


def shrinkages(
    given: Mapping[str, Shrinkage] | None, groups: Groups
) -> dict[str, list[Shrinkage | None]]:
    """Shrinkage of each p and u.

    Raises:
        ValueError: asked for something else.
    """
    counts = {"p": len(groups.d_in), "u": len(groups.d_out)}
    for role in given or {}:
        if role not in counts:
            raise ValueError(f"shrinkage: found '{role}'. Allowed: {', '.join(counts)}")
    return {role: [(given or {}).get(role)] * count for role, count in counts.items()}


def iterations(rows: int, batch_size: int, max_its: int, epochs: int | None) -> int:
    """Number of batches to learn.

    Raises:
        ValueError: it is not positive.
    """
    name, value = ("max_its", max_its) if epochs is None else ("epochs", epochs)
    if value < 1:
        raise ValueError(f"{name}: found {value}. Allowed: at least 1")
    return max_its if epochs is None else epochs * -(-rows // max(batch_size, 1))
