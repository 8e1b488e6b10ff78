"""The NumPy reference of every kernel: same name, same argument order, same results.

Arrays are contiguous and written in place. The formulas are explained here and in the theory pages;
`kernels/` repeats them for compiled code, and tests hold the two together. `KERNELS` finds a
reference by name.
"""

from __future__ import annotations

from collections.abc import Callable

from tagi_cli.backend.reference import (
    activations,
    attention,
    averages,
    classes,
    conv,
    damping,
    dropout,
    embedding,
    images,
    linear,
    lstm,
    mixtures,
    noise,
    norms,
    output,
    pooling,
    projection,
    rows,
    rules,
    scale,
    scores,
    softmax,
    structure,
)

KERNELS: dict[str, Callable[..., None]] = {
    name: function
    for module in (
        activations,
        attention,
        averages,
        classes,
        conv,
        damping,
        dropout,
        embedding,
        images,
        linear,
        lstm,
        mixtures,
        noise,
        norms,
        output,
        pooling,
        projection,
        rows,
        rules,
        scale,
        scores,
        softmax,
        structure,
    )
    for name, function in vars(module).items()
    if callable(function)
    and getattr(function, "__module__", "") == module.__name__
    and not name.startswith("_")
}
