"""The tree of hierarchical softmax: its code, and probabilities that sum to one."""

from __future__ import annotations

import numpy as np
import pytest
from golden_replay import load

from tagi_cli import nn


def test_probabilities_sum_to_one_for_every_number_of_classes() -> None:
    rng = np.random.default_rng(0)
    for classes in range(2, 1001):
        tree = nn.HRCSoftmax(classes)
        probability = tree.probabilities(*rng.random((2, 2, tree.len)) * [[[2]], [[1]]])
        assert probability.shape == (2, classes)
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12, err_msg=str(classes))
        assert (probability > 0).all()


@pytest.mark.parametrize(
    ("classes", "length"),
    [(2, 1), (3, 3), (4, 3), (5, 6), (7, 7), (8, 7), (10, 11), (16, 15), (17, 20), (100, 102),
     (1000, 1001)],
)  # fmt: skip
def test_number_of_units_is_that_of_pytagi(classes: int, length: int) -> None:
    assert nn.HRCSoftmax(classes).len == length


def test_code_is_that_of_pytagi() -> None:
    _, z = load("hrc_mlp")
    obs, idx = nn.HRCSoftmax(10).encode(z["labels"][0])
    np.testing.assert_array_equal(obs, z["hrc_obs"])
    np.testing.assert_array_equal(idx, z["hrc_idx"])


@pytest.mark.parametrize("classes", [2, 3, 5, 10, 33])
def test_classes_have_their_own_paths_and_nodes_their_own_units(classes: int) -> None:
    """Walking down from the root by the observed bits reaches each class, and it alone."""
    tree = nn.HRCSoftmax(classes)
    nodes: dict[tuple[float, ...], int] = {}
    for obs, idx in zip(tree.obs, tree.idx, strict=True):
        for depth, unit in enumerate(idx):
            assert nodes.setdefault(tuple(obs[:depth]), unit) == unit
    assert len(set(nodes.values())) == len(nodes)
    assert len({tuple(obs) for obs in tree.obs}) == classes


def test_a_sure_unit_gives_a_sure_class() -> None:
    tree = nn.HRCSoftmax(10)
    obs, idx = tree.encode(np.array([7]))
    mu = np.zeros(tree.len)
    mu[idx[0] - 1] = 50 * obs[0]
    probability = tree.probabilities(mu, np.full(tree.len, 1e-6))
    np.testing.assert_allclose(probability[0], np.arange(10) == 7, atol=1e-12)


def test_too_few_or_broken_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 classes: at least 2"):
        nn.HRCSoftmax(1)
    with pytest.raises(ValueError, match=r"found 2\.5 classes, no whole number"):
        nn.HRCSoftmax(2.5)  # type: ignore[arg-type]
    assert nn.HRCSoftmax(np.int64(5)).classes == 5


@pytest.mark.parametrize(("mean", "variance"), [(np.nan, 1), (0, np.nan), (0, -1), (0.5, -0.05)])
def test_moments_that_are_none_are_no_vote_for_the_first_class(
    mean: float, variance: float
) -> None:
    """pytagi takes the largest of probabilities that are not numbers to be the first."""
    tree = nn.HRCSoftmax(10)
    mu, var = np.zeros((3, tree.len)), np.ones((3, tree.len))
    mu[1, 4], var[1, 4] = mean, variance
    with pytest.raises(ValueError, match=r"row 1, unit 5: N\(.*\) is no Gaussian"):
        tree.probabilities(mu, var)


def test_unknown_labels_and_sizes_are_refused() -> None:
    tree = nn.HRCSoftmax(10)
    with pytest.raises(ValueError, match="labels from 0 to 10: the classes are 0 to 9"):
        tree.encode([0, 10])
    with pytest.raises(ValueError, match=r"label 1\.5: classes are whole numbers"):
        tree.encode([0, 1.5])
    with pytest.raises(ValueError, match="12 means and 12 variances: 10 classes have 11 units"):
        tree.probabilities(np.zeros(12), np.ones(12))
