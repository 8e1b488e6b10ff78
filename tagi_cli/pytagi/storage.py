"""Saving and loading networks: our safetensors file, or pytagi's binary file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load as decode
from safetensors.numpy import save as encode

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.nn import Network, interop
from tagi_cli.pytagi import carried

SUFFIX = ".safetensors"


def save(network: Network, filename: str | Path) -> None:
    """Write the parameters and states of a network; folders on the way are made.

    Args:
        network: whose they are.
        filename: `.safetensors` writes that format, with everything that a prediction needs; any
            other name pytagi's.

    Raises:
        UserError: the file cannot be written, or pytagi's format has no place for a layer.
    """
    path = Path(filename)
    if path.suffix != SUFFIX:
        interop.write_binary(network.layer, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as file:
        file.write(encode(network.state_dict()))


def load(network: Network, filename: str | Path) -> None:
    """Set the parameters of a network from a file in either format, or leave them as they are.

    Raises:
        UserError: the file cannot be read, is damaged, or is of another network.
    """
    path = Path(filename)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    # Both formats begin with a length of 8 bytes; ours goes on with JSON, pytagi's with a name.
    if data[8:9] != b"{":
        interop.read_binary(network.layer, path)
        return
    try:
        carried.load(network, decode(data))
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error})") from None
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
