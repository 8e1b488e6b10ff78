"""Modules of one's own, layers lifted from `tagi_cli.nn`, functions, variables, files."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli import nn, objax
from tagi_cli.backend import select
from tagi_cli.errors import UserError
from tagi_cli.objax import functional

X = np.random.default_rng(0).normal(size=(5, 3))


class Residual(objax.Module):
    """`relu(linear(x)) + x`."""

    def __init__(self, n: int) -> None:
        self.main = objax.nn.Linear(n, n)

    def __call__(self, x: Any) -> Any:
        return functional.relu(self.main(x)) + x


def test_a_module_of_ones_own_runs_as_one_network() -> None:
    module = Residual(3)
    mu, var = module(X)
    branch = functional.relu(module.main(X))
    np.testing.assert_allclose(mu, branch.mu + X, rtol=1e-12)
    np.testing.assert_allclose(var, branch.var, rtol=1e-12)
    assert list(module.vars().keys()) == ["(Residual).main(Linear).b", "(Residual).main(Linear).w"]


def test_modules_show_the_shapes_of_their_variables() -> None:
    chain = objax.nn.Sequential([objax.nn.Linear(3, 2), Residual(2)])
    assert repr(chain) == "[Linear(b=(2,), w=(3, 2)), Residual()]"


def test_it_is_trained_as_one_network() -> None:
    """The same as the residual block of `tagi_cli.nn` with the same prior."""
    module, layer = Residual(3), nn.Linear(3, 3)
    block = nn.ResNetBlock(nn.Sequential(layer, nn.MixtureReLU()))
    net = nn.Network(block, (3,), backend=select(kernels="numpy", precision="float64"))
    layer.weight.assign(*(part.T for part in module.main.w.moments))
    layer.bias.assign(*module.main.b.moments)
    y = np.random.default_rng(1).normal(size=(5, 3))
    want = net(X)
    nn.OutputUpdater(net).update(y, 0.3)
    net.backward()
    net.step()
    np.testing.assert_allclose(objax.Trainer(module)(X, y, 0.3), want, rtol=1e-12)
    for part, wanted in zip(
        module.main.w.moments, (layer.weight.mu, layer.weight.var), strict=True
    ):
        np.testing.assert_allclose(part, wanted.T, rtol=1e-12)


class Careless(objax.Module):
    """Uses a layer and forgets its result, or gives something else."""

    def __init__(self, result: str) -> None:
        self.result = result
        self.layer = objax.nn.Linear(3, 3)

    def __call__(self, x: Any) -> Any:
        if self.result == "nothing":
            return None
        early = functional.relu(x)
        self.layer(x)
        return early if self.result == "early" else functional.relu(early)


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        ("nothing", TypeError, "returned NoneType, not what it did to its input"),
        ("early", ValueError, "uses layers without using their result"),
        ("late", ValueError, "no other node takes it"),
    ],
)
def test_modules_that_make_no_sense_are_refused(result: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Careless(result)(X)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x + 1, "The sum with a number or an array"),
        (lambda x: sum([x, x]), "The sum"),
        (lambda x: np.ones(3) + x, "numpy.add"),
        (lambda x: x**2, "x ** y"),
        (lambda x: 2 * x, "x * y"),
        (lambda x: x - x, "x - y"),
        (lambda x: -x, "-x"),
        (lambda x: x[:, 0], "x[...]"),
        (lambda x: x if x > 0 else -x, "A comparison"),
        (lambda x: [part for part in x], "The rows"),  # noqa: C416
        (np.tanh, "numpy.tanh"),
        (lambda x: np.concatenate([x, x]), "A NumPy function"),
    ],
)
def test_other_arithmetic_is_refused_in_words(function: Any, what: str) -> None:
    message = f"^{re.escape(what)}.* to a Gaussian array. Allowed: modules, functions of objax"
    with pytest.raises(TypeError, match=message):
        objax.nn.Sequential([objax.nn.Linear(3, 3), function])(X)


def test_methods_of_arrays_are_refused_in_words() -> None:
    for function in (lambda x: x.mean((2, 3)), lambda x: np.mean(x, axis=1), lambda x: x.shape):
        with pytest.raises((AttributeError, TypeError), match=r"average_pool_2d, flatten, \.\.\."):
            objax.nn.Sequential([objax.nn.Linear(3, 3), function])(X)


def test_a_layer_of_tagi_cli_nn_can_be_lifted() -> None:
    lifted = objax.Lift(nn.LayerNorm((4,)))
    model = objax.nn.Sequential([objax.nn.Linear(3, 4), lifted, objax.Lift(nn.Remax())])
    assert not lifted.vars()
    objax.Trainer(model)(X, np.full((5, 4), 0.25), 0.1)
    assert list(lifted.vars().keys()) == ["(Lift{LayerNorm}).weight", "(Lift{LayerNorm}).bias"]
    np.testing.assert_allclose(model(X).mu.sum(axis=1), 1, rtol=1e-6)
    kept, before = lifted.vars()["(Lift{LayerNorm}).weight"].value, model(X)
    again = copy.deepcopy(model)
    model.append(objax.nn.Linear(4, 4))
    model(X)
    np.testing.assert_array_equal(lifted.vars()["(Lift{LayerNorm}).weight"].value, kept)
    np.testing.assert_array_equal(again(X), before)


def test_a_layer_with_modes_can_be_lifted() -> None:
    lifted = objax.Lift(nn.BatchNorm2d(3))
    lifted(X, training=True)
    np.testing.assert_allclose(lifted.vars()["(Lift{BatchNorm2d}).running_mean"].value, X.mean(0))
    mu, _ = lifted(X[:1], training=False)
    assert not np.allclose(mu, 0)


def test_a_layer_of_another_network_is_not_lifted() -> None:
    layer = nn.Linear(3, 2)
    nn.Network(layer, (3,))
    with pytest.raises(ValueError, match=r"Linear\(3,2\) already belongs to a network"):
        objax.Lift(layer)


@pytest.mark.parametrize(
    ("function", "plain"),
    [
        (functional.relu, lambda x: np.maximum(x, 0)),
        (functional.leaky_relu, lambda x: np.where(x > 0, x, 0.01 * x)),
        (lambda x: functional.leaky_relu(x, 0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
        (functional.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
        (functional.tanh, np.tanh),
        (functional.softplus, lambda x: np.log1p(np.exp(x))),
        (functional.softmax, lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        (functional.flatten, lambda x: x.reshape(len(x), -1)),
    ],
)
def test_functions_of_certain_values_are_the_plain_ones(function: Any, plain: Any) -> None:
    mu, var = function(X)
    np.testing.assert_allclose(mu, plain(X), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(var, 0, atol=1e-12)
    inside = objax.nn.Sequential([function])
    np.testing.assert_array_equal(inside(X).mu, mu)


def test_functions_flatten_images() -> None:
    assert functional.flatten(np.zeros((2, 3, 4, 5))).mu.shape == (2, 60)


@pytest.mark.parametrize("padding", ["VALID", "SAME", objax.constants.ConvPadding.SAME])
@pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 2), ((2, 3), (1, 2))])
def test_functions_pool_images(size: Any, strides: Any, padding: Any) -> None:
    """Windows one by one; what the image lacks is zero for the average, and never the largest."""
    x = np.random.default_rng(1).normal(size=(2, 3, 5, 7)) - 1
    k = np.broadcast_to(size, 2)
    steps = k if strides is None else np.broadcast_to(strides, 2)
    low, count = [0, 0], [(n - a) // s + 1 for n, a, s in zip((5, 7), k, steps, strict=True)]
    if padding != "VALID":
        count = [-(-n // s) for n, s in zip((5, 7), steps, strict=True)]
        low = [max((c - 1) * s + a - n, 0) // 2
               for c, s, a, n in zip(count, steps, k, (5, 7), strict=True)]  # fmt: skip
    mean, largest = np.zeros((2, 2, 3, *count))
    for p, q in np.ndindex(*count):
        first = p * steps[0] - low[0], q * steps[1] - low[1]
        rows, columns = (slice(max(a, 0), a + n) for a, n in zip(first, k, strict=True))
        window = x[:, :, rows, columns]
        mean[:, :, p, q] = window.sum(axis=(2, 3)) / np.prod(k)
        largest[:, :, p, q] = window.max(axis=(2, 3))
    options = {"size": size, "padding": padding}
    got = functional.average_pool_2d(x, strides=strides, **options).mu
    np.testing.assert_allclose(got, mean, rtol=1e-12, atol=1e-15)
    got = functional.max_pool_2d(x, strides=size if strides is None else strides, **options).mu
    np.testing.assert_array_equal(got, largest)


def test_pools_have_the_defaults_of_objax() -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    np.testing.assert_array_equal(functional.max_pool_2d(x).mu[0, 0], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(
        functional.average_pool_2d(x).mu[0, 0], [[2.5, 4.5], [10.5, 12.5]]
    )
    model = objax.nn.Sequential([objax.nn.Conv2D(1, 2, 3), functional.max_pool_2d])
    assert model(x).mu.shape == (1, 2, 2, 2)


def test_a_module_lives_in_the_network_that_ran_it_last() -> None:
    """Two lists share a module: what one of them learns the other one knows."""
    shared = objax.nn.Linear(3, 3)
    first = objax.nn.Sequential([shared, objax.functional.relu])
    second = objax.nn.Sequential([shared, objax.nn.Linear(3, 1)])
    objax.Trainer(first)(X, np.ones((5, 3)), 0.1)
    learnt = shared.w.moments
    objax.Trainer(second)(X, np.ones((5, 1)), 0.1)
    assert (shared.w.value != learnt[0]).any()
    np.testing.assert_array_equal(first(X), functional.relu(shared(X)))


def test_variables_can_be_set_before_and_after_the_first_call() -> None:
    layer = objax.nn.Linear(3, 2)
    for w in (np.ones((3, 2)), np.arange(6.0).reshape(3, 2)):
        layer.w.value = w
        layer.w.variance = 0
        layer.b.assign([1.0, 2.0], 0.5)
        mu, var = layer(X)
        np.testing.assert_allclose(mu, X @ w + [1, 2])
        np.testing.assert_allclose(var, 0.5)
        np.testing.assert_array_equal(layer.w.value, w)
    copied = layer.w.value
    copied[...] = 7
    assert (layer.w.value != 7).all()


def test_variables_refuse_what_does_not_fit() -> None:
    layer, norm = objax.nn.Linear(3, 2), objax.nn.BatchNorm0D(3)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"the value has the shape \(2, 3\), the variable \(3,"
        ):
            layer.w.value = np.ones((2, 3))
        with pytest.raises(ValueError, match="a variance is negative"):
            layer.w.assign(layer.w.value, -1)
        with pytest.raises(ValueError, match="this variable has no variance"):
            norm.running_mean.assign(np.zeros((1, 3)), 1)
        norm(X, training=True)
        layer(X)
    with pytest.raises(ValueError, match="negative or not a number"):
        objax.TrainVar(np.zeros(3), [1, np.nan, 1])


def test_collections_of_variables() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 2), objax.nn.BatchNorm0D(2)])
    found = model.vars()
    assert len(found.subset(objax.TrainVar)) == 4
    assert list(found.subset(is_not_a=objax.TrainVar)) == [
        model[1].running_mean,
        model[1].running_var,
    ]
    assert len(found.subset(objax.BaseVar, objax.StateVar)) == 4
    other = objax.nn.Linear(3, 2).vars("other")
    assert len(list(found + other)) == 8
    with pytest.raises(ValueError, match=r"two variables are called '\(Linear\).b'"):
        objax.nn.Linear(3, 2).vars() + objax.nn.Linear(3, 2).vars()
    found.assign([np.full(var.shape, i) for i, var in enumerate(found)])
    assert [tensor.ravel()[0] for tensor in found.tensors()] == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="1 values for 6 variables"):
        found.assign([0])
    lines = str(found).splitlines()
    assert lines[1].split() == ["(Sequential)[0](Linear).w", "6", "(3,", "2)"]
    assert lines[-1].split() == ["+Total(6)", "16"]


def model() -> objax.nn.Sequential:
    layers = [objax.nn.Linear(3, 4), objax.nn.BatchNorm0D(4), objax.nn.Dropout(0.5)]
    return objax.nn.Sequential([*layers, objax.nn.Linear(4, 1)])


def test_saved_variables_come_back(tmp_path: Path) -> None:
    one, other = model(), model()
    objax.Trainer(one)(X, np.ones((5, 1)), 0.1)
    objax.io.save_var_collection(tmp_path / "model.safetensors", one.vars())
    objax.io.load_var_collection(tmp_path / "model.safetensors", other.vars())
    for training in (False, True):
        np.testing.assert_array_equal(one(X, training=training), other(X, training=training))


def test_files_of_other_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    one = objax.nn.Linear(3, 4)
    objax.io.save_var_collection(path, one.vars())
    with pytest.raises(UserError, match=r"the variables are others: missing \['\(Sequential\)"):
        objax.io.load_var_collection(path, model().vars())
    with pytest.raises(UserError, match=r"\(Linear\).b has the shape \(4,\), not \(5,\)"):
        objax.io.load_var_collection(path, objax.nn.Linear(3, 5).vars())
    with pytest.raises(UserError, match="cannot be read"):
        objax.io.load_var_collection(tmp_path / "none", one.vars())
    path.write_bytes(b"abc")
    with pytest.raises(UserError, match="damaged"):
        objax.io.load_var_collection(path, one.vars())


def test_modules_can_be_pickled() -> None:
    one = model()
    one(X, training=True)
    other = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(one(X, training=True), other(X, training=True))


def test_values_follow_to_another_backend() -> None:
    one = model()
    objax.Trainer(one)(X, np.ones((5, 1)), 0.1)
    want = one(X, training=False)
    for kernels, precision, rtol in (("auto", "float64", 1e-10), ("numpy", "float32", 1e-5)):
        objax.use(kernels=kernels, precision=precision)
        np.testing.assert_allclose(one(X, training=False), want, rtol=rtol)
        assert one(X, training=False).mu.dtype == precision
