"""Convolution, and what it shares with its transpose."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tagi_cli.backend.sliding_window import Window
from tagi_cli.nn.init import InitOptions, Prior
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError
from tagi_cli.nn.layers.geometry import Padding, Size, Sliding, image_shape, shown
from tagi_cli.nn.parameters import Parameter, Parameters, drawn
from tagi_cli.nn.plan import Plan, Value


class Convolution(Layer):
    """A layer whose weights slide over images; kernels are `<kind>_forward` and so on.

    Its `window` (known once built) goes from the input to the output, or the other way round where
    `transposed`.
    """

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        bias: bool = True,
        stride: Size = 1,
        padding: Padding = 0,
        padding_type: int = 1,
        in_width: int = 0,
        in_height: int = 0,
        gain_weight: float = 1.0,
        gain_bias: float = 1.0,
        init_method: str = "He",
        dilation: Size = 1,
        groups: int = 1,
        gain_mean: float = 1.0,
        init: InitOptions | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.has_bias = bias
        self.in_width = in_width
        self.in_height = in_height
        self.groups = groups
        try:
            self.sliding = Sliding.of(
                kernel_size, stride, dilation, padding, padding_type, cut=self.transposed
            )
            if in_channels < 0 or out_channels < 1 or min(in_width, in_height) < 0:
                raise ValueError("sizes must be positive")
            if groups < 1 or in_channels % groups or out_channels % groups:
                channels = " and ".join(str(c) for c in (in_channels, out_channels) if c)
                raise ValueError(f"groups {groups}: must divide {channels} channels")
        except ValueError as error:
            raise ValueError(f"{self.name}({in_channels},{out_channels}): {error}") from None
        self.gain_weight = gain_weight
        self.gain_bias = gain_bias
        self.init_method = init_method
        self.gain_mean = gain_mean
        self.init = init
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        self.window: Window

    def describe(self) -> str:
        """Name, channels and kernel."""
        return f"{self.name}({self.in_channels},{self.out_channels},{shown(self.sliding.kernel)})"

    @abstractmethod
    def _window(self, image: Shape) -> Window:
        """The window for an input image; a ShapeError's text lacks the layer's name."""

    def draw(self, rng: np.random.Generator) -> None:
        """Draw new prior means and set the prior variances; the channels must be known.

        Fans count the channels of one group times the taps of the kernel.
        """
        (kh, kw), g = self.sliding.kernel, self.groups
        I, O = self.in_channels, self.out_channels
        prior = Prior(self.init_method, kh * kw * I // g, kh * kw * O // g, self.init)
        shape = (I, O // g, kh, kw) if self.transposed else (O, I // g, kh, kw)
        pair = prior.weights(shape, rng, gain=self.gain_weight, gain_mean=self.gain_mean)
        self.weight = drawn(self.weight, "weight", *pair)
        if self.has_bias:
            pair = prior.bias((O,), rng, gain=self.gain_bias, gain_mean=self.gain_mean)
            self.bias = drawn(self.bias, "bias", *pair)

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        image = image_shape(self.describe(), shape, self.in_channels, self.in_height, self.in_width)
        if image[0] % self.groups:
            raise ShapeError(
                f"{self.describe()} has {self.groups} groups but gets {image[0]} channels {shape}"
            )
        self.in_channels, self.in_height, self.in_width = image
        try:
            self.window = self._window(image)
        except ShapeError as error:
            raise ShapeError(f"{self.describe()} {error}, and gets {image}") from None
        if self.weight is None:
            self.draw(rng)
        assert self.weight is not None
        parameters.adopt("weight", self.weight)
        if self.bias is not None:
            parameters.adopt("bias", self.bias)
        w = self.window
        return (w.C, w.H, w.W) if self.transposed else (w.O, w.P, w.Q)

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        B, window, weight, bias = plan.batch, self.window, self.weight, self.bias
        assert weight is not None
        assert self.output_shape is not None
        mu_b, var_b = (None, None) if bias is None else (bias.mu, bias.var)
        x = x.reshape((self.in_channels, self.in_height, self.in_width))
        z = plan.value(self.output_shape)
        scratch = plan.scratch(window.scratch(B))
        plan.call(
            f"{self.kind}_forward", z.mu, z.var, x.mu, x.var, weight.mu, weight.var, mu_b, var_b,
            scratch, B, *window,
        )  # fmt: skip

        def backward() -> None:
            if not z.reached:
                return
            d_mu, d_var = z.innovation()
            if x.wanted:
                d_mu_x, d_var_x, add = x.send()
                plan.call(
                    f"{self.kind}_backward", d_mu_x, d_var_x, d_mu, d_var, weight.mu, scratch, B,
                    *window, add,
                )  # fmt: skip
            G, L, add = plan.accumulators(weight)
            G_b, L_b, _ = (None, None, 0) if bias is None else plan.accumulators(bias)
            plan.call(
                f"{self.kind}_innovation", G, L, G_b, L_b, x.mu, d_mu, d_var,
                plan.scratch(window.scratch(B, square_map=self.transposed)), B, *window, add,
            )  # fmt: skip

        plan.on_backward(backward)
        return z

    def costs(self) -> list[Cost]:
        """Seven products per weight and placement: three forward, two and two backward."""
        assert self.output_shape is not None
        w = self.window
        weights = w.O * w.depth
        count = weights + (self.out_channels if self.has_bias else 0)
        return [Cost(self.describe(), self.output_shape, count, 14 * weights * w.P * w.Q)]


class Conv2d(Convolution):
    """Convolution of images with independent Gaussian weights and biases.

    Images are `(C, H, W)`, weights `(out_channels, in_channels / groups, height, width)`; the
    kernel is not flipped (cross-correlation). An axis of `n` pixels with padding `p` and `q` gives
    `floor((n + p + q - (k - 1) dilation - 1) / stride) + 1`.

    Args:
        in_channels: channels of the input; 0 takes them from the layer before.
        out_channels: channels of the output.
        kernel_size: size of the kernel, or height and width.
        bias: whether there is a bias per output channel.
        stride: steps between placements of the kernel.
        padding: zeros round the image: one number, `same` (the output has `ceil(n / stride)`
            pixels), `valid` (none), or `[[top, bottom], [left, right]]`.
        padding_type: for one number: 1 (or 0) pads all sides, 2 the bottom and the right only.
        in_width: width of the image; needed where the input is a flat row.
        in_height: height of the image; needed where the input is a flat row.
        gain_weight: factor on the prior standard deviation of the weights (not on their means).
        gain_bias: the same for the biases.
        init_method: `He` or `Xavier`.
        dilation: steps between taps of the kernel.
        groups: parts that channels are cut into; each output part sees one input part.
        gain_mean: factor on the spread of the prior means.
        init: what the prior is drawn from, where it is not the normal of `init_method`.

    Raises:
        ValueError: a size is not allowed, or `groups` does not divide the channels.
    """

    kind = "conv2d"

    def _window(self, image: Shape) -> Window:
        (C, H, W), sliding = image, self.sliding
        (P, Q), (top, left) = sliding.placements((H, W))
        return Window(
            C, H, W, self.out_channels, P, Q, *sliding.kernel, *sliding.stride, *sliding.dilation,
            top, left, self.groups,
        )  # fmt: skip
