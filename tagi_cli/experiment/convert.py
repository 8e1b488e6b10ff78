"""`tagi convert`: checkpoints as CSV files and back, and pytagi's parameter files."""

from __future__ import annotations

from pathlib import Path

from tagi_cli.errors import UserError
from tagi_cli.experiment import pytagi_files
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.paths import user_path
from tagi_cli.training import checkpoint, csv_checkpoint

_SUFFIX = ".safetensors"


def exchange(
    source: str | Path,
    target: str | Path,
    format: str,
    run: str | Path | None = None,
    member: int | None = None,
) -> list[Path]:
    """Write a network of a run in one of pytagi's formats, or make a checkpoint from its files.

    Args:
        source: a run folder (its `best`), a checkpoint file or a CSV folder, to write; pytagi's
            file, or the prefix of its files, to read.
        target: the file or prefix, or the checkpoint file or CSV folder to make.
        format: one of `pytagi_files.FORMATS`.
        run: the run folder that the other side belongs to, where `source` is not that folder.
        member: which network of the ensemble, from 0; may be None where there is one.

    Returns:
        the paths written.

    Raises:
        UserError: `run` is needed, or see `pytagi_files`.
    """
    form = pytagi_files.format_of(format)
    source, target = user_path(source), user_path(target)
    ours = source.suffix == _SUFFIX or source.is_dir()
    if ours and (source / "config.yaml").is_file():
        if run is not None and user_path(run).resolve() != source.resolve():
            raise UserError(f"run: {source} is a run folder itself; leave out run=")
        return pytagi_files.write_pytagi(source, "best", target, form, member)
    if run is None:
        raise UserError(
            "run: must be given, as run=<run folder>: it says which network the parameters of "
            f"{source} belong to"
        )
    if ours:
        return pytagi_files.write_pytagi(run, str(source), target, form, member)
    return [pytagi_files.read_pytagi(source, run, target, form, member)]


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
    source, target = user_path(source), user_path(target)
    if (source / "config.yaml").is_file():
        source = RunFolder.open(source).checkpoint("best")
    to_file = source.is_dir()
    if to_file and not (source / csv_checkpoint.INDEX).is_file():
        raise UserError(f"{source}: neither a run folder nor a CSV checkpoint")
    pytagi_files.refuse_existing(target)
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
