"""A copy of a run folder, to keep and to work with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.sweeps.sweep import TABLE


def place_for(run: RunFolder) -> Path:
    """Where the best run is kept if nothing else is said: `outputs/<name>-best/<its name>`."""
    parent = run.path.parent
    name = parent.parent if (parent / TABLE).is_file() else parent
    return name.with_name(f"{name.name}-best") / run.path.name


def copy_run(run: RunFolder, target: Path) -> RunFolder:
    """Copy a run folder; it stands whole under its new name, or not at all.

    Raises:
        UserError: `target` is there already, or cannot be written.
    """
    if target.exists():
        raise UserError(f"{target}: is there already; nothing is overwritten. Choose another to=")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
            copied = Path(beside) / "run"
            shutil.copytree(run.path, copied, ignore=shutil.ignore_patterns(".lock"))
            copied.rename(target)
    except shutil.Error as error:
        _, path, reason = error.args[0][0]
        raise UserError(f"{path}: cannot be written ({reason})") from None
    except OSError as error:
        raise atomic.cannot_write(target, error) from error
    return RunFolder(target)
