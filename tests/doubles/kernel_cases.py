"""The tests of all kernels, to be run on another compiled backend than the CPU's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1] / "backend"
# Of the CPU's own threads, and of the list of files that it compiles.
_NOT_OF_KERNELS = ("threads", "every_kernel_has_a_reference")


def cases() -> dict[str, Callable[..., Any]]:
    """Test functions of `tests/backend/test_kernels*.py` by name, with the file's in front."""
    found: dict[str, Callable[..., Any]] = {}
    for path in sorted(_FOLDER.glob("test_kernels*.py")):
        spec = importlib.util.spec_from_file_location(f"cases_of_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {
            f"{path.stem}_{name.removeprefix('test_')}": function
            for name, function in vars(module).items()
            if name.startswith("test_") and not any(word in name for word in _NOT_OF_KERNELS)
        }
    return found
