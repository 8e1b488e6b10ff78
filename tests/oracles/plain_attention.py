"""Attention without variances, token by token: the oracle of the layer's means."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli import nn

Host = np.ndarray[Any, Any]


def weigh(weighting: str, scores: Host, seen: Host) -> Host:
    """Weights along the last axis: shares of exponentials, or of rectified scores."""
    if weighting == "softmax":
        shifted = np.where(seen, scores, -np.inf)
        f = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    else:
        f = np.where(seen, np.maximum(scores, 0), 0)
    total = f.sum(axis=-1, keepdims=True)
    even = seen / seen.sum(axis=-1, keepdims=True)
    return np.where(total > 0, f / np.where(total > 0, total, 1), even)


def turned(a: Host, theta: float) -> Host:
    """Pairs of units `(T, heads, d)` as complex numbers, turned by `position / theta^(2 i / d)`."""
    T, _, d = a.shape
    i = np.arange(d // 2)
    z = (a[..., ::2] + 1j * a[..., 1::2]) * np.exp(
        1j * np.arange(T)[:, None, None] / theta ** (2 * i / d)
    )
    return np.stack([z.real, z.imag], axis=-1).reshape(a.shape)


def attention(layer: nn.MultiheadAttention, parameters: dict[str, Host], x: Host) -> Host:
    """The output for `x (B, T, E)` with parameters by name (`weight`, `output.bias`, ...)."""
    B, T, E = x.shape
    H, G = layer.num_heads, layer.num_kv_heads
    d = E // H
    seen = np.tril(np.ones((T, T), bool)) if layer.causal else np.ones((T, T), bool)
    y = np.zeros((B, T, H, d))
    for b in range(B):
        p = x[b] @ parameters["weight"].T + parameters.get("bias", 0)
        q, k, v = (a.reshape(T, -1, d) for a in np.split(p, [E, E + G * d], axis=1))
        if layer.rotary:
            q, k = turned(q, layer.theta), turned(k, layer.theta)
        for h in range(H):
            g = h // (H // G)
            y[b, :, h] = weigh(layer.weighting, q[:, h] @ k[:, g].T / np.sqrt(d), seen) @ v[:, g]
    y = y.reshape(B, T, E)
    if layer.output is not None:
        y = y @ parameters["output.weight"].T + parameters.get("output.bias", 0)
    return y
