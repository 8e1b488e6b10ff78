"""CUDA functions of one device and precision, and how many threads each is started with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from tagi_cli.backend.base import Array
from tagi_cli.backend.sources import CUDA_OPTIONS, cuda_source, cuda_units

Launch = Callable[[], Any]
"""Puts prepared work on the current stream."""

_BLOCK = 128
_BLOCKS_PER_PROCESSOR = 16
_NULL = np.uint64(0)

# Kernels that give a thread block to each row: which arguments (from the end) multiply to the
# number of rows, and which to that of the columns that the threads of a block share.
_ROWS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "attention_remax": ((-3,), (-2,)),
    "attention_softmax": ((-3,), (-2,)),
    "categorical_update": ((-2,), (-1,)),
    "channel_moments": ((-2,), (-3, -1)),
    "class_score": ((-1,), (-2,)),
    "channel_sums": ((-2,), (-1,)),
    "closed_form_softmax_forward": ((-2,), (-1,)),
    "copy_columns": ((-7,), (-2,)),
    "damped_update": ((-2,), (-1,)),
    "damping_share": ((-1,), (-2,)),
    "embedding_forward": ((-3,), (-1,)),
    "gather_images": ((-2,), (-1, -4)),
    "gather_rows": ((-2,), (-1,)),
    "gather_windows": ((-3,), (-2, -1)),
    "gaussian_score": ((-1,), (-2,)),
    "heteroscedastic_score": ((-1,), (-2,)),
    "indexed_update": ((-3,), (-2,)),
    "keep_rows": ((-2,), (-1,)),
    "lstm_cell_backward": ((-8,), (-6,)),
    "lstm_cell_forward": ((-10,), (-7,)),
    "lstm_input": ((-5, -4), (-3,)),
    "lstm_state_load": ((-2,), (-1,)),
    "lstm_state_posterior": ((-3,), (-1,)),
    "lstm_state_store": ((-3,), (-1,)),
    "noise_statistics": ((-1,), (-2,)),
    "norm_innovation": ((-4,), (-5, -3)),
    "project_innovation": ((-3, -2), (-1,)),
    "remax_forward": ((-2,), (-1,)),
    "rotate_pairs": ((-6,), (-2,)),
    "row_statistics": ((-5,), (-4,)),
    "scale_innovation": ((-3,), (-4, -2)),
    "softmax_forward": ((-2,), (-1,)),
    "softmax_update": ((-2,), (-1,)),
    "tree_targets": ((-3,), (-1,)),
    "transpose": ((-11, -10, -9, -8), (-7,)),
    "weigh_labels": ((-3,), (-1,)),
}


class Kernels:
    """The compiled functions.

    Args:
        cupy: the module.
        dtype: precision of moments.
        processors: multiprocessors of the device.

    Attributes:
        processors: multiprocessors of the device.
    """

    def __init__(self, cupy: Any, dtype: np.dtype[Any], processors: int) -> None:
        self._cupy = cupy
        self._dtype = dtype
        self.processors = processors
        self._most_blocks = processors * _BLOCKS_PER_PROCESSOR
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def function(self, name: str) -> Any:
        """The CUDA function of a kernel, compiled on first use.

        Raises:
            KeyError: there is none.
        """
        if name not in self._functions:
            unit = cuda_units()[name]
            if unit not in self._modules:
                source = cuda_source(unit, self._dtype == np.float64)
                self._modules[unit] = self._cupy.RawModule(code=source, options=CUDA_OPTIONS)
            self._functions[name] = self._modules[unit].get_function(name)
        return self._functions[name]

    def launch(self, name: str, *arguments: Any) -> Launch:
        """A launch with a number of threads that suits the kernel.

        Elementwise kernels get a thread for each element of their first argument, an output, up to
        what fills the device; loops in the kernel do the rest.
        """
        if name in _ROWS:
            rows, columns = (
                prod(int(arguments[position]) for position in positions)
                for positions in _ROWS[name]
            )
            threads = min(256, -(-max(columns, 1) // 32) * 32)
            return self.start(name, (max(min(rows, self._most_blocks), 1),), (threads,), *arguments)
        return self.launch_over(arguments[0].size, name, *arguments)

    def launch_over(self, elements: int, name: str, *arguments: Any) -> Launch:
        """A launch of an elementwise kernel over a given number of elements."""
        blocks = max(min(-(-elements // _BLOCK), self._most_blocks), 1)
        return self.start(name, (blocks,), (_BLOCK,), *arguments)

    def start(
        self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any
    ) -> Launch:
        """A launch with a given number of blocks and threads in each."""
        typed = tuple(self._typed(name, argument) for argument in arguments)
        return partial(self.function(name), grid, block, typed)

    def _typed(self, name: str, argument: Any) -> Any:
        """An argument as the kernel takes it: Python numbers would arrive as 64-bit ones."""
        if argument is None:
            return _NULL
        if isinstance(argument, np.generic):
            return argument
        if isinstance(argument, int):
            return np.int32(argument)
        if not isinstance(argument, self._cupy.ndarray):
            raise TypeError(f"{name}: {type(argument).__name__} is no argument of a kernel")
        if not argument.flags.c_contiguous:
            raise ValueError(f"{name}: an array is not contiguous")
        return argument


def part(array: Array, start: int, *shape: int) -> Array:
    """Elements `start, ...` of a flat array as an array of some shape."""
    return array[start : start + prod(shape)].reshape(shape)
