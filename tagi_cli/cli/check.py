"""`tagi check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tagi_cli.errors import UserError, UserErrors

if TYPE_CHECKING:
    from tagi_cli.data import Dataset

HELP = """
Check a config and its data; list every fault at once; write nothing.

usage: tagi check config=<preset|file.yaml> [key=value ...]

Reads the data, resolves its columns and splits, and fits the network's layers together.
Exit code 0 if `tagi train` with the same arguments would start, else 2.

examples:
  tagi check config=my.yaml
  tagi check data.path=houses.csv data.out_components=price
"""


def run(arguments: list[str]) -> int:
    """Report all faults, or what was found."""
    from tagi_cli import config, data
    from tagi_cli.cli.configuration import settings_from
    from tagi_cli.experiment.settings import Settings, registries
    from tagi_cli.experiment.summary import summarise

    try:
        settings = settings_from(arguments)
    except UserErrors as error:
        # The data can be looked at although other parts are faulty.
        composed = config.compose(Settings, registries(), arguments)
        raise UserErrors([*error.faults, *_data_faults(composed.tree.get("data"))]) from None
    notices: list[str] = []
    dataset = data.load(settings.data, notices=notices)
    summary = summarise(settings, dataset.encoder)
    for notice in notices:
        print(f"note: {notice}")
    print(_found(dataset))
    print(f"network: {summary.members} x {summary.parameters:,} parameters on {summary.backend}")
    print("no fault found")
    return 0


def _data_faults(tree: Any) -> list[str]:
    """What reading the data brings to light, where their own options are in order."""
    from tagi_cli import config, data
    from tagi_cli.data.options import DataOptions

    try:
        options = config.check(DataOptions, {}, tree or {}, where="data")
    except UserErrors:
        return []
    try:
        data.load(options)
    except UserErrors as error:
        return error.faults
    except UserError as error:
        return [str(error)]
    return []


def _found(dataset: Dataset) -> str:
    sizes = ", ".join(
        f"{len(getattr(dataset, part))} {part}" for part in ("train", "valid", "test")
    )
    encoder = dataset.encoder
    return (
        f"data: {dataset.name}, {sizes} rows; {', '.join(encoder.inputs)} -> "
        f"{', '.join(encoder.outputs)}"
    )
