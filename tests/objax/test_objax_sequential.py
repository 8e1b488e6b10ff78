"""The list of modules: it behaves as Python's list does, and runs what it holds at the time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli import nn, objax

X = np.random.default_rng(0).normal(size=(5, 3))
POOL = [objax.nn.Linear(3, 3) for _ in range(4)]

# Operations on a list of modules; k picks one of the pool, i and j are places.
OPERATIONS: dict[str, Any] = {
    "append": lambda items, k, i, j: items.append(POOL[k]),
    "clear": lambda items, k, i, j: items.clear(),
    "copy": lambda items, k, i, j: items.copy(),
    "count": lambda items, k, i, j: items.count(POOL[k]),
    "extend": lambda items, k, i, j: items.extend(POOL[k:]),
    "index": lambda items, k, i, j: items.index(POOL[k]),
    "index_between": lambda items, k, i, j: items.index(POOL[k], i, j),
    "insert": lambda items, k, i, j: items.insert(i, POOL[k]),
    "pop": lambda items, k, i, j: items.pop(),
    "pop_at": lambda items, k, i, j: items.pop(i),
    "remove": lambda items, k, i, j: items.remove(POOL[k]),
    "reverse": lambda items, k, i, j: items.reverse(),
    "get": lambda items, k, i, j: items[i],
    "slice": lambda items, k, i, j: items[i:j],
    "set": lambda items, k, i, j: items.__setitem__(i, POOL[k]),
    "set_slice": lambda items, k, i, j: items.__setitem__(slice(i, j), POOL[k:]),
    "delete": lambda items, k, i, j: items.__delitem__(i),
    "add": lambda items, k, i, j: items.__add__([POOL[k]]),
    "add_in_place": lambda items, k, i, j: items.__iadd__([POOL[k]]),
    "contains": lambda items, k, i, j: POOL[k] in items,
}
LISTS = ("copy", "slice", "add")
SMALL = st.integers(-4, 4)


def outcome(operation: str, items: Any, *arguments: int) -> Any:
    """What an operation gives, or the type of the error."""
    try:
        return OPERATIONS[operation](items, *arguments)
    except (ValueError, IndexError) as error:
        return type(error)


@given(
    st.lists(st.integers(0, 3), max_size=5),
    st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 3), SMALL, SMALL)),
)
def test_it_does_what_a_list_does(start: list[int], operations: list[Any]) -> None:
    plain = [POOL[k] for k in start]
    ours = objax.nn.Sequential(plain)
    for operation, *arguments in operations:
        want, found = outcome(operation, plain, *arguments), outcome(operation, ours, *arguments)
        assert found == want
        assert isinstance(found, objax.nn.Sequential) or operation not in LISTS
        assert [id(item) for item in ours] == [id(item) for item in plain]
    assert len(ours) == len(plain)


class Alike(objax.Module):
    """A module that equals every other."""

    def __call__(self, x: Any) -> Any:
        return x

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = objax.Module.__hash__


def test_items_are_told_apart_by_identity() -> None:
    first, second = Alike(), Alike()
    items = objax.nn.Sequential([first, second])
    assert items.count(second) == 1
    assert items.index(second) == 1
    assert Alike() not in items
    items.remove(second)
    assert items[0] is first
    with pytest.raises(ValueError, match="Alike is not in the list"):
        items.remove(second)


def test_a_copy_shares_its_items_and_a_deep_copy_does_not() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 2)])
    before = model(X)
    shared, own = model.copy(), copy.deepcopy(model)
    assert shared[0] is model[0]
    assert own[0] is not model[0]
    assert own[0].w.place is None
    assert "_programs" not in own.__dict__
    np.testing.assert_array_equal(own(X), before)
    objax.Trainer(model)(X, np.ones((5, 2)), 0.1)
    np.testing.assert_array_equal(shared(X), model(X))
    np.testing.assert_array_equal(own(X), before)
    shared.append(objax.functional.relu)
    assert len(model) == 1


def test_every_edit_counts_from_the_next_call_on() -> None:
    a, b = objax.nn.Linear(3, 3), objax.nn.Linear(3, 3)
    inner = objax.nn.Sequential([a])
    model = objax.nn.Sequential([inner])
    np.testing.assert_array_equal(model(X).mu, a(X).mu)
    inner.append(b)
    np.testing.assert_allclose(model(X), b(a(X)))
    inner.reverse()
    np.testing.assert_allclose(model(X), a(b(X)))
    model[0] = b
    np.testing.assert_array_equal(model(X), b(X))
    model.clear()
    np.testing.assert_array_equal(model(X).mu, X)
    assert not model(X).var.any()
    kept = objax.Moments(X, X**2)
    np.testing.assert_array_equal(model(kept), kept)


def test_editing_keeps_what_was_learnt() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 4), objax.functional.relu])
    model.append(objax.nn.Linear(4, 1))
    train = objax.Trainer(model)
    train(X, np.ones((5, 1)), 0.1)
    learnt = model[0].w.moments
    model.insert(1, objax.nn.Linear(4, 4))
    np.testing.assert_array_equal(model[0].w.moments, learnt)
    train(X, np.ones((5, 1)), 0.1)
    assert (model[0].w.value != learnt[0]).any()
    assert (model[1].w.value != objax.nn.Linear(4, 4).w.value).any()


def test_arguments_reach_those_that_take_them() -> None:
    class Loud(objax.Module):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def __call__(self, x: Any, training: bool, volume: int = 1) -> Any:
            self.heard.append((training, volume))
            return x

    loud, any_argument = Loud(), []

    def listen(x: Any, **kwargs: Any) -> Any:
        any_argument.append(kwargs)
        return x

    model = objax.nn.Sequential([objax.nn.Linear(3, 3), loud, listen, objax.functional.relu])
    model(X, training=False, volume=11, unused=0)
    assert loud.heard == [(False, 11)]
    assert any_argument == [{"training": False, "volume": 11, "unused": 0}]


def test_results_of_several_values_are_spread_over_arguments() -> None:
    layer = objax.nn.Linear(3, 3)
    fork = [lambda x: (layer(x), x), lambda a, b: a + b]
    model = objax.nn.Sequential(fork)
    np.testing.assert_allclose(model(X).mu, layer(X).mu + X)


def test_one_module_in_two_places_shares_its_variables() -> None:
    shared = objax.nn.Linear(3, 3)
    model = objax.nn.Sequential([shared, objax.functional.relu, shared])
    relu = objax.functional.relu
    np.testing.assert_allclose(model(X), shared(relu(shared(X))))
    found = model.vars()
    assert list(found.keys()) == [
        f"(Sequential)[{i}](Linear).{name}" for i in (0, 2) for name in "bw"
    ]
    assert list(found) == [shared.b, shared.w]
    assert len(found.tensors()) == 2


def test_names_of_variables_tell_classes_and_places() -> None:
    block = objax.nn.Sequential([objax.nn.Linear(3, 4), objax.functional.relu])
    model = objax.nn.Sequential([block, objax.nn.BatchNorm0D(4), objax.nn.Linear(4, 1, False)])
    assert list(model.vars().keys()) == [
        "(Sequential)[0](Sequential)[0](Linear).b",
        "(Sequential)[0](Sequential)[0](Linear).w",
        *(f"(Sequential)[1](BatchNorm0D).{n}"
          for n in ("running_mean", "running_var", "beta", "gamma")),
        "(Sequential)[2](Linear).w",
    ]  # fmt: skip
    assert list(model.vars("net").keys())[-1] == "net(Sequential)[2](Linear).w"


def test_errors_tell_the_item() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 8), [objax.functional.relu]])
    with pytest.raises(TypeError, match="item 1, list, is no module or function"):
        model(X)
    model[1] = nn.ReLU()
    with pytest.raises(TypeError, match=r"item 1, ReLU, is no module.*Put it into Lift\(\.\.\.\)"):
        model(X)
    model[1] = objax.nn.BatchNorm0D(8)
    with pytest.raises(TypeError, match="training") as caught:
        model(X)
    assert caught.value.__notes__ == ["in item 1 of Sequential, BatchNorm0D"]
    model[1] = objax.nn.Sequential([objax.functional.relu, objax.nn.Linear(9, 1)])
    message = r"'\[1\]\[1\]Linear': Linear\(9,1\) takes 9 units but gets 8 .*from \[1\]\[0\]Mixture"
    with pytest.raises(nn.ShapeError, match=message):
        model(X)
