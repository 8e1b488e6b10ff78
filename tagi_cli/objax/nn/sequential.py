"""A list of modules applied one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any, SupportsIndex, overload

from tagi_cli import nn
from tagi_cli.objax.module import Module
from tagi_cli.objax.tracing import Tracer, accepted
from tagi_cli.objax.variable import VarCollection

Item = Callable[..., Any]


class Sequential(Module, list[Item]):
    """Modules and functions applied one after the other; a list, which can be changed at any time.

    What comes out of one item goes into the next. Arguments given by name reach the items that
    take them, so that `training=True` reaches batch normalisation and dropout. An item may stand in
    several places, or in several lists: its variables are shared.

    Items are told apart by identity. `copy`, slices and sums are again `Sequential`; a copy shares
    its items, and `copy.deepcopy` copies them, too.

    Args:
        iterable: modules, or functions such as those of `functional`.
    """

    def __init__(self, iterable: Iterable[Item] = ()) -> None:
        list.__init__(self, iterable)

    def __repr__(self) -> str:
        return list.__repr__(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The items applied to the first argument; without items the arguments as they are."""
        for i, item in enumerate(self):
            if isinstance(item, nn.Layer) or not callable(item):
                hint = ". Put it into Lift(...)" if isinstance(item, nn.Layer) else ""
                raise TypeError(f"item {i}, {type(item).__name__}, is no module or function{hint}")
            names = accepted(type(item).__call__ if isinstance(item, Module) else item)
            own = {k: v for k, v in kwargs.items() if names is None or k in names}
            first = args[0] if args else None
            try:
                with first.inside(i) if isinstance(first, Tracer) else nullcontext():
                    result = item(*args, **own)
            except Exception as error:
                error.add_note(f"in item {i} of {type(self).__name__}, {type(item).__name__}")
                raise
            args = result if type(result) is tuple else (result,)
        return args[0] if len(args) == 1 else args

    def vars(self, scope: str = "") -> VarCollection:
        """All variables, with names such as `(Sequential)[0](Linear).w`.

        Args:
            scope: put in front of the names.
        """
        found = VarCollection()
        scope += f"({type(self).__name__})"
        for i, item in enumerate(self):
            if isinstance(item, Module):
                found.update(item.vars(f"{scope}[{i}]"))
        return found

    def copy(self) -> Sequential:
        """Another list of the same items."""
        return type(self)(self)

    def count(self, value: Item) -> int:
        """How often an item stands in the list."""
        return sum(item is value for item in self)

    def index(
        self, value: Item, start: SupportsIndex = 0, stop: SupportsIndex = sys.maxsize
    ) -> int:
        """The first place of an item, from `start` up to `stop`.

        Raises:
            ValueError: it is not there.
        """
        for i in range(*slice(start, stop).indices(len(self))):
            if self[i] is value:
                return i
        raise ValueError(f"{type(value).__name__} is not in the list")

    def remove(self, value: Item) -> None:
        """Take the first such item out.

        Raises:
            ValueError: it is not there.
        """
        del self[self.index(value)]

    def __contains__(self, value: object) -> bool:
        return any(item is value for item in self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Item | Sequential:
        if isinstance(index, slice):
            return type(self)(list.__getitem__(self, index))
        return list.__getitem__(self, index)

    def __add__(self, other: list[Item]) -> Sequential:  # type: ignore[override]
        return type(self)([*self, *other])
