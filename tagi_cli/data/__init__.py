"""Data: tables, splits, scaling, and the encoder that outlives them.

Names are resolved on first use, so that `tagi_cli.data.options` costs no numpy import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagi_cli.data.bundled import BUNDLED as BUNDLED
    from tagi_cli.data.dataset import Dataset as Dataset
    from tagi_cli.data.dataset import load as load
    from tagi_cli.data.dataset import source_table as source_table
    from tagi_cli.data.encoder import Encoder as Encoder
    from tagi_cli.data.options import DataOptions as DataOptions
    from tagi_cli.data.parts import Part as Part
    from tagi_cli.data.sources import read_table as read_table
    from tagi_cli.data.table import Table as Table
    from tagi_cli.data.windows import Windows as Windows

_HOMES = {
    "BUNDLED": "bundled",
    "DataOptions": "options",
    "Dataset": "dataset",
    "Encoder": "encoder",
    "Part": "parts",
    "Table": "table",
    "Windows": "windows",
    "load": "dataset",
    "read_table": "sources",
    "source_table": "dataset",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tagi_cli.data' has no attribute '{name}'")
    return getattr(import_module(f"tagi_cli.data.{_HOMES[name]}"), name)
