"""`tagi convert`: a checkpoint as CSV files, and back, without losing a bit."""

from __future__ import annotations

from pathlib import Path

from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.training import checkpoint, csv_checkpoint

_SUFFIX = ".safetensors"


def convert(source: str | Path, target: str | Path) -> Path:
    """Convert a checkpoint between its binary file and a folder of CSV files.

    Args:
        source: a `.safetensors` file, a CSV folder, or a run folder (its `best`).
        target: the folder to make from a file, or the `.safetensors` file to make from a folder.

    Returns:
        the path written.

    Raises:
        UserError: `source` is no checkpoint, `target` exists already or is of the wrong kind.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    if (source / "config.yaml").is_file():
        source = RunFolder.open(source).checkpoint("best")
    to_file = source.is_dir()
    if to_file and not (source / csv_checkpoint.INDEX).is_file():
        raise UserError(f"{source}: neither a run folder nor a CSV checkpoint")
    if target.exists():
        raise UserError(f"{target}: is there already; nothing is overwritten, name another place")
    if to_file != (target.suffix == _SUFFIX):
        wanted = f"a file *{_SUFFIX}" if to_file else f"a folder (no name ending in {_SUFFIX})"
        found = "a CSV folder" if to_file else "a binary checkpoint"
        raise UserError(f"{target}: {source} is {found}, so the target must be {wanted}")
    tensors, metadata = checkpoint.read(source)
    kind = "training" if "training" in metadata else "model"
    if to_file:
        checkpoint.write(target, tensors, metadata, kind)
    else:
        checkpoint.export_csv(target, tensors, metadata, kind)
    return target
