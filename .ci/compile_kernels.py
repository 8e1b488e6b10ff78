"""Compile every `kernels/*.cu` for two GPU generations without a GPU; fail on errors and spills.

Needs NVRTC, the extra `kernels`. A cubin that compiles is not yet right or fast: the tests compare
numbers. Counts of registers differ between NVRTC releases, so they are printed and not bounded.
"""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

import nvidia

KERNELS = Path(__file__).parents[1] / "kernels"
ARCHITECTURES = ("sm_80", "sm_90")
REALS = ("float", "double")
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


def compile_one(nvrtc: ctypes.CDLL, path: Path, options: list[str]) -> tuple[bool, str]:
    """Whether the file compiles, and the log, which holds ptxas' report per kernel."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None
    )
    flags = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = nvrtc.nvrtcCompileProgram(program, len(options), flags)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return not failed, log.value.decode()


def main() -> int:
    """Compile all and print registers and spills per kernel; the status is the count of faults."""
    nvrtc = load_nvrtc()
    faults = 0
    for path in sorted(KERNELS.rglob("*.cu")):
        for architecture in ARCHITECTURES:
            for real in REALS:
                compiled, log = compile_one(
                    nvrtc,
                    path,
                    [
                        f"--gpu-architecture={architecture}",
                        "--std=c++17",
                        "--ptxas-options=-v",
                        f"--include-path={KERNELS}",
                        f"--define-macro=real={real}",
                    ],
                )
                label = f"{path.relative_to(KERNELS)} {architecture} {real}"
                kernels = REPORT.findall(log)
                if not compiled or not kernels:
                    what = "holds no kernel" if compiled else "does not compile"
                    print(f"{label}: {what}\n{log}")
                    faults += 1
                for kernel, stores, loads, registers in kernels:
                    spilt = int(stores) + int(loads) > 0
                    faults += spilt
                    print(f"{label} {kernel}: {registers} registers{', SPILLS' if spilt else ''}")
    return min(faults, 100)


if __name__ == "__main__":
    sys.exit(main())
