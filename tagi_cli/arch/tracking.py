"""Does a network carry states along series, as its options tell?"""

from __future__ import annotations

from typing import Any

from tagi_cli import nn
from tagi_cli.arch.recurrence import LSTMOptions
from tagi_cli.arch.slstm import SLSTMOptions
from tagi_cli.errors import UserError


def tracks(options: Any) -> bool:
    """Whether the network that options of an architecture describe carries states.

    Layers that do not fit together carry none; building the network says what is wrong with them.
    """
    if isinstance(options, LSTMOptions):
        return options.internal_state.tracking
    if isinstance(options, nn.SequentialOptions | nn.GraphOptions):
        try:
            layer = (
                nn.build_graph(options)
                if isinstance(options, nn.GraphOptions)
                else nn.build_sequential(options)
            )
        except (UserError, ValueError):
            return False
        return any(each.cell.tracking for each in nn.recurrences(layer))
    return isinstance(options, SLSTMOptions)
