"""Paths: those that the user names, and those of the files shipped beside the code."""

from __future__ import annotations

from pathlib import Path

from tagi_cli.errors import UserError

TABLES = (".csv", ".tsv", ".txt", ".parquet", ".npz")
"""How names of tables mostly end, by which a plain word is told to be one."""

CONFIGS = (".yaml", ".yml")
"""How names of configs end."""

_PACKAGE = Path(__file__).resolve().parent


def user_path(text: str | Path) -> Path:
    """The path that the user's text names, `~` being their home; nothing need be there.

    Raises:
        UserError: the system cannot look there: a name too long, a folder that may not be entered,
            a circle of links, a home of nobody.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except RuntimeError:
        raise UserError(f"{text}: there is no user of that name") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        shown = str(text) if len(str(text)) <= 80 else f"{str(text)[:77]}..."
        raise UserError(f"{shown}: {reason}") from None
    return path


def resource_dir(name: str) -> Path:
    """The directory `name` (`configs` or `kernels`): the installed copy first, else the checkout's.

    Raises:
        FileNotFoundError: neither is there; the installation is damaged.
    """
    for candidate in (_PACKAGE / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"no {name}/ in {_PACKAGE} nor beside it; install tagi-cli again")
