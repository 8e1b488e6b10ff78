"""Moments and innovations that users hold themselves."""

from __future__ import annotations

import numpy as np
import pytest

from tagi_cli.pytagi.nn.data_struct import BaseDeltaStates, BaseHiddenStates, HRCSoftmax


def test_new_states_are_zero_with_jacobian_one() -> None:
    states = BaseHiddenStates(8, 2)
    assert (states.size, states.block_size, states.actual_size) == (8, 2, 4)
    np.testing.assert_array_equal(states.mu_a, np.zeros(8))
    np.testing.assert_array_equal(states.var_a, np.zeros(8))
    np.testing.assert_array_equal(states.jcb, np.ones(8))
    assert states.get_name() == "BaseHiddenStates"
    empty = BaseDeltaStates()
    assert (empty.size, empty.block_size, empty.actual_size) == (0, 0, 0)
    assert empty.get_name() == "BaseDeltaStates"


def test_sizes_change_and_are_checked() -> None:
    deltas = BaseDeltaStates(4, 2)
    deltas.delta_mu = [1, 2, 3, 4]
    assert deltas.set_size(6, 3) == "6 values, 3 rows"
    np.testing.assert_array_equal(deltas.delta_mu, np.zeros(6))
    for size, rows in ((5, 2), (-1, 1), (4, -2)):
        with pytest.raises(ValueError, match="no whole number"):
            deltas.set_size(size, rows)
    with pytest.raises(ValueError, match="delta_var has 6 values, 2 were given"):
        deltas.delta_var = [1, 2]


def test_an_input_is_taken_over() -> None:
    states = BaseHiddenStates()
    states.set_input_x([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], 2)
    np.testing.assert_allclose(states.var_a, [0.1, 0.2, 0.3, 0.4])
    assert (states.block_size, states.actual_size) == (2, 2)
    states.set_input_x(np.ones(3), [], 3)
    np.testing.assert_array_equal(states.var_a, np.zeros(3))
    np.testing.assert_array_equal(states.jcb, np.ones(3))
    with pytest.raises(ValueError, match="3 means but 2 variances"):
        states.set_input_x(np.ones(3), np.ones(2), 3)


def test_innovations_are_copied_and_cleared() -> None:
    source, target = BaseDeltaStates(6, 2), BaseDeltaStates(4, 2)
    source.delta_mu, source.delta_var = np.arange(6), -np.arange(6)
    target.delta_mu = np.full(4, 9)
    target.copy_from(source, 2)
    np.testing.assert_array_equal(target.delta_mu, [0, 1, 9, 9])
    np.testing.assert_array_equal(target.delta_var, [0, -1, 0, 0])
    with pytest.raises(ValueError, match="3 values to copy: these states have 2 rows of 2"):
        target.copy_from(source, 3)
    with pytest.raises(ValueError, match="6 values to copy: the source has 6, these states 4"):
        target.copy_from(source)
    fresh = BaseDeltaStates()
    fresh.copy_from(source)
    np.testing.assert_array_equal(fresh.delta_mu, np.arange(6))
    fresh.reset_zeros()
    np.testing.assert_array_equal(fresh.delta_mu, np.zeros(6))
    assert source.delta_mu[5] == 5


def test_a_tree_can_be_filled_by_hand() -> None:
    tree = HRCSoftmax()
    tree.obs, tree.idx, tree.num_obs, tree.len = [1.0, -1.0], [1, 1], 1, 1
    assert (tree.obs, tree.idx, tree.num_obs, tree.len) == ([1.0, -1.0], [1, 1], 1, 1)
