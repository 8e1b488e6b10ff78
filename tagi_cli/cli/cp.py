"""`tagi cp`."""

from __future__ import annotations

import shlex
from pathlib import Path

from tagi_cli import atomic
from tagi_cli.cli.arguments import words
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.paths import CONFIGS, user_path

HELP = """
Copy a preset to a file of your own, to start from.

usage: tagi cp <preset> <file.yaml>

Nothing is overwritten. Then: tagi train config=<file.yaml>

examples:
  tagi cp quickstart my.yaml
"""


def run(arguments: list[str]) -> int:
    """Copy it, comments included."""
    preset, file = words(arguments, ["preset", "file.yaml"])
    from tagi_cli.config import Catalogue, own_copy

    presets = Catalogue.shipped({}).files("config")
    if preset not in presets:
        raise UserError(
            f"unknown preset '{preset}'.{nearest(preset, presets)} Allowed: {listing(presets, 60)}"
        )
    path = user_path(file)
    if path.is_dir():
        path = path / f"{Path(preset).name}.yaml"
    if path.suffix not in CONFIGS:
        raise UserError(f"{path}: found '{path.suffix}'. Allowed: a name that ends in .yaml")
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(own_copy(preset, presets[preset], str(path)))
    except FileExistsError:
        raise UserError(f"{path}: is there already; nothing is overwritten") from None
    except OSError as error:
        raise atomic.cannot_write(path, error) from error
    print(f"tagi train {shlex.quote(f'config={path}')}")
    return 0
