"""The text of the kernels: which file defines what, and a file with its headers put in."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tagi_cli.paths import resource_dir

CUDA_OPTIONS = ("--std=c++17", "--ftz=true")
"""What NVRTC is told, besides the architecture: denormals are zero, as on the host."""


def kernel_names(source: str) -> list[str]:
    """The kernels that a source defines."""
    return re.findall(r"^KERNEL (?:BLOCK_OF\(.*?\) )?(\w+)", source, re.M)


def without_host(source: str) -> str:
    """A source without what stands in it for the host alone."""
    return re.sub(r"^#ifdef TAGI_HOST$.*?^#(else|endif)$", "", source, flags=re.M | re.S)


def expanded(path: Path) -> str:
    """A source with our own headers put in, each once, so that a hash of it covers all of it."""
    seen: set[Path] = set()

    def text(file: Path) -> str:
        def header(match: re.Match[str]) -> str:
            included = (file.parent / match[1]).resolve()
            if included in seen:
                return ""
            seen.add(included)
            return text(included)

        return re.sub(r'^#include "(\S+)"$', header, file.read_text(), flags=re.M)

    return text(path)


def cuda_source(unit: str, double: bool) -> str:
    """What NVRTC compiles for a file in `kernels/`, such as `rows` or `gpu/linear`."""
    folder = resource_dir("kernels")
    precision = "#define TAGI_DOUBLE\n" if double else ""
    return "\n".join(
        [precision + (folder / "tagi.cuh").read_text(), expanded(folder / f"{unit}.cu")]
    )


@cache
def cuda_units() -> dict[str, str]:
    """The file of every CUDA function; one in `gpu/` takes the place of the shared one."""
    folder = resource_dir("kernels")
    files = [*sorted(folder.glob("*.cu")), *sorted((folder / "gpu").glob("*.cu"))]
    return {
        name: file.relative_to(folder).with_suffix("").as_posix()
        for file in files
        for name in kernel_names(without_host(file.read_text()))
    }
