"""Compile every `kernels/**/*.cu` for two GPU generations without a GPU; fail on errors and spills.

Needs NVRTC, the extra `kernels`. A cubin that compiles is not yet right or fast: the tests compare
numbers. Counts of registers differ between NVRTC releases, so they are printed and not bounded.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import sys
from pathlib import Path

import nvidia

from tagi_cli.backend.sources import CUDA_OPTIONS, cuda_source
from tagi_cli.paths import resource_dir

ARCHITECTURES = ("sm_80", "sm_90")
PRECISIONS = ("float32", "float64")
REPORT = re.compile(
    r"properties for (\w+).*?(\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers",
    re.DOTALL,
)


def load_nvrtc() -> ctypes.CDLL:
    """The compiler of the installed wheel; its builtins must be in the process first."""
    (library,) = Path(next(iter(nvidia.__path__))).glob("cu*/lib/libnvrtc.so.1?")
    (builtins,) = library.parent.glob("libnvrtc-builtins.so.*")
    ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(library))


def compile_one(
    nvrtc: ctypes.CDLL, unit: str, double: bool, options: list[str]
) -> tuple[bool, str]:
    """Whether a unit compiles as the backend composes it, and the log: ptxas' report."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    source = cuda_source(unit, double).encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, unit.encode(), 0, None, None)
    flags = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), flags)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return not failed, log.value.decode()


def main() -> int:
    """Compile all, print the faults and a summary; the status is the number of faults."""
    nvrtc = load_nvrtc()
    faults, used = 0, {}
    folder = resource_dir("kernels")
    units = [p.relative_to(folder).with_suffix("").as_posix() for p in sorted(folder.rglob("*.cu"))]
    for unit, architecture, precision in itertools.product(units, ARCHITECTURES, PRECISIONS):
        options = [
            f"--gpu-architecture={architecture}",
            *CUDA_OPTIONS,
            "--ptxas-options=-v",
        ]
        compiled, log = compile_one(nvrtc, unit, precision == "float64", options)
        label = f"{unit} {architecture} {precision}"
        kernels = REPORT.findall(log)
        if not compiled or not kernels:
            print(f"{label}: {'holds no kernel' if compiled else 'does not compile'}\n{log}")
            faults += 1
        for kernel, stores, loads, registers in kernels:
            used[kernel] = max(used.get(kernel, 0), int(registers))
            if int(stores) + int(loads) > 0:
                print(f"{label} {kernel}: spills {stores} bytes at {registers} registers")
                faults += 1
    most = max(used, key=used.__getitem__, default="none")
    print(
        f"{len(used)} kernels for {', '.join(ARCHITECTURES)} in {', '.join(PRECISIONS)}: {faults} "
        f"faults; at most {used.get(most, 0)} registers a thread ({most})"
    )
    return min(faults, 100)


if __name__ == "__main__":
    sys.exit(main())
