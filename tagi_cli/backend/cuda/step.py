"""The update of fully connected layers in the kernel that sums what their parameters learn.

A step writes the sums G and L of a weight, reads them again in the update rule, and reads and
writes its moments: eight passes over arrays of the weights' size. Where nothing else asks for the
sums, one kernel keeps them in registers: four passes, in one launch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from tagi_cli.backend.base import Array, Backend, Call, host_copy
from tagi_cli.backend.cuda.kernels import Kernels, Launch
from tagi_cli.backend.cuda.linear import SIDE, TILES, Driver, blocks_of_product

WORK, ROWS = 1 << 25, 128
"""Multiply-adds per product up to which a layer is updated so, and rows of the batch up to which
larger ones are, too. For the latter our kernel multiplies slower than cuBLAS, but moves half as
much memory, and that while other blocks multiply. Estimates, for an H200 and large weights: a row
costs 0.13 ps a weight here and 0.08 ps there, where eight passes take another 8 ps.
"""

TILES_PER_PROCESSOR = 1
"""How many tiles of 64 x 64 weights make work for a multiprocessor: with fewer, and no more work
than `WORK`, tiles have 16 x 16. An estimate, as are the limits above; `benchmarks/gpu.py` measures
all three ways."""

# As in `kernels/gpu/step.cu`.
_RULES = ("sum", "capped", "information", "information_capped", "site")
_TILE, _GROUP = 64, 16

_FUSED = "linear_step"
"""The name of the call that takes the place of `linear_innovation`."""


_Span = tuple[int, int]
"""Memory from an address on, before another."""


def _span(array: Any) -> _Span:
    begin = int(array.data.ptr)
    return begin, begin + int(array.nbytes)


def _spans(arguments: Sequence[Any]) -> list[_Span]:
    """Of the arrays among the arguments."""
    return [_span(a) for a in arguments if hasattr(a, "nbytes") and not isinstance(a, np.generic)]


def _meet(some: Iterable[_Span], others: Sequence[_Span]) -> bool:
    """Whether any memory is shared."""
    return any(a < d and c < b for a, b in some for c, d in others)


class _Update:
    """A call `step_<rule>`, and the tensors that it goes through.

    Attributes:
        place: which call of the segment it is.
        rule: its rule, a number.
        taken: tensors that are updated elsewhere.
    """

    def __init__(self, calls: Sequence[Call], place: int) -> None:
        self.place = place
        self.call = calls[place]
        self.rule = _RULES.index(self.call.kernel.removeprefix("step_"))
        (self._mu, self._var, self._G, self._L, self._floored, ends, self.rows, self.cap,
         *_) = self.call.arguments  # fmt: skip
        self._bounds = list(pairwise([0, *host_copy(ends).tolist()]))
        self.taken: set[int] = set()

    def tensor(self, G: Any, L: Any) -> int | None:
        """Number of the tensor that has these sums; None if they are no tensor's."""
        bounds = []
        for sums, flat in ((G, self._G), (L, self._L)):
            begin = (_span(sums)[0] - _span(flat)[0]) // sums.itemsize
            bounds.append((begin, begin + sums.size))
        same = bounds[0] == bounds[1] and bounds[0] in self._bounds
        return self._bounds.index(bounds[0]) if same else None

    def moments(self, tensor: int) -> tuple[Array, Array, Array]:
        """Mean, variance and counter of a tensor."""
        begin, end = self._bounds[tensor]
        return self._mu[begin:end], self._var[begin:end], self._floored[tensor : tensor + 1]

    def rest(self, backend: Backend) -> list[Call]:
        """Calls for the tensors that are not taken, one for each run of neighbours."""
        if not self.taken:
            return [self.call]
        left = [tensor not in self.taken for tensor in range(len(self._bounds))]
        runs = [
            [tensor for tensor, _ in run]
            for kept, run in groupby(enumerate(left), lambda pair: pair[1])
            if kept
        ]
        return [self._run(backend, run[0], run[-1] + 1) for run in runs]

    def _run(self, backend: Backend, first: int, last: int) -> Call:
        bounds = self._bounds[first:last]
        begin, end = bounds[0][0], bounds[-1][1]
        flat = (a[begin:end] for a in (self._mu, self._var, self._G, self._L))
        ends = backend.asarray(np.array([stop - begin for _, stop in bounds]), np.int32)
        numbers = np.int32(len(bounds)), np.int32(end - begin)
        arguments = (*flat, self._floored[first:last], ends, self.rows, self.cap, *numbers)
        return self.call._replace(arguments=arguments)


def with_fused_steps(calls: Sequence[Call], backend: Backend) -> list[Call]:
    """The calls of a segment, with sums and update of a layer in one call where that is the same.

    It is where the sums are not added to others, no other call of the segment touches them (a
    second use of the weights, ranks that sum them, zeros for parameters that are not learnt), and
    none between the two touches the weights.
    """
    update = _update(calls)
    if update is None:
        return list(calls)
    used = [_spans(call.arguments) for call in calls]
    fused = {
        place: call
        for place in range(update.place)
        if calls[place].kernel == "linear_innovation"
        and (call := _fused(calls, used, place, update)) is not None
    }
    result: list[Call] = []
    for place, call in enumerate(calls):
        result += update.rest(backend) if place == update.place else [fused.get(place, call)]
    return result


def _update(calls: Sequence[Call]) -> _Update | None:
    """The update in a segment; None unless there is exactly one, behind what could be fused."""
    rules = {f"step_{rule}" for rule in _RULES}
    places = [place for place, call in enumerate(calls) if call.kernel in rules]
    sums = any(call.kernel == "linear_innovation" for call in calls)
    return _Update(calls, places[0]) if sums and len(places) == 1 else None


def _fused(
    calls: Sequence[Call], used: Sequence[list[_Span]], place: int, update: _Update
) -> Call | None:
    """What takes the place of a call `linear_innovation`, whose tensors it then has; or None.

    Args:
        calls: the segment.
        used: memory that each of them uses.
        place: which call it is.
        update: the update behind it.
    """
    G_w, L_w, G_b, L_b, *inputs, _, B, I, O, accumulate = calls[place].arguments
    if accumulate or not _pays(int(B), int(I), int(O)):
        return None
    pairs = [(G_w, L_w)] + ([] if G_b is None else [(G_b, L_b)])
    tensors = [update.tensor(*pair) for pair in pairs]
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) < len(tensors):
        return None
    parameters = [moment for tensor in found for moment in update.moments(tensor)]
    sums = _spans([array for pair in pairs for array in pair])
    others = (used[n] for n in range(len(calls)) if n not in (place, update.place))
    between = (*used[place + 1 : update.place], _spans(inputs))
    if any(_meet(memory, sums) for memory in others):
        return None
    if any(_meet(memory, _spans(parameters)) for memory in between):
        return None
    update.taken.update(found)
    no_bias = [None] * (6 - len(parameters))
    numbers = (np.int32(update.rule), B, I, O)
    arguments = (*parameters, *no_bias, *inputs, update.rows, update.cap, *numbers)
    return Call(_FUSED, arguments, calls[place].layer)


def _pays(B: int, I: int, O: int) -> bool:
    return I > 0 and (B * I * O <= WORK or B <= ROWS) and O <= SIDE * TILES


class StepDriver:
    """Launches of the calls that `with_fused_steps` makes.

    Attributes:
        drivers: by the name of the kernel.
    """

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self.drivers: dict[str, Driver] = {_FUSED: self._step}

    def _step(self, *call: Any) -> list[Launch]:
        B, I, O = map(int, call[-3:])
        tiles = (-(-I // _TILE), -(-O // _TILE))
        enough = TILES_PER_PROCESSOR * self._kernels.processors
        if tiles[0] * tiles[1] >= enough or B * I * O > WORK:
            block = (_GROUP, _GROUP)
            return [self._kernels.start("linear_step_large", tiles, block, *call)]
        blocks = blocks_of_product(O, I, B, call[0].itemsize)
        return [self._kernels.start(_FUSED, *blocks, *call)]
