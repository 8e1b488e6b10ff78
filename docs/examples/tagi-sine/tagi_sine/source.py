"""A data source: files of the attribute-relation format of Weka."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import arff


def read_arff(path: Path) -> dict[str, Any]:
    """Tables in ARFF files; nominal attributes are text."""
    rows, attributes = arff.loadarff(path)
    return {name: rows[name] for name in attributes.names()}
