"""A convolution written out as a dense matrix: which weight joins which pixel to which output."""

from __future__ import annotations

import numpy as np

from tagi_cli import nn


def links(window: tuple[int, ...]) -> np.ndarray:
    """`(O P Q, C H W)`: flat index of the weight, -1 where there is none. Brute force."""
    C, H, W, O, P, Q, kh, kw, sh, sw, dh, dw, top, left, groups = window
    table = np.full((O, P, Q, C, H, W), -1)
    weight = np.arange(O * (C // groups) * kh * kw).reshape(O, C // groups, kh, kw)
    for o, p, q, i, j in np.ndindex(O, P, Q, kh, kw):
        y, x = p * sh + i * dh - top, q * sw + j * dw - left
        if 0 <= y < H and 0 <= x < W:
            for c in range(C // groups):
                channel = o // (O // groups) * (C // groups) + c
                table[o, p, q, channel, y, x] = weight[o, c, i, j]
    return table.reshape(O * P * Q, C * H * W)


def written_out(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Linear, np.ndarray]:
    """A fully connected layer with the same moments, and for each of its weights the shared one."""
    table = links(layer.window)
    if layer.transposed:
        table = table.T
    dense = nn.Linear(table.shape[1], table.shape[0], bias=layer.bias is not None)
    dense.draw(np.random.default_rng(0))
    mean, var = (
        np.where(table < 0, 0, np.asarray(flat).ravel()[table])
        for flat in (layer.weight.mu, layer.weight.var)
    )
    dense.weight.assign(mean, var)
    if layer.bias is not None:
        repeats = table.shape[0] // layer.out_channels
        dense.bias.assign(np.repeat(layer.bias.mu, repeats), np.repeat(layer.bias.var, repeats))
    return dense, table
