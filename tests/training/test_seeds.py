"""Generators: one stream per purpose and member, whatever else is drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tagi_cli.training.seeds import Purpose, Seeds


@pytest.mark.parametrize("seed", [0, 12345])
def test_streams_are_those_of_spawned_sequences(seed: int) -> None:
    purposes = np.random.SeedSequence(seed).spawn(len(Purpose))
    for purpose in Purpose:
        for member, sequence in enumerate(purposes[purpose].spawn(3)):
            expected = np.random.default_rng(sequence).random(5)
            found = Seeds(seed).generator(purpose, member).random(5)
            np.testing.assert_array_equal(found, expected)


def test_all_streams_differ() -> None:
    streams = [
        Seeds(seed).generator(purpose, member).random(4)
        for seed, purpose, member in itertools.product((0, 1), Purpose, range(3))
    ]
    assert len({tuple(stream) for stream in streams}) == 2 * len(Purpose) * 3
