"""The residual block."""

from __future__ import annotations

import numpy as np

from tagi_cli.nn.graph import INPUT, Graph, Node
from tagi_cli.nn.layer import Layer, Shape, ShapeError
from tagi_cli.nn.layers.structure import Add
from tagi_cli.nn.parameters import Parameters


class ResNetBlock(Graph):
    """Residual block: `main(x) + shortcut(x)`, or `main(x) + x`.

    The two branches count as independent, although both depend on `x` (He et al. 2016; the closed
    form of the sum is that of `Add`).

    Args:
        main: the branch that transforms, a layer or a `Sequential`.
        shortcut: the branch that brings the input to the same shape; None passes it on as it is.
    """

    kind = "resnet_block"

    def __init__(self, main: Layer, shortcut: Layer | None = None) -> None:
        self.main = main
        self.shortcut = shortcut
        branches = [Node("main", main, (INPUT,))]
        if shortcut is not None:
            branches.append(Node("shortcut", shortcut, (INPUT,)))
        other = INPUT if shortcut is None else "shortcut"
        super().__init__([*branches, Node("add", Add(), ("main", other))])

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        try:
            return super()._build(shape, parameters, rng)
        except ShapeError:
            made = self.main.output_shape
            other = shape if self.shortcut is None else self.shortcut.output_shape
            if made is None or other is None or made == other:
                raise
        added = "without a shortcut its input" if self.shortcut is None else "its shortcut"
        raise ShapeError(
            f"{self.describe()} adds its main branch, {made}, and {added}, {other}, which must "
            "have one shape"
        )

    def describe(self) -> str:
        """Name and number of layers in the main branch."""
        return f"ResNetBlock({self.main.describe()})"
