"""What ranks of one run agree on, and which device and how many threads each of them has."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping

from tagi_cli.backend.select import without_gpu
from tagi_cli.distributed import Communicator
from tagi_cli.errors import UserError
from tagi_cli.experiment.latent import networks as latent
from tagi_cli.experiment.provenance import available_cores
from tagi_cli.experiment.settings import Settings, dump_settings
from tagi_cli.version import __version__

_MAY_DIFFER = ("path:", "resume:", "device:")
"""Lines of a config that may differ between machines; the data themselves are compared."""


def check_alike(ranks: Communicator, settings: Settings, data_sha256: str) -> None:
    """Make sure that all ranks do the same, and can.

    Raises:
        UserError: another config, other data or another version on some rank; a network that ranks
            cannot share; the same on all.
    """
    if ranks.size == 1:
        return
    if latent.is_latent(settings.arch):
        raise UserError(latent.ALONE)
    facts = {"version of tagi": __version__, "sha256 of the data": data_sha256, **_lines(settings)}
    everywhere = ranks.exchange(facts)
    faults = []
    for rank, theirs in enumerate(everywhere[1:], 1):
        wrong = _difference(everywhere[0], theirs)
        if wrong is not None:
            name, first, other = wrong
            faults.append(f"{name} is {first} on rank 0 and {other} on rank {rank}")
    if faults:
        raise UserError(
            "ranks must be started alike, with the same arguments and files: " + "; ".join(faults)
        )


def _lines(settings: Settings) -> dict[str, str]:
    """The config by path, as far as it must be the same."""
    found: dict[str, str] = {}
    path: list[str] = []
    for line in dump_settings(settings).splitlines():
        indent = (len(line) - len(line.lstrip())) // 2
        key, _, value = line.strip().partition(":")
        path = [*path[:indent], key]
        if not line.strip().startswith(_MAY_DIFFER):
            found[".".join(path)] = value.strip()
    return found


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The first fact in which they differ, and what it is in each."""
    for name in dict.fromkeys([*one, *other]):
        if one.get(name) != other.get(name):
            return name, one.get(name, "not set"), other.get(name, "not set")
    return None


def device_of(ranks: Communicator, settings: Settings) -> str:
    """The device of this rank: ranks of one machine take turns with its GPUs."""
    shares = settings.device in ("auto", "cuda") and settings.kernels == "auto"
    if ranks.size == 1 or not shares or without_gpu():
        return settings.device
    import cupy

    return f"cuda:{ranks.local_rank % cupy.cuda.runtime.getDeviceCount()}"


def threads_of(ranks: Communicator, settings: Settings) -> int | None:
    """CPU threads of this rank: those asked for, else an equal part of the cores of its machine."""
    if settings.trainer.threads is not None or ranks.size == 1:
        return settings.trainer.threads
    cores = set(range(available_cores()))
    if hasattr(os, "sched_getaffinity"):
        cores = os.sched_getaffinity(0)
    own = platform.node()
    here = [found for node, found in ranks.exchange((own, cores)) if node == own]
    return max(1, len(set().union(*here)) // len(here))
