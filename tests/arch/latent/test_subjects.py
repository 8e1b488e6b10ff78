"""Several subjects with one map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from shared_map import D_IN, D_OUT, NOISE, Subject, draw_subjects

from tagi_cli import nn
from tagi_cli.arch.latent.fitting import Setting
from tagi_cli.arch.latent.subjects import fit_subjects
from tagi_cli.arch.latent_regression import SharedMLatentRegModel


def rmse(subject: Subject, made: SharedMLatentRegModel) -> float:
    return float(np.sqrt(((made.forward([subject.x_new])[0] - subject.y_new) ** 2).mean()))


def model(shared: nn.Layer, seed: int) -> SharedMLatentRegModel:
    return SharedMLatentRegModel(
        [D_IN], [D_OUT], [2], [2], None, shared, [None], use_offsets=True, seed=seed
    )


def network() -> nn.Layer:
    return nn.Sequential(nn.Linear(0, 30), nn.MixtureReLU(), nn.Linear(0, 2))


def fit(subjects: Sequence[Subject], seed: int, **options: Any) -> list[SharedMLatentRegModel]:
    shared = network()
    models = [model(shared, 10 * seed + i) for i in range(len(subjects))]
    given = {"batch_size": 16, "epochs": 20} | options
    fit_subjects(models, [[s.x] for s in subjects], [[s.y] for s in subjects], **given)
    return models


@pytest.mark.slow
def test_alignment_helps_a_small_subject_and_leaves_the_others() -> None:
    """Subjects of 3000, 3000 and 250 rows; the median over five seeds of the small one's gain."""
    gains = []
    for seed in range(5):
        subjects = draw_subjects(seed, (3000, 3000, 250))
        options: dict[str, Any] = {"mode": "align-chain", "restarts": 8, "epochs": 15}
        models = fit(subjects, seed, **options)
        (first,) = fit(subjects[:1], seed, **options)
        assert rmse(subjects[0], models[0]) < 1.05 * rmse(subjects[0], first)
        assert rmse(subjects[1], models[1]) < 1.05 * NOISE
        alone, small = model(network(), 100 + seed), subjects[2]
        alone.fit([small.x], [small.y], 16, 16, epochs=15, restarts=8)
        gains.append(rmse(small, alone) / rmse(small, models[2]))
    assert np.median(gains) > 1.01


def test_a_plain_chain_harms_the_first_subject() -> None:
    """Which is why it is refused unless damage is allowed."""
    subjects = draw_subjects(2, (1000, 1000))
    with pytest.raises(ValueError, match=r"worse. Allowed: interleave"):
        fit(subjects, 0, mode="chain")
    models = fit(subjects, 0, mode="chain", damage=True)
    alone = fit(subjects[:1], 0, mode="chain", damage=True)
    assert rmse(subjects[0], models[0]) > 1.1 * rmse(subjects[0], alone[0])


def test_interleaving_serves_all_subjects() -> None:
    subjects = draw_subjects(0, (1000, 1000, 400))
    models = fit(subjects, 0, restarts=6)
    for subject, made in zip(subjects, models, strict=True):
        assert rmse(subject, made) < 1.2 * NOISE
    shared = [made.shared_m_parameters() for made in models]
    for other in shared[1:]:
        for a, b in zip(shared[0], other, strict=True):
            np.testing.assert_array_equal(a.mu, b.mu)


def test_error_variances_start_from_those_of_the_subject() -> None:
    (subject,) = draw_subjects(0, (50,))
    made = model(network(), 0)
    made.begin([subject.x], [subject.y], Setting(batch_size=10, iterations=1))
    (psi,) = made.moments("psi")
    assert psi is not None
    np.testing.assert_allclose(psi.mu, subject.y.var(axis=0), rtol=1e-5)


def test_a_fit_can_be_repeated() -> None:
    subjects = draw_subjects(1, (60, 25))
    for mode in ("interleave", "align-chain"):
        fits = [fit(subjects, 3, mode=mode, epochs=2, restarts=2) for _ in range(2)]
        for a, b in zip(*fits, strict=True):
            for first, second in zip(a.parameters(), b.parameters(), strict=True):
                np.testing.assert_array_equal(first.mu, second.mu)
                np.testing.assert_array_equal(first.var, second.var)


def test_without_release_the_map_is_that_of_the_first() -> None:
    subjects = draw_subjects(1, (60, 40))
    maps = []
    for count, release in ((1, 1), (2, 0), (2, 1)):
        models = fit(subjects[:count], 3, mode="align-chain", epochs=2, release=release)
        maps.append(np.array(models[0].shared_m_parameters()[0].mu))
    np.testing.assert_array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[1], maps[2])


def test_what_cannot_be_done_is_refused() -> None:
    subjects = draw_subjects(1, (20, 20))
    x, y = [[s.x] for s in subjects], [[s.y] for s in subjects]
    shared = network()
    same, other = [model(shared, i) for i in range(2)], model(network(), 3)
    for models, options, text in (
        (same, {"mode": "product"}, "mode: found 'product'. Allowed: interleave, align-chain"),
        (same[:1], {}, "1 models, inputs of 2, outputs of 2 subjects"),
        ([same[0], other], {}, "with the same layer as shared_m"),
        (same, {"restarts": 0}, "restarts: found 0"),
        (same, {"release": -1}, "release: found -1"),
        (same, {"epochs": 0}, "epochs: found 0"),
    ):
        with pytest.raises(ValueError, match=r"found|models") as caught:
            fit_subjects(models, x, y, **options)
        assert text in str(caught.value)
