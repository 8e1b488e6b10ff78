"""The LSTM for use from Python: what it gives back, its states, and what it refuses."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

from tagi_cli import nn
from tagi_cli.arch import lstm
from tagi_cli.arch.lstm import InternalState, Model
from tagi_cli.backend import select
from tagi_cli.errors import UserError

B, T, C = 4, 5, 3


def model(
    task: str = "regression", arch_args: Any = None, internal_state: Any = None, **options: Any
) -> Model:
    dims = [T, C], [1, 3] if task == "classification" else [2, 3]
    backend = select(kernels="numpy", precision="float64")
    return Model(*dims, task, {"width": 6} | (arch_args or {}), internal_state,
                 backend=backend, **options)  # fmt: skip


def windows(seed: int = 1, rows: int = B) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, T, C))


def test_names_and_defaults_are_those_of_knowit() -> None:
    signature = inspect.signature(Model)
    named = [p for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert [(p.name, p.default) for p in named] == [
        ("input_dim", inspect.Parameter.empty), ("output_dim", inspect.Parameter.empty),
        ("task_name", inspect.Parameter.empty), ("arch_args", None), ("internal_state", None),
    ]  # fmt: skip
    states = inspect.signature(InternalState).parameters
    assert list(states)[:4] == ["width", "depth", "init_hidden_state", "init_cell_state"]
    assert all(states[name].kind is inspect.Parameter.KEYWORD_ONLY
               for name in ("track_hidden", "bidirect"))  # fmt: skip
    defaults = lstm.ArchArgs()
    assert (defaults.depth, defaults.bidirectional, defaults.output_activation) == (1, False, None)
    assert not lstm.Internal().tracking


def test_the_output_has_the_shape_of_the_task() -> None:
    made = model()
    mu, var = made.forward(windows())
    assert mu.shape == var.shape == (B, 2, 3)
    assert (var > 0).all()
    assert (made.input_size, made.model_out_dim, made.final_out_shape) == (C, 6, [2, 3])
    p, var = model("classification").forward(windows(rows=2))
    assert p.shape == var.shape == (2, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_it_is_the_network_that_its_options_describe() -> None:
    words = {"depth": 2, "bidirectional": True, "dropout": 0.3, "output_activation": "tanh"}
    made = model(arch_args=words, seed=3)
    layer = nn.LSTM(0, 6, depth=2, bidirectional=True, dropout=0.3)
    want = nn.Network(
        nn.Sequential(layer, nn.Linear(0, 6), nn.Tanh()), (T, C), rng=np.random.default_rng(3),
        backend=made.network.backend,
    )  # fmt: skip
    for mine, other in zip(made(windows()), want(windows()), strict=True):
        np.testing.assert_array_equal(mine.reshape(B, 6), other)
    assert made.lstm_layers.bidirectional
    assert [type(part).__name__ for part in made.model_output] == ["Linear", "Tanh"]


def test_it_learns_numbers_and_classes() -> None:
    x = windows(rows=40)
    regression, y = model(), np.repeat(x[:, :2, :1], 3, axis=2)
    y[::5] = np.nan
    known = ~np.isnan(y)
    before = np.square(regression(x).mu - y)[known].mean()
    for _ in range(10):
        regression.forward(x)
        regression.learn(y, sigma_v=0.2)
    assert np.square(regression(x).mu - y)[known].mean() < 0.2 * before
    label = (x[:, 0, 0] > 0).astype(float) + (x[:, 0, 0] > 1)
    for words in ({}, {"output_activation": "remax"}):
        classes = model("classification", words)
        for step in range(30):
            classes.forward(x)
            classes.learn(label if step % 2 else np.eye(3)[label.astype(int)])
        assert (classes(x).mu.argmax(axis=1) == label).mean() >= 0.9


def test_growing_and_shrinking_batches_keep_what_was_learnt() -> None:
    x = windows(rows=9)
    one, many = model(), model()
    for rows in (2, 9, 1):
        for made in (one, many):
            made.forward(x[:2])
            made.learn(np.ones((2, 2, 3)), sigma_v=0.5)
        many.forward(x[:rows])
    np.testing.assert_array_equal(one(x).mu, many(x).mu)


def test_a_smaller_model_of_a_given_state_is_the_larger_one_in_its_middle() -> None:
    """States that a first half ended in, given to the second half, go on where it stopped."""
    made = model(internal_state={"tracking": True})
    made.forward(windows(1))
    state = made.internal_state
    h, c = state.h0, state.c0
    went_on = made.forward(windows(2))
    given = model(internal_state={"init_hidden_state": tuple(h), "init_cell_state": tuple(c)})
    for mine, other in zip(given.forward(windows(2)), went_on, strict=True):
        np.testing.assert_array_equal(mine, other)
    certain = model(internal_state={"init_hidden_state": h.mu, "init_cell_state": c.mu})
    assert (certain.forward(windows(2)).var < went_on.var).all()


def test_tracked_states_are_those_given_the_targets() -> None:
    made = model(internal_state={"tracking": True})
    made.forward(windows(1))
    prior = made.internal_state.h0
    made.learn(np.ones((B, 2, 3)), sigma_v=0.1)
    posterior = made.internal_state.h0
    assert (posterior.var <= prior.var).all()
    assert (posterior.mu != prior.mu).any()
    kept = model(arch_args={"carry": "prior"}, internal_state={"tracking": True})
    kept.forward(windows(1))
    prior = kept.internal_state.h0
    kept.learn(np.ones((B, 2, 3)), sigma_v=0.1)
    np.testing.assert_array_equal(kept.internal_state.h0.mu, prior.mu)


def test_rows_of_tracked_states_come_and_go() -> None:
    made = model(internal_state={"tracking": True})
    made.forward(windows(1))
    few = made.forward(windows(2, rows=2))
    assert few.mu.shape == (2, 2, 3)
    made.internal_state.reset()
    np.testing.assert_array_equal(made.forward(windows(3)).mu, model().forward(windows(3)).mu)
    made.forward(windows(3, rows=7))  # rows 4 to 6 are new
    fresh = model().forward(windows(3, rows=7)).mu
    made.internal_state.reset()
    made.forward(windows(1))
    grown = made.forward(windows(3, rows=7)).mu
    np.testing.assert_array_equal(grown[4:], fresh[4:])
    assert (grown[:4] != fresh[:4]).all()


@pytest.mark.parametrize("bidirect", [False, True])
def test_random_states_follow_their_law(bidirect: bool) -> None:
    def drawn(seed: int) -> InternalState:
        state = InternalState(
            50, 2, "random", "random", track_hidden=False, bidirect=bidirect, seed=seed
        )
        state.initialize(10)
        return state

    state = drawn(0)
    limit = 0.1 * np.sqrt(3)
    for moments in (state.h0, state.c0):
        assert moments.mu.shape == (2 * state.d, 10, 50)
        assert (moments.var == 0).all()
        assert kstest(moments.mu.ravel(), "uniform", (-limit, 2 * limit)).pvalue > 1e-3
    np.testing.assert_array_equal(state.h0.mu, drawn(0).h0.mu)
    assert (state.h0.mu != drawn(1).h0.mu).any()
    assert (state.h0.mu != state.c0.mu).any()
    before = state.h0.mu
    state.initialize(10)
    assert (state.h0.mu != before).any()
    state.training = False
    state.initialize(10)
    assert (state.h0.mu == 0).all()
    np.testing.assert_allclose(state.h0.var, 0.01)


def test_kinds_of_hidden_and_cell_states_may_differ() -> None:
    state = InternalState(3, 1, None, np.arange(3.0), track_hidden=False, bidirect=True)
    state.initialize(2)
    assert (state.h0.mu == 0).all()
    assert (state.c0.mu == np.arange(3)).all()
    assert state.c0.mu.shape == (2, 2, 3)
    state.update(cn=(np.ones((2, 2, 3)), np.ones((2, 2, 3))), hn=(np.ones((2, 2, 3)),) * 2)
    assert (state.c0.mu == 1).all()
    state.initialize(2)  # nothing is tracked
    assert (state.c0.mu == np.arange(3)).all()


def test_states_are_drawn_in_training_and_moments_in_prediction() -> None:
    made = model(internal_state={"init_hidden_state": "random", "init_cell_state": "random"})
    first, second = made(windows()), made(windows())
    assert (first.mu != second.mu).all()
    made.eval()
    first, second = made(windows()), made(windows())
    np.testing.assert_array_equal(first.mu, second.mu)
    made.train()
    assert (made(windows()).mu != first.mu).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model("regresion"), "task_name: found 'regresion'. Did you mean 'regression'"),
        (lambda: Model([5], [1, 1], "regression"), r"input_dim: found \[5\]. Allowed: two sizes"),
        (lambda: Model([5, 1], [2, 3], "classification"), r"output_dim: found \[2, 3\]"),
        (lambda: model(arch_args={"widht": 3}), "arch_args: found 'widht'. Did you mean 'width'"),
        (lambda: model(arch_args={"width": 0}), "found width 0. Allowed: at least 1"),
        (lambda: model(arch_args={"dropout": 0.5}), "arch.dropout: found 0.5"),
        (lambda: model(arch_args={"output_activation": "remax"}), "the task is regression"),
        (lambda: model(internal_state={"traking": True}), "Did you mean 'tracking'"),
        (lambda: model(internal_state={"init_cell_state": "ones"}), "found .ones."),
        (
            lambda: model(internal_state={"init_cell_state": np.zeros(5)}).forward(windows()),
            r"init_cell_state: found an array of shape \(5,\). Allowed: .* \(1, 4, 6\)",
        ),
        (
            lambda: model(internal_state={"init_cell_state": (np.zeros(6), -np.ones(6))}),
            "a variance negative",
        ),
        (
            lambda: model(arch_args={"bidirectional": True}, internal_state={"tracking": True}),
            "there is nothing to track",
        ),
        (lambda: model().forward(windows()[:, :3]), r"found shape \(4, 3, 3\). Allowed: \(batch"),
        (lambda: lstm.get_output_activation("softmx"), "Did you mean 'softmax'"),
    ],
)  # fmt: skip
def test_mistakes_are_told(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("regression", np.zeros((B, 2, 3)), "sigma_v: give the standard deviation"),
        ("regression", np.zeros((B, 6)), r"y: found shape \(4, 6\). Allowed: \(4, 2, 3\)"),
        ("classification", np.full(B, 3.0), "labels from 3 to 3. Allowed: 0 to 2"),
    ],
)
def test_targets_that_do_not_fit_are_told(task: str, y: Any, message: str) -> None:
    made = model(task)
    made.forward(windows())
    with pytest.raises(UserError, match=message):
        made.learn(y)


def test_activations_by_name() -> None:
    assert lstm.get_output_activation(None) is None
    assert isinstance(lstm.get_output_activation("tanh"), nn.Tanh)
