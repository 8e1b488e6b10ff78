"""`tagi convert format=...`: one network of a run as pytagi's parameter files, and back.

Those files hold float32 parameters in the order of the layers and nothing of the data: scalers,
noise and the network itself come from a run. `tagi_cli.nn.interop` knows their layout.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagi_cli.backend import host_copy
from tagi_cli.errors import UserError, listing, nearest
from tagi_cli.experiment.folder import RunFolder
from tagi_cli.experiment.model import Model
from tagi_cli.nn import Layer, interop
from tagi_cli.nn.interop.text import ENDINGS
from tagi_cli.training import checkpoint
from tagi_cli.training.learner import Learner
from tagi_cli.training.resuming import MEMBER


class Format(NamedTuple):
    """How pytagi keeps parameters.

    Attributes:
        write: writes those of a network to a path.
        read: sets those of a network from a path, or none.
        endings: what the names of its files add to the path.
    """

    write: Callable[[Layer, str | Path], None]
    read: Callable[[Layer, str | Path], None]
    endings: tuple[str, ...]

    def files(self, path: Path) -> list[Path]:
        """The files that belong to a path."""
        return [Path(f"{path}{ending}") for ending in self.endings]


FORMATS = {
    "pytagi": Format(interop.write_binary, interop.read_binary, ("",)),
    "pytagi_csv": Format(interop.write_csv, interop.read_csv, ENDINGS),
}
"""By name: the binary file of `save`, and the four files of `save_csv`, named by their prefix."""


def format_of(name: str) -> Format:
    """The format of that name.

    Raises:
        UserError: there is none.
    """
    if name not in FORMATS:
        raise UserError(
            f"format: found '{name}'.{nearest(name, FORMATS)} Allowed: {listing(list(FORMATS))}"
        )
    return FORMATS[name]


def write_pytagi(
    run: str | Path, which: str, target: Path, form: Format, member: int | None
) -> list[Path]:
    """Write a network of a run for pytagi.

    Args:
        run: the run folder.
        which: `best`, `last`, or a checkpoint file or CSV folder.
        target: the file, or the prefix of the files.
        form: one of `FORMATS`.
        member: which network of the ensemble, from 0; may be None where there is one.

    Returns:
        the files.

    Raises:
        UserError: no such run, checkpoint or network, a layer that pytagi does not have, or a file
            is there already or cannot be written.
    """
    for path in form.files(target):
        refuse_existing(path)
    model = Model.load(run, which)
    form.write(_learner(model, _chosen(model, member, run)).layer, target)
    return form.files(target)


def read_pytagi(
    source: Path, run: str | Path, target: Path, form: Format, member: int | None
) -> Path:
    """Make a checkpoint of a run's `best` with the parameters of a network from pytagi's files.

    Args:
        source: the file, or the prefix of the files.
        run: a run of the same network; noise, scalers and other members stay as they are there.
        target: the `.safetensors` file to make, or the folder of CSV files.
        form: one of `FORMATS`.
        member: which network of the ensemble, from 0; may be None where there is one.

    Returns:
        the path written.

    Raises:
        UserError: no such run or network, or the files are missing, damaged, or of another network;
            or the target is there already.
    """
    refuse_existing(target)
    best = RunFolder.open(run).checkpoint("best")
    model = Model.load(run)
    index = _chosen(model, member, run)
    learner = _learner(model, index)
    form.read(learner.layer, source)
    for name, tensor in learner.parameters.tensors.items():
        for what, values in (("mean", tensor.mu), ("variance", tensor.var)):
            if not np.isfinite(host_copy(values)).all():
                raise UserError(f"{source}: a {what} of {name} is not finite")
    tensors, metadata = checkpoint.read(best)
    own = {f"{MEMBER}{index}.{name}": value for name, value in learner.state_dict().items()}
    if target.suffix == ".safetensors":
        checkpoint.write(target, {**tensors, **own}, {"model": metadata["model"]})
    else:
        checkpoint.export_csv(target, {**tensors, **own}, {"model": metadata["model"]})
    return target


def refuse_existing(path: Path) -> None:
    """Nothing is overwritten.

    Raises:
        UserError: something is at `path`.
    """
    if path.exists():
        raise UserError(f"{path}: is there already; nothing is overwritten, name another place")


def _chosen(model: Model, member: int | None, run: str | Path) -> int:
    """The number of a network of an ensemble.

    Raises:
        UserError: there is no such network, or several and none is named.
    """
    count = len(model.learners)
    if member is None and count == 1:
        return 0
    if member is None or not 0 <= member < count:
        found = "nothing" if member is None else str(member)
        raise UserError(
            f"member: found {found}; {run} is an ensemble, and pytagi's files hold one network. "
            f"Allowed: 0 to {count - 1}"
            if count > 1
            else f"member: found {found}; {run} has one network. Allowed: 0"
        )
    return member


def _learner(model: Model, index: int) -> Learner:
    learner = model.learners[index]
    if not isinstance(learner, Learner):
        raise UserError(
            "format: pytagi has no latent regression. Allowed: a run of another architecture, or "
            "no format, for a checkpoint as CSV files"
        )
    return learner
