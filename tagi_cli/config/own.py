"""A preset as a file of the user's own, without what only Hydra's presets need."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tagi_cli.config.catalogue import PRESETS
from tagi_cli.config.source import choices, read_yaml


def own_copy(preset: str, source: Path, path: str) -> str:
    """The text of a preset for a file of the user's, which composes to the same settings.

    Hydra's header goes, what the `defaults` list chooses becomes `<group>: <option>`, and commands
    in comments name the file. A group that is chosen and set as well stays in the list.

    Args:
        preset: its name.
        source: its file.
        path: the user's file, as it is to be named on the command line.
    """
    tree = read_yaml(source)
    lines = source.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("# @package")]
    if "defaults" in tree:
        begin = next(i for i, line in enumerate(lines) if line.startswith("defaults:"))
        end = begin + 1
        while end < len(lines) and lines[end].startswith((" ", "-")):
            end += 1
        plain, listed = [], []
        for group, option in choices(tree["defaults"], source, []):
            if group == PRESETS or group in tree:
                listed.append(f"  - {group}: {option}")
            else:
                plain.append(f"{group}: {option}")
        lines[begin:end] = [*(["defaults:", *listed] if listed else []), *plain]
    command = re.compile(rf"config={re.escape(preset)}(?![\w./-])")
    named = shlex.quote(f"config={path}")
    return command.sub(lambda found: named, "\n".join(lines).strip("\n") + "\n")
