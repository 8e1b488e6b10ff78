"""The fast CPU backend: kernels compiled for this machine, a segment is one foreign call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from tagi_cli.backend.base import Backend, Call, Segment
from tagi_cli.backend.host import compiler


class _Library:
    """Loaded kernels of one precision."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._double = dtype == np.float64
        self._loaded: dict[str, ctypes.CDLL] = {}
        runtime = self._load(["runtime"])["runtime"]
        # No argtypes: exact ctypes objects pass fastest.
        self.run, self.run_once = runtime.run, runtime.run_once
        self.run.restype = self.run_once.restype = None

    def _load(self, units: Sequence[str]) -> dict[str, ctypes.CDLL]:
        missing = [unit for unit in units if unit not in self._loaded]
        for unit, path in compiler.build(missing, self._double).items():
            if not path.exists():  # another process has just dropped it as unused
                compiler.build([unit], self._double)
            # The runtime has what the kernels call.
            scope = ctypes.RTLD_GLOBAL if unit == "runtime" else ctypes.RTLD_LOCAL
            try:
                self._loaded[unit] = ctypes.CDLL(str(path), mode=scope)
            except OSError as error:
                raise compiler.CompilerError(f"compiled kernels do not load: {error}") from None
        return self._loaded

    def addresses(self, kernels: Sequence[str]) -> dict[str, int]:
        """Addresses of the packed entries of kernels, compiling what is missing."""
        units = compiler.units()
        self._load([units[name] for name in kernels])
        return {
            name: _address(getattr(self._loaded[units[name]], f"{name}_packed")) for name in kernels
        }


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class HostSegment(Segment):
    """Ops laid out in memory: `{entry, arguments}`, `arguments[k]` points at the k-th value."""

    def __init__(self, library: _Library, calls: Sequence[Call]) -> None:
        self._run = library.run
        # What the pointers point at must live as long as the segment.
        self._keep = [call.arguments for call in calls]
        total = sum(len(call.arguments) for call in calls)
        values = np.zeros(total, np.uint64)
        pointers = values.ctypes.data + 8 * np.arange(total, dtype=np.uint64)
        ops = np.zeros((len(calls), 2), np.uint64)
        entries = library.addresses([call.kernel for call in calls])
        position = 0
        for op, call in zip(ops, calls, strict=True):
            op[0] = entries[call.kernel]
            op[1] = pointers.ctypes.data + 8 * position
            for argument in call.arguments:
                values[position] = _word(argument)
                position += 1
        segment = np.array([ops.ctypes.data, len(calls)], np.uint64)
        self._memory = (values, pointers, ops, segment)
        self._segment = ctypes.c_void_p(segment.ctypes.data)
        self.once = partial(library.run_once, self._segment)

    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over."""
        self._run(self._segment, ctypes.c_int(times))


def _word(argument: Any) -> int:
    """The eight bytes that a kernel finds behind an argument's pointer."""
    if argument is None:
        return 0
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError("a kernel's array is not contiguous")
        return int(argument.ctypes.data)
    return int.from_bytes(argument.tobytes().ljust(8, b"\0"), "little")


_libraries: dict[np.dtype[Any], _Library] = {}


class HostBackend(Backend):
    """NumPy arrays and compiled C++ kernels.

    Raises:
        CompilerError: kernels cannot be compiled or loaded here.
    """

    name = "host"

    def __init__(self, precision: str = "float32") -> None:
        super().__init__(precision)
        if self.dtype not in _libraries:
            _libraries[self.dtype] = _Library(self.dtype)
        self._library = _libraries[self.dtype]

    def bind(self, calls: Sequence[Call]) -> HostSegment:
        """Make a segment of calls."""
        return HostSegment(self._library, calls)

    def describe(self) -> str:
        """One line for people."""
        return f"C++ kernels ({compiler.compiler()[1]}), {self.dtype}"
