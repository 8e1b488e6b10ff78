"""Training: the same steps as `tagi_cli.nn`, every update, exact regression."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tagi_cli import nn, objax
from tagi_cli.backend import select
from tagi_cli.nn.rules import RULES

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 6, 3))


def pair(*sizes: int, last: type[nn.Layer] | None = None) -> tuple[objax.nn.Sequential, nn.Network]:
    """A perceptron here and in `tagi_cli.nn` with the same prior."""
    items, layers = [], []
    for nin, nout in pairwise(sizes):
        ours, theirs = objax.nn.Linear(nin, nout), nn.Linear(nin, nout)
        theirs.draw(np.random.default_rng(0))
        theirs.weight.assign(*(part.T for part in ours.w.moments))
        theirs.bias.assign(*ours.b.moments)
        items += [ours, objax.functional.relu]
        layers += [theirs, nn.MixtureReLU()]
    items[-1:], layers[-1:] = ([], []) if last is None else ([objax.Lift(last())], [last()])
    model = objax.nn.Sequential(items)
    backend = select(kernels="numpy", precision="float64")
    return model, nn.Network(nn.Sequential(*layers), (sizes[0],), backend=backend)


def assert_same(model: objax.nn.Sequential, net: nn.Network) -> None:
    for item, layer in zip(model, net.layer.layers, strict=True):
        if isinstance(item, objax.nn.Linear):
            for part, wanted in zip(
                item.w.moments, (layer.weight.mu, layer.weight.var), strict=True
            ):
                np.testing.assert_allclose(part, wanted.T, rtol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_steps_are_those_of_tagi_cli_nn(rule: str) -> None:
    model, net = pair(3, 8, 3)
    net.rule, net.cap = rule, 2.5
    train, updater = objax.Trainer(model, rule=rule, cap=2.5), nn.OutputUpdater(net)
    for size in (6, 1, 4):
        model(X[:size])  # under another rule
        want = net(X[:size])
        updater.update(Y[:size], 0.2)
        net.backward()
        net.step()
        np.testing.assert_allclose(train(X[:size], Y[:size], 0.2), want, rtol=1e-10)
    assert_same(model, net)


def test_inputs_may_be_uncertain() -> None:
    model, net = pair(3, 3)
    v = np.full(X.shape, 0.5)
    net(X, v)
    nn.OutputUpdater(net).update(Y, 0.2)
    net.backward()
    net.step()
    objax.Trainer(model)(objax.Moments(X, v), Y, 0.2)
    assert_same(model, net)


def test_every_output_update_is_there() -> None:
    model, net = pair(3, 4, last=nn.EvenExp)
    net(X)
    nn.OutputUpdater(net).update_heteros(Y[:, :2])
    net.backward()
    net.step()
    objax.Trainer(model).update_heteros(X, Y[:, :2])
    assert_same(model, net)
    model, net = pair(3, 4)
    index = np.tile([1, 3], (6, 1))
    net(X)
    nn.OutputUpdater(net).update_using_indices(Y[:, :2], np.full(12, 0.1), index)
    net.backward()
    net.step()
    objax.Trainer(model).update_using_indices(X, Y[:, :2], np.full(12, 0.1), index)
    assert_same(model, net)


def test_one_row_is_exact_conditioning() -> None:
    layer = objax.nn.Linear(3, 1)
    x, y, r = X[0], Y[0, :1], 0.3
    prior = np.append(layer.w.value, layer.b.value), np.append(layer.w.variance, layer.b.variance)
    h = np.append(x, 1)
    gain = prior[1] * h / (prior[1] @ h**2 + r)
    objax.Trainer(layer, rule="sum")(x[None], y, r)
    mu = np.append(layer.w.value, layer.b.value)
    var = np.append(layer.w.variance, layer.b.variance)
    np.testing.assert_allclose(mu, prior[0] + gain * (y - prior[0] @ h), rtol=1e-12)
    np.testing.assert_allclose(var, prior[1] - gain * h * prior[1], rtol=1e-12)


def test_missing_targets_teach_nothing() -> None:
    model, _ = pair(3, 8, 3)
    before = model.vars().tensors()
    objax.Trainer(model)(X, np.full(Y.shape, np.nan), 0.1)
    for tensor, kept in zip(model.vars().tensors(), before, strict=True):
        np.testing.assert_array_equal(tensor, kept)


def test_a_model_with_every_module_learns() -> None:
    """Images of a bar that lies or stands."""
    rng = np.random.default_rng(1)
    images = 0.3 * rng.normal(size=(64, 1, 8, 8))
    label = rng.integers(2, size=64)
    for image, lies in zip(images, label, strict=True):
        place = rng.integers(8)
        image[0][(place, slice(None)) if lies else (slice(None), place)] += 1
    y = np.where(label, 1.0, -1.0)[:, None]
    model = objax.nn.Sequential(
        [
            objax.nn.Conv2D(1, 6, 3, w_init=objax.nn.kaiming_truncated_normal),
            objax.nn.BatchNorm2D(6, momentum=0.5),
            objax.functional.leaky_relu,
            objax.nn.ConvTranspose2D(6, 4, 2, strides=2),
            objax.nn.Conv2D(4, 6, 3, strides=2, groups=2, padding=((1, 0), (1, 0))),
            objax.functional.relu,
            objax.Lift(nn.AvgPool2d(2)),
            objax.functional.flatten,
            objax.nn.Dropout(0.9, mode="moments"),
            objax.nn.Linear(6 * 16, 1),
        ]
    )
    train = objax.Trainer(model)
    for _ in range(15):
        for k in range(0, 64, 16):
            train(images[k : k + 16], y[k : k + 16], 0.05)
    mu, var = model(images, training=False)
    assert ((mu > 0) == (y > 0)).mean() > 0.95
    assert (var > 0).all()


def test_training_can_be_turned_off() -> None:
    model = objax.nn.Sequential([objax.nn.Linear(3, 3), objax.nn.BatchNorm0D(3)])
    train = objax.Trainer(model)
    train(X, Y, 0.1, training=False)
    assert not model[1].running_mean.value.any()
    train(X, Y, 0.1)
    assert model[1].running_mean.value.any()


def test_modes_may_differ_within_one_call() -> None:
    """A batch norm that keeps its running statistics beside one that does not."""

    class Frozen(objax.Module):
        def __init__(self) -> None:
            self.frozen, self.free = (objax.nn.BatchNorm0D(3, momentum=0) for _ in range(2))

        def __call__(self, x: object, training: bool) -> object:
            return self.free(self.frozen(x, training=False), training=training)

    module = Frozen()
    mu, _ = module(X, training=True)
    np.testing.assert_allclose(mu.mean(axis=0), 0, atol=1e-12)
    assert not module.frozen.running_mean.value.any()
    np.testing.assert_allclose(module.free.running_mean.value[0], X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(module(X, training=False).mu, mu, rtol=1e-5)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match="update rule 'adam': allowed are sum, capped"):
        objax.Trainer(objax.nn.Linear(3, 1), rule="adam")
    with pytest.raises(ValueError, match="there is nothing to train"):
        objax.Trainer(objax.nn.Sequential())(X, Y, 0.1)
    with pytest.raises(ValueError, match="the output has 18 values, the observations 6"):
        objax.Trainer(objax.nn.Linear(3, 3))(X, np.zeros(6), 0.1)
