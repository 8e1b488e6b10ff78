"""States carried along series, in training and on from its end."""

from __future__ import annotations

import numpy as np
import pytest
from series_learner import SIGMA, Part, Series, body, bound, learner, train

from tagi_cli import nn
from tagi_cli.backend import select
from tagi_cli.data import Windows
from tagi_cli.training.learner import Learner
from tagi_cli.training.sampling import Sampler

KINDS = ["numpy", "auto"]


def by_hand(part: Part, B: int, carry: str, order: list[list[int]]) -> nn.Network:
    """The network after batches of rows, of which each goes on as long as places do."""
    backend = select(kernels="numpy", precision="float64")
    T = part.x.length
    layers = nn.Sequential(*body(2, T, carry=carry), nn.Linear(0, 1))
    net = nn.Network(
        layers, (T, 2), rng=np.random.default_rng(0), backend=backend, rule="information_capped",
        cap=2.0, parameters=nn.Parameters(backend, B),
    )  # fmt: skip
    updater = nn.OutputUpdater(net)
    states = nn.RecurrentStates(layers, net.parameters)
    before: list[int] = []
    for rows in order:
        goes_on = [
            j if j < len(before) and tuple(part.index[row] - part.index[before[j]]) == (0, 0, 1)
            else -1
            for j, row in enumerate(rows)
        ]  # fmt: skip
        states.continue_from(goes_on)
        net(np.asarray(part.x[np.array(rows)]))
        updater.update(part.y[rows], np.full((len(rows), 1), SIGMA**2))
        net.backward()
        net.step()
        before = rows
    return net


def assert_same_parameters(one: Learner, net: nn.Network, rtol: float = 1e-10) -> None:
    mine, own = net.state_dict(), one.state_dict()
    for name, value in mine.items():
        if name.endswith((".mu", ".var")):
            np.testing.assert_allclose(own[name], value, rtol=rtol, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("carry", ["posterior", "prior"])
def test_one_row_at_a_time_is_the_layer_stepped_by_hand(carry: str, kernels: str) -> None:
    part = Series(30).part(np.arange(30))
    one = bound(learner(1, carry=carry, kernels=kernels), part)
    train(one, part)
    net = by_hand(part, 1, carry, [[row] for row in range(30)])
    assert_same_parameters(one, net)
    for mine, theirs in zip(
        nn.RecurrentStates(one.layer, one.parameters).get(),
        nn.RecurrentStates(net.layer, net.parameters).get(),
        strict=True,
    ):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a[0], b[0], rtol=1e-9)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize("carry", ["posterior", "prior"])
@pytest.mark.parametrize("T", [1, 3])
def test_series_of_other_lengths_side_by_side(T: int, carry: str, kernels: str) -> None:
    """Three rows of a batch, on which five series take their turns: states start anew with each."""
    series = Series(9, 2, 7, 1, 12, T=T)
    part = series.part(np.arange(31))
    one = bound(learner(3, T=T, carry=carry, kernels=kernels), part)
    train(one, part)
    # 31 rows in pieces of 11, 10 and 10.
    order = [[k, 11 + k, 21 + k] for k in range(10)] + [[10]]
    assert_same_parameters(one, by_hand(part, 3, carry, order))


@pytest.mark.parametrize("kernels", KINDS)
def test_a_series_step_by_step_is_one_long_window(kernels: str) -> None:
    N = 25
    series = Series(N)
    one = learner(4, kernels=kernels)
    found = one.predict_along(series.x, series.index)
    assert found is not None
    whole = nn.Sequential(*body(2, N, tracking=False), nn.SLinear(0, 1))
    whole.layers[0].output = "all"  # type: ignore[attr-defined]
    net = nn.Network(
        whole, (N, 2), backend=select(kernels="numpy", precision="float64"),
        rng=np.random.default_rng(0),
    )  # fmt: skip
    own = one.state_dict()
    mine = net.state_dict()
    values = {name: own[name.replace("slinear", "linear")] for name in mine}
    net.load_state_dict({n: v.reshape(mine[n].shape) for n, v in values.items()})
    net.eval()
    mu, var = net(series.values[None])
    np.testing.assert_allclose(found.mu[:, 0], mu.ravel(), rtol=1e-9)
    np.testing.assert_allclose(found.var_epistemic[:, 0], var.ravel(), rtol=1e-9)


def unseen(part: Part) -> Part:
    """The same rows without targets, which teach nothing but leave their states."""
    return Part(part.x, np.full_like(part.y, np.nan), part.index)


@pytest.mark.parametrize("kernels", KINDS)
@pytest.mark.parametrize(("T", "gap"), [(1, 0), (1, 4), (3, 0), (3, 2)])
def test_prediction_goes_on_from_where_training_ended(T: int, gap: int, kernels: str) -> None:
    """As if the whole series were fed; through a gap; with other neighbours in the batches.

    Each of three series of twelve rows is a piece of its own.
    """
    series = Series(40, 17, 23, T=T)
    place = series.index[:, 2]
    train_rows, later = np.flatnonzero(place < 12), np.flatnonzero(place >= 12 + gap)
    part = unseen(series.part(train_rows))
    one = bound(learner(3, T=T, kernels=kernels), part)
    whole = one.predict_along(series.x, series.index)
    train(one, part, "sliding-window")
    found = one.predict_along(series.x[later], series.index[later], continues=True)
    fresh = one.predict_along(series.x[later], series.index[later])
    assert whole is not None
    assert found is not None
    assert fresh is not None
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_allclose(a, b[later], rtol=1e-9)
    assert np.abs(fresh.mu - found.mu).max() > 1e-3


def test_prediction_in_any_order_of_rows() -> None:
    series = Series(9, 4)
    one = learner(2)
    mixed = np.random.default_rng(1).permutation(13)
    whole = one.predict_along(series.x, series.index)
    found = one.predict_along(series.x[mixed], series.index[mixed])
    assert whole is not None
    assert found is not None
    np.testing.assert_allclose(found.mu, whole.mu[mixed], rtol=1e-12)


def test_arrays_go_on_where_nothing_lies_between() -> None:
    """They cannot show what does."""
    series = Series(20)
    part = unseen(series.part(np.arange(10)))
    one = bound(learner(1), part)
    whole = one.predict_along(series.x, series.index)
    train(one, part)
    assert whole is not None
    for first, goes_on in ((10, True), (12, False)):
        later = np.asarray(series.x[first:])
        found = one.predict_along(later, series.index[first:], continues=True)
        assert found is not None
        assert np.allclose(found.mu, whole.mu[first:], rtol=1e-9) == goes_on
    alone = one.predict_along(np.asarray(series.x), None)
    assert alone is not None
    np.testing.assert_allclose(alone.mu, whole.mu, rtol=1e-12)


def test_each_phase_of_a_stride_goes_on_by_itself() -> None:
    """Windows of three rows, three places apart, that touch: each phase is one long series."""
    series = Series(30, T=3)
    part = unseen(series.part(np.arange(15)))
    one = bound(learner(3, T=3, stride=3), part)
    whole = one.predict_along(series.x, series.index)
    train(one, part)
    later = slice(15, 30)
    found = one.predict_along(series.x[later], series.index[later], continues=True)
    assert whole is not None
    assert found is not None
    np.testing.assert_allclose(found.mu, whole.mu[later], rtol=1e-9)
    for phase in range(3):
        own = np.arange(phase, 30, 3)
        alone = learner(2, T=3).predict_along(np.asarray(series.x[own]), None)
        assert alone is not None
        np.testing.assert_allclose(alone.mu, whole.mu[own], rtol=1e-9)


@pytest.mark.parametrize("kernels", KINDS)
def test_cuts_and_predictions_in_between_change_nothing(kernels: str) -> None:
    series = Series(20, 9, 14)
    part = series.part(np.flatnonzero(series.index[:, 2] < 9))
    whole, cut, resumed = (bound(learner(2, kernels=kernels), part) for _ in range(3))
    train(whole, part)
    order = Sampler(2, "inference", False).order(part, np.random.default_rng(0), follows=True)
    cut.start_epoch(0)
    for begin in range(0, 27, 6):
        cut.train(order.rows, begin, min(begin + 6, 27), order.follows)
        cut.predict_along(series.x, series.index, continues=True)
        if begin == 12:
            scores, state = cut.scores(), cut.state_dict()
    resumed.load_state_dict(state)
    resumed.start_epoch(0, scores)
    resumed.train(order.rows, 18, 27, order.follows)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(cut.state_dict()[name], value, err_msg=name)
        np.testing.assert_array_equal(resumed.state_dict()[name], value, err_msg=name)
    later = series.index[:, 2] >= 9
    expected = whole.predict_along(series.x[later], series.index[later], continues=True)
    # A network that was only loaded predicts the same.
    other = learner(2, kernels=kernels)
    other.load_state_dict(whole.state_dict())
    found = other.predict_along(series.x[later], series.index[later], continues=True)
    assert expected is not None
    assert found is not None
    np.testing.assert_array_equal(found.mu, expected.mu)


def test_a_piece_that_begins_within_a_series_starts_anew() -> None:
    """Two rows of a batch and one series: its second half is a piece with a state of its own."""
    series = Series(20)
    part = unseen(series.part(np.arange(12)))
    one = bound(learner(2), part)
    train(one, part)
    found = one.predict_along(series.x[12:], series.index[12:], continues=True)
    alone = one.predict_along(series.x[6:], series.index[6:])
    assert found is not None
    assert alone is not None
    np.testing.assert_allclose(found.mu, alone.mu[6:], rtol=1e-9)


def test_states_of_the_same_series_are_taken_over() -> None:
    """Bound to more series, a learner keeps what it knows of those that end at the same places."""
    series = Series(8, 8)
    first, both = series.part(np.arange(8)), series.part(np.arange(16))
    one = bound(learner(1), first)
    train(one, first)
    held = one.state_dict()
    one.bind(both.x, both.y, both.index)
    state = one.state_dict()
    np.testing.assert_array_equal(state["ends.held"], [1, 0])
    np.testing.assert_array_equal(state["ends.0"][0], held["ends.0"][0])


def test_windows_on_the_way_from_training_have_the_scale_of_the_first() -> None:
    series = Series(20)
    x = series.x
    rng = np.random.default_rng(4)
    # A scale for each window; those of the last rows are the same.
    center, scale = rng.normal(size=(20, 2)), rng.uniform(0.5, 2, size=(20, 2))
    center[10:], scale[10:] = center[10], scale[10]
    shown = Windows(x.rows, x.starts, 1, center, scale)
    one = bound(learner(1), Part(shown[:10], np.full((10, 1), np.nan), series.index[:10]))
    whole = one.predict_along(shown, series.index)
    train(one, Part(shown[:10], np.full((10, 1), np.nan), series.index[:10]))
    found = one.predict_along(shown[14:], series.index[14:], continues=True)
    assert whole is not None
    assert found is not None
    np.testing.assert_allclose(found.mu, whole.mu[14:], rtol=1e-9)
    array = one.predict_along(np.asarray(shown), series.index)
    assert array is not None
    np.testing.assert_allclose(array.mu, whole.mu, rtol=1e-12)


def test_without_being_told_no_row_goes_on() -> None:
    series = Series(8)
    part = series.part(np.arange(8))
    told, silent = bound(learner(1), part), bound(learner(1), part)
    for one in (told, silent):
        train(one, part)
        one.start_epoch(1)
    told.train(np.arange(8), 0, 8, np.zeros(8, bool))
    silent.train(np.arange(8), 0, 8)
    for name, value in told.state_dict().items():
        np.testing.assert_array_equal(silent.state_dict()[name], value, err_msg=name)


def test_plans_of_short_batches_do_not_pile_up() -> None:
    series = Series(30)
    one = bound(learner(8), series.part(np.arange(30)))
    for rows in (13, 14, 15, 12, 13, 30):
        one.train(np.arange(30), 0, rows)
    assert len(one._steps) == 3
    assert 8 in one._steps


def test_a_long_prediction_can_be_left() -> None:
    series = Series(400)
    one = learner(1)
    before = one.state_dict()
    asked = []

    def pause() -> bool:
        asked.append(0)
        return len(asked) == 3

    assert one.predict_along(series.x, series.index, pause) is None
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_given_states_are_those_of_each_series() -> None:
    """With tracking, a series starts from them; without, every row does, in blocks of a batch."""
    series = Series(3, 3)
    H = 5
    given = (np.ones(H), np.full(H, 0.2), -np.ones(H), np.full(H, 0.1))

    def made(tracking: bool) -> Learner:
        layer = nn.LSTM(2, H, 1, internal_state="given", tracking=tracking)
        one = learner(2, layers=[layer])
        nn.RecurrentStates(one.layer, one.parameters).set([given])
        return one

    tracked, each = made(True), made(False)
    alone = each.predict(np.asarray(series.x))
    for row in range(6):
        np.testing.assert_allclose(each.predict(series.x[row : row + 1]).mu[0], alone.mu[row])
    bound(tracked, series.part(np.arange(6)))
    found = tracked.predict_along(series.x, series.index)
    assert found is not None
    np.testing.assert_allclose(found.mu[[0, 3]], alone.mu[[0, 3]], rtol=1e-12)
    assert (np.abs(found.mu - alone.mu)[[1, 2, 4, 5]] > 1e-6).all()
    # In training, too: the first rows are scored under the prediction from there.
    part = series.part(np.arange(6))
    order = np.array([0, 3])
    tracked.start_epoch(0)
    tracked.train(order, 0, 2, np.zeros(2, bool))
    error = part.y[order] - alone.mu[order]
    np.testing.assert_allclose(tracked.scores()["se_sum"], (error**2).sum(), rtol=1e-10)
    with pytest.raises(ValueError, match="does not track"):
        each.predict_along(series.x, series.index)
