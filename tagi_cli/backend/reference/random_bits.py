"""Random numbers as a function of a seed, the number of the batch and an element."""

from __future__ import annotations

import numpy as np

from tagi_cli.backend.base import Array


def _scramble(x: Array) -> Array:
    """A bijection of 32-bit words whose output bits each depend on all input bits."""
    x = x ^ (x >> np.uint32(16))
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def random_bits(generator: Array, first: int, n: int) -> Array:
    """`n` integers, uniform in `0 ... 2^24 - 1`: the same on every backend and in any order.

    `generator` holds (int32) a seed and the number of the batch, of which these are the elements
    from `first` on.
    """
    return random_bits_of(
        generator, np.arange(n, dtype=np.uint32) + np.array(first).astype(np.uint32)
    )


def random_bits_of(generator: Array, elements: Array) -> Array:
    """The same for these elements (uint32)."""
    seed, step = (generator[k : k + 1].astype(np.uint32) for k in (0, 1))
    stream = _scramble(step + _scramble(seed))
    return _scramble(elements ^ stream) >> np.uint32(8)
