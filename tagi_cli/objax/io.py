"""Saving and loading variables."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load as decode
from safetensors.numpy import save as encode

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.objax.variable import Host, VarCollection

_VARIANCE = "|variance"


def _named(vc: VarCollection) -> dict[str, Host]:
    """Values and variances, of a variable with several names under the first one."""
    found: dict[str, Host] = {}
    names = {id(var): name for name, var in reversed(list(vc.items()))}
    for var in vc:
        value, variance = var.read()
        found[names[id(var)]] = value
        if variance is not None:
            found[names[id(var)] + _VARIANCE] = variance
    return found


def save_var_collection(file: str | Path, vc: VarCollection) -> None:
    """Write values and variances to a `.safetensors` file.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic.replacing(Path(file)) as target:
        target.write(encode(_named(vc)))


def load_var_collection(file: str | Path, vc: VarCollection) -> None:
    """Set values and variances of all variables, or of none.

    Raises:
        UserError: the file cannot be read, is damaged, or holds other variables.
    """
    try:
        found = decode(Path(file).read_bytes())
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise UserError(f"{file}: damaged ({error})") from None
    expected = _named(vc)
    missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or unknown:
        raise UserError(
            f"{file}: the variables are others: missing {sorted(missing)}, unknown "
            f"{sorted(unknown)}"
        )
    for name, old in expected.items():
        if found[name].shape != old.shape:
            raise UserError(f"{file}: {name} has the shape {found[name].shape}, not {old.shape}")
    names = {id(var): name for name, var in reversed(list(vc.items()))}
    for var in vc:
        name = names[id(var)]
        var.assign(found[name], found.get(name + _VARIANCE))
