"""pytagi's binary parameter file.

Layer after layer, from input to output, blocks by their inner layers: the length of the layer's
info line (8 bytes, little-endian), that line, and in float32 the means and variances of the weights
and of the biases; batch normalisation adds running means and variances. Activations leave no trace.
An `LSTM` of several layers is written as several, each a layer of its own there.
There is no magic number and no count, so the reader knows what to expect and checks it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tagi_cli import atomic
from tagi_cli.errors import UserError
from tagi_cli.nn.interop.info import info
from tagi_cli.nn.interop.known import check_known
from tagi_cli.nn.interop.naming import Entry, Leaf, leaves
from tagi_cli.nn.layer import Layer
from tagi_cli.nn.layers.batch_norm import BatchNorm2d
from tagi_cli.nn.layers.layer_norm import LayerNorm
from tagi_cli.nn.layers.pooling import Pooling
from tagi_cli.nn.parameters import Host

_RUNNING = ("running_mean", "running_var")


def _header(layer: Layer) -> bytes:
    line = info(layer).encode()
    return struct.pack("<Q", len(line)) + line


def _records(layer: Layer) -> Iterator[Leaf]:
    """The layers that have a record in the file."""
    for leaf in leaves(layer):
        if leaf.weight is not None or leaf.states or isinstance(leaf.layer, Pooling):
            check_known(leaf)
            yield leaf


def write_binary(layer: Layer, path: str | Path) -> None:
    """Write the parameters of a built network; folders on the way are made.

    Raises:
        UserError: a layer that pytagi does not have, or the file cannot be written.
    """
    path = Path(path)
    parts: list[bytes] = []
    for leaf in _records(layer):
        entry = leaf.entry()
        running = [entry.states[n] for n in _RUNNING] if isinstance(leaf.layer, BatchNorm2d) else []
        parts.append(_header(leaf.layer))
        parts += [np.asarray(a, "<f4").tobytes() for a in (*entry, *running)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as file:
        file.write(b"".join(parts))


def read_binary(layer: Layer, path: str | Path) -> None:
    """Set the parameters of a built network from a file, or leave them all as they are.

    A layer normalisation may be followed by the statistics of the last batch, of which pytagi does
    not tell the size; they are passed over.

    Raises:
        UserError: the file cannot be read, is cut short or too long, or is of another network.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    records = list(_records(layer))
    position, loaded = 0, []
    for i, leaf in enumerate(records):
        header = _header(leaf.layer)
        found = data[position : position + len(header)]
        if found != header:
            raise UserError(f"{path}: {_found(data, position)}; the network has {info(leaf.layer)}")
        position += len(header)
        sizes = [array.size for array in leaf.entry()]
        if isinstance(leaf.layer, BatchNorm2d):
            sizes += [leaf.layer.features] * 2
        arrays = []
        for size in sizes:
            if len(data) - position < 4 * size:
                raise UserError(
                    f"{path}: ends at byte {len(data)}, inside the parameters of {leaf.name}"
                )
            arrays.append(np.frombuffer(data, "<f4", size, position))
            position += 4 * size
        loaded.append((leaf, _entry(leaf, arrays)))
        if isinstance(leaf.layer, LayerNorm):
            following = records[i + 1].layer if i + 1 < len(records) else None
            position = _skip_statistics(data, position, following)
    if position != len(data):
        raise UserError(
            f"{path}: {len(data) - position} bytes are left after the last layer; it is of another "
            "network"
        )
    try:
        for leaf, entry in loaded:
            leaf.check(entry)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    for leaf, entry in loaded:
        leaf.assign(entry)


def _entry(leaf: Leaf, arrays: list[Host]) -> Entry:
    """The entry of a layer: its states as they are, but for those in the file."""
    states = dict(leaf.entry().states)
    if len(arrays) > 4:
        states |= dict(zip(_RUNNING, arrays[4:], strict=True))
        # A network that never saw a batch still has the initial values.
        fresh = not arrays[4].any() and (arrays[5] == 1).all()
        states["seen"] = np.array([0.0 if fresh else 1.0])
    return Entry(arrays[:4], states)


def _skip_statistics(data: bytes, position: int, following: Layer | None) -> int:
    """Where the record after a layer normalisation begins."""
    if following is None:
        rest = len(data) - position
        return len(data) if rest % 8 == 0 else position
    header = _header(following)
    for begin in range(position, len(data) - len(header) + 1, 8):
        if data[begin : begin + len(header)] == header:
            return begin
    return position


def _found(data: bytes, position: int) -> str:
    """What a file holds where a layer was expected, in words."""
    if len(data) < position + 8:
        return f"ends at byte {len(data)}"
    (length,) = struct.unpack_from("<Q", data, position)
    line = data[position + 8 : position + 8 + length] if length <= 256 else b""
    if not line.isascii() or not line.decode().isprintable() or not line:
        return f"no layer begins at byte {position}"
    if len(line) < length:
        return f"ends at byte {len(data)}"
    return f"found {line.decode()} at byte {position}"
