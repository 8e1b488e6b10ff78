"""Architectures given layer by layer: do they fit the data and the task?"""

from __future__ import annotations

from collections.abc import Callable

from tagi_cli import nn
from tagi_cli.errors import UserError


def fitting(
    make: Callable[[], nn.Layer], input_shape: tuple[int, ...], outputs: int, where: str
) -> nn.Layer:
    """A fresh layer from `make`, after another one was tried on the input.

    Args:
        make: builds the layer; called twice.
        input_shape: shape of one row of input.
        outputs: units that the task needs.
        where: config path for the error.

    Raises:
        UserError: options or layers do not go together, or end in another number of units.
    """
    try:
        shape = nn.output_shape(make(), input_shape)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None
    units = nn.flat_size(shape)
    if units != outputs:
        raise UserError(
            f"{where}: the last layer gives {units} units, the task needs {outputs} "
            "(one per target, two with noise: heteroscedastic; in classification one per class, "
            "with task.head: hrc one per node of the tree)"
        )
    return make()
