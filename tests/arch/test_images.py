"""Networks of images: what their options build, and what they refuse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from tagi_cli import arch, nn
from tagi_cli.arch.autoencoder import AutoencoderOptions
from tagi_cli.arch.cnn import CNNOptions
from tagi_cli.arch.images import ConvBlockOptions as Block
from tagi_cli.arch.resnet import ResNet18Options
from tagi_cli.backend import select
from tagi_cli.errors import UserError
from tagi_cli.nn.init import InitOptions
from tagi_cli.training.class_noise import class_noise
from tagi_cli.training.learner import Learner
from tagi_cli.training.noise import registry as noises

CNN, RESNET, AUTOENCODER = "cnn", "resnet18", "autoencoder"


def made(kind: str, shape: tuple[int, ...], outputs: int = 10, **options: Any) -> nn.Layer:
    """A network that is built for images of a shape."""
    found = arch.registry[kind]
    layer = found.build(found.options(**options), shape, outputs)
    assert nn.output_shape(layer, shape) == (outputs,)
    return layer


def described(layer: nn.Layer) -> list[str]:
    """Each layer that costs something, with the shape of its output and number of parameters."""
    return [f"{cost.name} {cost.output} {cost.parameters}" for cost in layer.costs()]


def first_variances(kind: str, shape: tuple[int, ...], outputs: int, **options: Any) -> list[float]:
    """Mean prior variance of each tensor, and mean square of its prior means."""
    found = arch.registry[kind]
    store = nn.Parameters(select("cpu", "numpy", "float64"))
    layer = found.build(found.options(**options), shape, outputs)
    layer.build(shape, store, np.random.default_rng(0))
    store.allocate()
    return [
        float(value)
        for tensor in store.tensors.values()
        for value in (tensor.var.mean(), (tensor.mu**2).mean())
    ]


def test_the_network_of_the_tutorial() -> None:
    """32c4-64c5-256 has the sizes that its description says."""
    pool = {"pool": "average", "pool_kernel": 3, "pool_stride": 2}
    blocks = (Block(32, 4, padding=1, **pool), Block(64, 5, padding=0, **pool))  # type: ignore[arg-type]
    layer = made(CNN, (1, 28, 28), 11, blocks=blocks, units=(256,))
    sizes = [cost.output for cost in layer.costs() if cost.parameters]
    assert sizes == [(32, 27, 27), (32, 27, 27), (64, 9, 9), (64, 9, 9), (256,), (11,)]
    counts = [cost.parameters for cost in layer.costs() if cost.parameters]
    conv = [32 * 16, 64, 64 * 32 * 25, 128]
    assert counts == [*conv, 64 * 16 * 256 + 256, 256 * 11 + 11]


def test_a_residual_block_adds_what_goes_in() -> None:
    same = made(CNN, (4, 6, 6), blocks=(Block(4, residual=True),), units=())
    assert isinstance(same, nn.Sequential)
    assert isinstance(same[0], nn.ResNetBlock)
    assert same[0].shortcut is None
    other = made(CNN, (4, 6, 6), blocks=(Block(5, residual=True),), units=())
    assert isinstance(other, nn.Sequential)
    assert isinstance(other[0], nn.ResNetBlock)
    assert isinstance(other[0].shortcut, nn.Conv2d)


@pytest.mark.parametrize(
    ("size", "stem", "first"),
    [(32, "auto", (8, 32, 32)), (96, "auto", (8, 48, 48)), (32, "imagenet", (8, 16, 16)),
     (96, "cifar", (8, 96, 96))],
)  # fmt: skip
def test_the_two_shapes_of_resnet18(size: int, stem: str, first: tuple[int, ...]) -> None:
    layer = made(RESNET, (3, size, size), width=8, stem=stem)
    assert layer.costs()[0].output == first


def test_resnet18_has_the_published_number_of_weights() -> None:
    """11 173 962 parameters in the CIFAR shape and 11 689 512 in that of ImageNet."""
    for shape, outputs, count in (((3, 32, 32), 10, 11_173_962), ((3, 224, 224), 1000, 11_689_512)):
        layer = made(RESNET, shape, outputs)
        assert sum(cost.parameters for cost in layer.costs()) == count


def kinds(layer: nn.Layer) -> list[str]:
    """The layers in order."""
    return [cost.name.split("(")[0] for cost in layer.costs()]


def test_resnet18_is_in_the_published_order() -> None:
    """An activation between the convolutions of a block, and one behind each sum."""
    unit, rectified = ["Conv2d", "BatchNorm2d"], ["ReLU"]
    want = unit + rectified
    for stage in range(4):
        for place in range(2):
            shortcut = unit if stage and not place else []
            want += [*unit, *rectified, *unit, *shortcut, "Add", *rectified]
    layer = made(RESNET, (3, 32, 32), width=2, activation="relu")
    assert kinds(layer) == [*want, "AvgPool2d", "Linear"]
    large = kinds(made(RESNET, (3, 96, 96), width=2, activation="relu"))
    assert large == [*want[:3], "MaxPool2d", *want[3:], "AvgPool2d", "Linear"]


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 1)])
def test_resnet18_takes_small_images(size: tuple[int, int]) -> None:
    made(RESNET, (1, *size), width=2)


def test_an_autoencoder_comes_back_the_way_it_went() -> None:
    blocks = (Block(3, stride=2), Block(4, 5, stride=2))
    layer = made(AUTOENCODER, (1, 8, 12), 96, blocks=blocks, units=(20,), code=5)
    assert isinstance(layer, nn.Graph)
    encoder, decoder = (node.layer for node in layer.nodes)
    ways = [[cost.output for cost in way.costs() if cost.parameters] for way in (encoder, decoder)]
    assert ways == [[(3, 4, 6), (4, 2, 3), (20,), (5,)], [(20,), (24,), (3, 4, 6), (1, 8, 12)]]
    options = {"activation": "tanh", "norm": "batch"}
    layer = made(AUTOENCODER, (1, 8, 12), 96, blocks=blocks, units=(20,), code=5, **options)
    assert isinstance(layer, nn.Graph)
    assert [kinds(node.layer) for node in layer.nodes] == [
        ["Conv2d", "BatchNorm2d", "Tanh"] * 2 + ["Linear", "Tanh", "Linear"],
        ["Linear", "Tanh", "Linear", "Tanh", "Reshape", "ConvTranspose2d", "BatchNorm2d", "Tanh",
         "ConvTranspose2d", "Flatten"],
    ]  # fmt: skip
    plain = made(AUTOENCODER, (7,), 7, units=(6, 4), code=2)
    assert isinstance(plain, nn.Graph)
    sizes = [cost.output for node in plain.nodes for cost in node.layer.costs() if cost.parameters]
    assert sizes == [(6,), (4,), (2,), (4,), (6,), (7,)]


@pytest.mark.parametrize("kind", [CNN, RESNET, AUTOENCODER])
def test_innovations_go_through_the_statistics_of_a_batch(kind: str) -> None:
    """Every batch normalisation is projected."""

    def below(layer: nn.Layer) -> list[nn.Layer]:
        return [layer, *(one for _, child in layer.children() for one in below(child))]

    options = {} if kind == RESNET else {"blocks": (Block(3), Block(4)), "norm": "batch"}
    layer = made(kind, (2, 8, 8), 128, **options)
    found = [one.projected for one in below(layer) if isinstance(one, nn.BatchNorm2d)]
    assert len(found) == {CNN: 2, RESNET: 20, AUTOENCODER: 3}[kind]
    assert all(found)


SMALL: dict[str, tuple[tuple[int, ...], int, dict[str, Any]]] = {
    CNN: ((2, 6, 6), 3, {"blocks": (Block(4),), "units": (5,)}),
    RESNET: ((2, 6, 6), 3, {"width": 2}),
    AUTOENCODER: ((2, 4, 4), 32, {"blocks": (Block(4, stride=2),), "units": (5,), "code": 2}),
}
CHANGED: dict[str, dict[str, Any]] = {
    CNN: {"blocks": (Block(5),), "units": (6,), "norm": None},
    RESNET: {"width": 3, "stem": "imagenet"},
    AUTOENCODER: {"blocks": (), "units": (6,), "code": 3, "norm": "batch"},
}
EVERY: dict[str, Any] = {
    "activation": "tanh",
    "bias": False,
    "gain_weight": 0.7,
    "gain_bias": 0.5,
    "gain_mean": 0.5,
    "init_method": "Xavier",
    "init": InitOptions(var_gain=0.5),
    "output_activation": "tanh",
}
BLOCK: dict[str, Any] = {
    "channels": 5,
    "kernel": 5,
    "stride": 2,
    "padding": 0,
    "norm": "layer",
    "activation": "relu",
    "residual": True,
    "pool": "max",
}


def outcome(kind: str, **options: Any) -> Any:
    shape, outputs, usual = SMALL[kind]
    layer = made(kind, shape, outputs, **usual | options)
    return described(layer), first_variances(kind, shape, outputs, **usual | options)


@pytest.mark.parametrize("kind", SMALL)
def test_every_option_changes_the_network(kind: str) -> None:
    before = outcome(kind)
    changed = CHANGED[kind] | EVERY
    assert {field.name for field in fields(arch.registry[kind].options)} == set(changed)
    for name, value in changed.items():
        assert outcome(kind, **{name: value}) != before, name


def test_every_option_of_a_block_changes_the_network() -> None:
    before = outcome(CNN)
    pools = {"pool_kernel": 3, "pool_stride": 1}
    assert {field.name for field in fields(Block)} == {*BLOCK, *pools}
    for name, value in BLOCK.items():
        block = Block(**{"channels": 4} | {name: value})
        assert outcome(CNN, blocks=(block,)) != before, name
    pooled = outcome(CNN, blocks=(Block(4, pool="max"),))
    for name, value in pools.items():
        block = Block(4, pool="max", **{name: value})  # type: ignore[arg-type]
        assert outcome(CNN, blocks=(block,)) != pooled, name
    assert outcome(CNN, blocks=(Block(4, norm=None),)) == outcome(CNN, norm=None)


def test_what_does_not_fit() -> None:
    with pytest.raises(UserError, match=r"arch: cnn takes images .*\(7,\)\. Allowed for tables"):
        made(CNN, (7,))
    with pytest.raises(UserError, match="arch: resnet18 takes images"):
        made(RESNET, (7, 3))
    with pytest.raises(UserError, match=r"arch\.blocks\.1: Conv2d"):
        made(CNN, (1, 6, 6), blocks=(Block(2, pool="max"), Block(2, 5, padding=0)))
    with pytest.raises(UserError, match=r"gives back its input, 36 units, and the task needs 10"):
        made(AUTOENCODER, (1, 6, 6))
    with pytest.raises(UserError, match=r"arch\.blocks: convolutions take images"):
        made(AUTOENCODER, (36,), 36, blocks=(Block(2),))
    with pytest.raises(UserError, match=r"arch\.blocks\.1\.stride: found 2, but .* 3 x 3"):
        made(AUTOENCODER, (1, 6, 6), 36, blocks=(Block(2, stride=2), Block(2, stride=2)))


def test_blocks_without_a_way_back() -> None:
    blocks = (Block(2, pool="max"), Block(2, residual=True), Block(2, padding=1))
    found = AutoencoderOptions(blocks=blocks).faults()
    assert [fault.split(":")[0] for fault in found] == [
        ".blocks.0.pool", ".blocks.1.residual", ".blocks.2.padding",
    ]  # fmt: skip
    assert AutoencoderOptions(blocks=(Block(2),)).faults() == []


@pytest.mark.parametrize("options", [CNNOptions(), ResNet18Options(), AutoencoderOptions()])
def test_images_have_no_steps(options: Any) -> None:
    (fault,) = arch.faults(options, "vl_regression")
    assert "Allowed: lstm, slstm, tcn" in fault


def labelled(n: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Images whose bright quarter is their class."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 4
    x = rng.normal(size=(n, 3, 8, 8)).astype(np.float32)
    for row, k in enumerate(label):
        x[row, :, 4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] += 1.5
    return x, np.eye(4, dtype=np.float32)[label]


@pytest.mark.parametrize("head", ["softmax", "hrc"])
@pytest.mark.parametrize(("kind", "options"), [(CNN, {"units": (16,)}), (RESNET, {"width": 4})])
def test_the_defaults_learn_without_a_bad_variance(
    kind: str, options: dict[str, Any], head: str
) -> None:
    """Twelve epochs on 96 images tell four classes apart; every moment stays in its range."""
    x, y = labelled()
    found = arch.registry[kind]
    noise = noises["constant" if head == "hrc" else "auto"]
    learner = Learner(
        lambda units: found.build(found.options(**options), x.shape[1:], units), x.shape[1:], 4,
        noise=class_noise(head, noise, noise.options()), update_rule="information_capped", cap=None,
        batch_size=16, rng=np.random.default_rng(0), backend=select("cpu", "auto", "float32"),
    )  # fmt: skip
    learner.bind(x, y)
    rng = np.random.default_rng(0)
    for epoch in range(12):
        learner.start_epoch(epoch)
        learner.train(rng.permutation(len(x)), 0, len(x))
        learner.check_finite(epoch + 1)
    found_p = learner.predict(x)
    assert (found_p.var_epistemic >= 0).all()
    assert (found_p.mu.argmax(axis=1) == y.argmax(axis=1)).mean() > 0.9


def test_the_decoder_teaches_the_encoder() -> None:
    """One network learns to squeeze images of two numbers through a code of two."""
    rng = np.random.default_rng(0)
    factors, patterns = rng.normal(size=(256, 2)), rng.normal(size=(2, 36))
    x = (factors @ patterns / np.sqrt(2)).astype(np.float32).reshape(256, 1, 6, 6)
    found, noise = arch.registry[AUTOENCODER], noises["learned"]
    learner = Learner(
        lambda units: found.build(found.options(units=(24,), code=2), (1, 6, 6), units), (1, 6, 6),
        36, noise=(noise, noise.options()), update_rule="information_capped", cap=None,
        batch_size=16, rng=np.random.default_rng(0), backend=select("cpu", "auto", "float32"),
    )  # fmt: skip
    flat = x.reshape(256, 36)
    learner.bind(x, flat)
    encoder = {k: v.copy() for k, v in learner.state_dict().items() if "encoder" in k}
    for epoch in range(20):
        learner.start_epoch(epoch)
        learner.train(rng.permutation(256), 0, 256)
    error = np.mean((learner.predict(x).mu - flat) ** 2)
    assert error < 0.1 * flat.var()
    after = learner.state_dict()
    assert all((after[name] != value).any() for name, value in encoder.items())


@pytest.mark.parametrize("norm", [None, "batch"])
def test_innovations_of_the_code_teach_the_encoder_as_in_one_chain(norm: str | None) -> None:
    """The graph is its encoder, then its decoder, whose input's innovations the former gets."""

    def graph() -> nn.Graph:
        options = AutoencoderOptions(blocks=(Block(3, stride=2),), units=(6,), code=3, norm=norm)
        layer = arch.registry[AUTOENCODER].build(options, (1, 4, 4), 16)
        assert isinstance(layer, nn.Graph)
        return layer

    def network(layer: nn.Layer, shape: tuple[int, ...], **options: Any) -> nn.Network:
        backend = select("cpu", "numpy", "float64")
        return nn.Network(layer, shape, backend=backend, rng=np.random.default_rng(0), **options)

    joint = network(graph(), (1, 4, 4))
    encoder, decoder = (node.layer for node in graph().nodes)
    chain = network(nn.Sequential(encoder, decoder), (1, 4, 4))
    first, last = (node.layer for node in graph().nodes)
    coding = network(first, (1, 4, 4))
    decoding = network(last, (3,), input_innovation=True)
    apart = [t for n in (coding, decoding) for t in n.parameters.tensors.values()]
    tensors = zip(*(n.parameters.tensors.values() for n in (joint, chain)), apart, strict=True)
    for tensor, *others in tensors:
        for other in others:
            other.assign(tensor.mu, tensor.var)
    x = np.random.default_rng(1).normal(size=(5, 1, 4, 4))
    y = x.reshape(-1)
    want = joint(x)
    for net in (joint, chain):
        np.testing.assert_allclose(net(x).mu, want.mu, rtol=1e-12)
        nn.OutputUpdater(net).update(y, 0.3)
        net.backward()
    code = coding(x)
    np.testing.assert_allclose(decoding(code.mu, code.var).mu, want.mu, rtol=1e-12)
    nn.OutputUpdater(decoding).update(y, 0.3)
    decoding.backward()
    for buffer, d in zip(coding.innovations(), decoding.input_innovations(), strict=True):
        buffer[...] = d.reshape(buffer.shape)
    coding.backward()
    for name in ("G", "L"):
        found = getattr(joint.parameters, name)
        parts = [getattr(n.parameters, name) for n in (coding, decoding)]
        np.testing.assert_allclose(found, getattr(chain.parameters, name), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found, np.concatenate(parts), rtol=1e-9, atol=1e-12)
        assert np.abs(parts[0]).max() > 0
