"""Compile every `kernels/*.cu` for two GPU generations without a GPU; fail on errors and spills.

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

KERNELS = Path(__file__).parents[1] / "kernels"
PREAMBLE = KERNELS / "tagi.cuh"
ARCHITECTURES = ("sm_80", "sm_90")
PRECISIONS = {"float32": [], "float64": ["--define-macro=TAGI_DOUBLE"]}
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
    """Whether the file compiles behind its preamble, and the log, which holds ptxas' report."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    preamble = f'{PREAMBLE.read_text()}\n#line 1 "{path.name}"\n'
    source = (preamble + path.read_text()).encode()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, path.name.encode(), 0, None, None)
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
    targets = itertools.product(sorted(KERNELS.rglob("*.cu")), ARCHITECTURES, PRECISIONS)
    for path, architecture, precision in targets:
        options = [
            f"--gpu-architecture={architecture}",
            "--std=c++17",
            "--ptxas-options=-v",
            *PRECISIONS[precision],
        ]
        compiled, log = compile_one(nvrtc, path, options)
        label = f"{path.relative_to(KERNELS)} {architecture} {precision}"
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
