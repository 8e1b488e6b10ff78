"""Residual networks of 18 layers (He, Zhang, Ren & Sun 2016, CVPR)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tagi_cli import nn
from tagi_cli.arch.images import ImageOptions, Part, activation, convolution, image, in_turn
from tagi_cli.arch.registry import registry
from tagi_cli.options import option

STEMS = ("auto", "cifar", "imagenet")

_STAGES, _DEPTH = 4, 2
# Images with a shorter side than this keep their resolution at first.
_LARGE = 96


@dataclass(frozen=True)
class _Hidden:
    """The blocks."""

    width: int = option(
        64, "Channels of the first of four stages; each has twice those before.", minimum=1
    )
    stem: str = option(
        "auto",
        "What comes first. cifar: a convolution of 3 x 3; imagenet: one of 7 x 7 and pooling, each "
        "of which halves the image; auto: imagenet for images of 96 pixels and more.",
        choices=STEMS,
    )


@dataclass(frozen=True)
class ResNet18Options(ImageOptions, _Hidden):
    """Residual network of 18 layers for images, in its CIFAR and ImageNet shapes."""

    # So many variances add up on the way that wide priors would drown the data for long.
    gain_weight: float = option(
        0.3, "Factor on the prior standard deviation of the weights, not on their means.", above=0
    )


def build(options: ResNet18Options, input_shape: tuple[int, ...], outputs: int) -> nn.Layer:
    """The network for `outputs` output units.

    Raises:
        UserError: the input is no image, or smaller than the network can take.
    """
    shape = image(input_shape, "resnet18")
    stem = options.stem
    if stem == "auto":
        stem = "imagenet" if min(shape[1:]) >= _LARGE else "cifar"
    parts: list[Part] = [("arch.stem", partial(_stem, options, stem))]
    for stage in range(_STAGES):
        for place in range(_DEPTH):
            stride = 2 if stage and not place else 1
            parts.append(("arch", partial(_block, options, options.width * 2**stage, stride)))
    parts.append(("arch", _global_average))
    layers, _ = in_turn(parts, shape)
    return nn.Sequential(*layers, nn.Linear(0, outputs, **options.prior()), *options.ending())


def _stem(options: ResNet18Options, stem: str, shape: tuple[int, ...]) -> list[nn.Layer]:
    kernel, stride = (7, 2) if stem == "imagenet" else (3, 1)
    first = convolution(options, options.width, kernel, "batch", stride=stride)
    pool: list[nn.Layer] = [nn.MaxPool2d(3, 2, "same")] if stem == "imagenet" else []
    return [first, nn.BatchNorm2d(projected=True), activation(options.activation), *pool]


def _block(
    options: ResNet18Options, channels: int, stride: int, shape: tuple[int, ...]
) -> list[nn.Layer]:
    """Two normalised convolutions with a shortcut past them, and an activation behind their sum."""
    main = nn.Sequential(
        convolution(options, channels, 3, "batch", stride=stride),
        nn.BatchNorm2d(projected=True),
        activation(options.activation),
        convolution(options, channels, 3, "batch"),
        nn.BatchNorm2d(projected=True),
    )
    shortcut = None
    if stride != 1 or shape[0] != channels:
        shortcut = nn.Sequential(
            convolution(options, channels, 1, "batch", stride=stride),
            nn.BatchNorm2d(projected=True),
        )
    return [nn.ResNetBlock(main, shortcut), activation(options.activation)]


def _global_average(shape: tuple[int, ...]) -> list[nn.Layer]:
    return [nn.AvgPool2d((shape[1], shape[2]))]


registry.register("resnet18", ResNet18Options, build)
