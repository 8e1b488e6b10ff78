"""Rows of a table of Gaussian vectors, picked by ids."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def _valid(ids: Array, V: int) -> Array:
    """Which ids lie in the table."""
    valid: Array = (ids >= 0) & (ids < V)
    return valid


def embedding_forward(
    mu_z: Array,
    var_z: Array,
    ids: Array,
    mu_w: Array,
    var_w: Array,
    padding: int,
    n: int,
    V: int,
    D: int,
) -> None:
    """Moments of row `ids[r]` of the table `(V, D)` for each of `n` ids, `(n, D)`.

    An id outside the table gives NaN, `padding` (-1: none) zeros.
    """
    flat = ids.reshape(n)
    valid = _valid(flat, V)
    index = np.where(valid, flat, 0).astype(np.int64)
    for out, table in ((mu_z, mu_w), (var_z, var_w)):
        rows = out.reshape(n, D)
        np.take(table, index, axis=0, out=rows, mode="clip")
        rows[index == padding] = 0
        rows[~valid] = np.nan


def embedding_innovation(
    G: Array,
    L: Array,
    ids: Array,
    d_mu_z: Array,
    d_var_z: Array,
    padding: int,
    n: int,
    V: int,
    D: int,
    accumulate: int,
) -> None:
    """Sums of the innovations of all uses of each row: `cov(w, z) = var_w`."""
    flat = ids.reshape(n)
    used = _valid(flat, V) & (flat != padding)
    index = flat[used].astype(np.int64)
    for out, d in ((G, d_mu_z), (L, d_var_z)):
        if not accumulate:
            out.fill(0)
        np.add.at(out, index, d.reshape(n, D)[used])
