"""Where the files shipped beside the code lie."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The directory `name` (`configs` or `kernels`): the installed copy first, else the checkout's.

    Raises:
        FileNotFoundError: neither is there; the installation is damaged.
    """
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"no {name}/ in {_PACKAGE} nor beside it; install tagi-cli again")
