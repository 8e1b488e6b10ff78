"""Pooling layers."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tagi_cli.backend import Array
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.layers.geometry import Padding, Size, Sliding, shown
from tagi_cli.nn.parameters import Parameters
from tagi_cli.nn.plan import Plan, Value


class Pooling(Layer):
    """A layer that makes one pixel of each window, channel by channel."""

    def __init__(
        self, kernel_size: Size, stride: Size, padding: Padding = 0, padding_type: int = 0
    ) -> None:
        super().__init__()
        try:
            step = kernel_size if stride == -1 else stride
            self.sliding = Sliding.of(kernel_size, step, 1, padding, padding_type)
            numbers = self.sliding.padding
            if isinstance(numbers, tuple) and any(
                max(sides) >= k for sides, k in zip(numbers, self.sliding.kernel, strict=True)
            ):
                raise ValueError(
                    f"padding {padding}: must be smaller than the kernel, "
                    "or windows would hold no pixel"
                )
        except ValueError as error:
            raise ValueError(f"{self.name}({kernel_size},{stride}): {error}") from None
        self.sizes: tuple[int, ...]

    def describe(self) -> str:
        """Name, kernel and stride."""
        return f"{self.name}({shown(self.sliding.kernel)},{shown(self.sliding.stride)})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        if len(shape) != 3:
            raise ShapeError(
                f"{self.describe()} takes images (channels, height, width) but gets {shape}"
            )
        C, H, W = shape
        try:
            placements, zeros = self.sliding.placements((H, W))
        except ShapeError as error:
            raise ShapeError(f"{self.describe()} {error}, and gets {shape}") from None
        self.sizes = (H, W, *placements, *self.sliding.kernel, *self.sliding.stride, *zeros)
        return (C, *placements)

    @abstractmethod
    def _choice(self, plan: Plan) -> tuple[Array, ...]:
        """Buffers behind the moments and innovations in the kernels' arguments."""

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        assert self.output_shape is not None
        planes = plan.batch * self.output_shape[0]
        z = plan.value(self.output_shape, certain=x.var is None, wanted=x.wanted)
        choice = self._choice(plan)
        plan.call(f"{self.kind}_forward", z.mu, z.var, *choice, x.mu, x.var, planes, *self.sizes)

        def backward() -> None:
            if not (x.wanted and z.reached):
                return
            d_mu_z, d_var_z = z.innovation()
            d_mu_x, d_var_x, add = x.send()
            plan.call(
                f"{self.kind}_backward", d_mu_x, d_var_x, d_mu_z, d_var_z, *choice, planes,
                *self.sizes, add,
            )  # fmt: skip

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """Each pixel of each window, forward and backward, mean and variance."""
        assert self.output_shape is not None
        (kh, kw), (C, P, Q) = self.sliding.kernel, self.output_shape
        return [Cost(self.describe(), self.output_shape, 0, 4 * C * P * Q * kh * kw)]


class AvgPool2d(Pooling):
    """Average of each window: mean `sum mu / k`, variance `sum var / k^2` for `k` pixels.

    The full `k` divides also where a part of the window lies in the padding, which counts as
    certain zeros. Pixels are taken as independent.

    Args:
        kernel_size: size of the window, or height and width.
        stride: steps between windows; -1 takes the size of the kernel.
        padding: zeros round the image: one number, `same` (the output has `ceil(n / stride)`
            pixels), `valid` (none), or `[[top, bottom], [left, right]]`.
        padding_type: for one number: 0 or 1 pads all sides, 2 the bottom and the right only.

    Raises:
        ValueError: a size is not allowed.
    """

    kind = "avg_pool2d"

    def __init__(
        self, kernel_size: Size, stride: Size = -1, padding: Padding = 0, padding_type: int = 0
    ) -> None:
        super().__init__(kernel_size, stride, padding, padding_type)

    def _choice(self, plan: Plan) -> tuple[Array, ...]:
        return ()


class MaxPool2d(Pooling):
    """Moments of that pixel of each window whose mean is largest, the first among equals.

    Innovations go to that pixel. The maximum of Gaussians itself is not Gaussian, and larger in
    the mean; what a choice made by the means leaves out is in the theory pages.

    Args:
        kernel_size: size of the window, or height and width.
        stride: steps between windows; -1 takes the size of the kernel.
        padding: round the image: one number, `same` (the output has `ceil(n / stride)` pixels),
            `valid` (none), or `[[top, bottom], [left, right]]`. Padding is never chosen.
        padding_type: for one number: 0 or 1 pads all sides, 2 the bottom and the right only.

    Raises:
        ValueError: a size is not allowed.
    """

    kind = "max_pool2d"

    def __init__(
        self, kernel_size: Size, stride: Size = 1, padding: Padding = 0, padding_type: int = 0
    ) -> None:
        super().__init__(kernel_size, stride, padding, padding_type)

    def _choice(self, plan: Plan) -> tuple[Array, ...]:
        assert self.output_shape is not None
        return (plan.empty((plan.batch, *self.output_shape), np.int32),)
