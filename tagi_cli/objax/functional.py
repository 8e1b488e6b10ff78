"""Functions without variables, for use between modules.

Each gives the moments of the function of Gaussians, as the layers of `tagi_cli.nn` that it stands
for: those of `relu`, `leaky_relu`, `average_pool_2d` and `flatten` are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from tagi_cli import nn
from tagi_cli.objax.constants import ConvPadding
from tagi_cli.objax.nn.conv import Padding, Size, sides
from tagi_cli.objax.tracing import Tracer, evaluate


def _function(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes data, too."""

    @wraps(call)
    def enter(x: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(x, Tracer):
            return call(x, *args, **kwargs)
        return evaluate(enter, call, x, *args, **kwargs)

    return enter


@_function
def relu(x: Any) -> Any:
    """The larger of 0 and `x`, by its exact moments (`MixtureReLU`)."""
    return x.record(nn.MixtureReLU)


@_function
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """`x` where positive, else `negative_slope x`, by its exact moments (`MixtureLeakyReLU`)."""
    return x.record(nn.MixtureLeakyReLU, negative_slope=negative_slope)


@_function
def sigmoid(x: Any) -> Any:
    """Logistic function (`Sigmoid`)."""
    return x.record(nn.Sigmoid)


@_function
def tanh(x: Any) -> Any:
    """Hyperbolic tangent (`Tanh`)."""
    return x.record(nn.Tanh)


@_function
def softplus(x: Any) -> Any:
    """`log(1 + exp(x))` (`Softplus`)."""
    return x.record(nn.Softplus)


@_function
def softmax(x: Any) -> Any:
    """Shares of `exp(x)` in their sum over a row (`Softmax`)."""
    return x.record(nn.Softmax)


@_function
def flatten(x: Any) -> Any:
    """All axes behind the batch as one."""
    return x.record(nn.Flatten)


@_function
def average_pool_2d(
    x: Any, size: Size = 2, strides: Size | None = None, padding: Padding = ConvPadding.VALID
) -> Any:
    """Average of each window of images `(N, C, H, W)` (`AvgPool2d`); padding counts as zeros.

    Args:
        x: images.
        size: of the window, or height and width.
        strides: steps between windows; None takes the size.
        padding: as of `nn.Conv2D`.
    """
    step = -1 if strides is None else strides
    return x.record(nn.AvgPool2d, kernel_size=size, stride=step, padding=sides(padding))


@_function
def max_pool_2d(
    x: Any, size: Size = 2, strides: Size = 2, padding: Padding = ConvPadding.VALID
) -> Any:
    """Moments of the pixel with the largest mean in each window of images (`MaxPool2d`).

    Args:
        x: images.
        size: of the window, or height and width.
        strides: steps between windows.
        padding: as of `nn.Conv2D`; it is never chosen.
    """
    return x.record(nn.MaxPool2d, kernel_size=size, stride=strides, padding=sides(padding))
