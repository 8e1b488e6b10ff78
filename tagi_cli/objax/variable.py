"""Variables of modules, and collections of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

Host = np.ndarray[Any, Any]


class Place(Protocol):
    """Where a network keeps a variable."""

    def read(self) -> tuple[Host, Host | None]:
        """Copies of value and variance, in the variable's shape."""
        ...

    def write(self, value: Host, variance: Host | None) -> None:
        """Set them."""
        ...


class BaseVar:
    """An array that a module keeps between calls.

    A network that runs the module holds the array; before the first call the variable does.

    Args:
        value: what it starts from.
        variance: of each element, or one number for all; None for what is no Gaussian.

    Raises:
        ValueError: a variance is negative or not a number, or does not fit the value.
    """

    def __init__(self, value: Any, variance: Any = None) -> None:
        array = np.array(value)
        self.shape = array.shape
        self.dtype = array.dtype if array.dtype.kind == "i" else np.dtype(np.float64)
        self._value: Host = array.astype(self.dtype)
        self._variance: Host | None = None
        if variance is not None:
            self._variance = self._checked("variance", np.broadcast_to(variance, self.shape))
        self.place: Place | None = None

    def _checked(self, what: str, given: Any) -> Host:
        array = np.array(given, self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"the {what} has the shape {array.shape}, the variable {self.shape}")
        if what == "variance" and not (array >= 0).all():
            raise ValueError("a variance is negative or not a number")
        return array

    def read(self) -> tuple[Host, Host | None]:
        """Copies of value and variance."""
        if self.place is not None:
            return self.place.read()
        return self._value.copy(), None if self._variance is None else self._variance.copy()

    @property
    def value(self) -> Host:
        """A copy of the value, of a Gaussian its mean; can be set."""
        return self.read()[0]

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(value)

    @property
    def variance(self) -> Host | None:
        """A copy of the variance, None for what is no Gaussian; can be set."""
        return self.read()[1]

    @variance.setter
    def variance(self, variance: Any) -> None:
        self.assign(self.value, variance)

    def assign(self, value: Any, variance: Any = None) -> None:
        """Set the value, and the variance where it is given.

        Args:
            value: of the variable's shape.
            variance: likewise, or one number for all elements.

        Raises:
            ValueError: something has another shape, a variance is negative or not a number, or the
                variable is no Gaussian.
        """
        new, kept = self._checked("value", value), self.variance
        if variance is not None:
            if kept is None:
                raise ValueError("this variable has no variance")
            kept = self._checked("variance", np.broadcast_to(variance, self.shape))
        if self.place is None:
            self._value, self._variance = new, kept
        else:
            self.place.write(new, kept)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: the present value and variance, and no network."""
        value, variance = self.read()
        kept = {"shape": self.shape, "dtype": self.dtype, "place": None}
        return {**kept, "_value": value, "_variance": variance}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape})"


class TrainVar(BaseVar):
    """Gaussian parameters, which training updates: `value` is their mean.

    Args:
        value: prior mean.
        variance: prior variance, of each element or one number for all.
    """

    def __init__(self, value: Any, variance: Any) -> None:
        super().__init__(value, variance)

    @property
    def moments(self) -> tuple[Host, Host]:
        """Copies of mean and variance."""
        mu, var = self.read()
        assert var is not None
        return mu, var


class StateVar(BaseVar):
    """What calls update besides training, such as running statistics."""


class VarCollection(dict[str, BaseVar]):
    """Variables by name. Iterating gives each variable once, whatever the number of its names."""

    def __add__(self, other: Mapping[str, BaseVar]) -> VarCollection:
        made = VarCollection(self.items())
        made.update(other.items())
        return made

    def __iter__(self) -> Iterator[BaseVar]:  # type: ignore[override]
        return iter({id(var): var for var in self.values()}.values())

    def __setitem__(self, name: str, var: BaseVar) -> None:
        if self.get(name, var) is not var:
            raise ValueError(f"two variables are called '{name}'")
        super().__setitem__(name, var)

    def update(self, other: Iterable[tuple[str, BaseVar]] | Mapping[str, BaseVar]) -> None:  # type: ignore[override]
        """Add the variables of another collection.

        Raises:
            ValueError: another variable has the same name.
        """
        for name, var in other.items() if isinstance(other, Mapping) else other:
            self[name] = var

    def subset(
        self, is_a: type[BaseVar] | tuple[type[BaseVar], ...] | None = None,
        is_not_a: type[BaseVar] | tuple[type[BaseVar], ...] | None = None,
    ) -> VarCollection:  # fmt: skip
        """The variables that are of a type, and not of another."""
        return VarCollection(
            (name, var)
            for name, var in self.items()
            if (is_a is None or isinstance(var, is_a))
            and (is_not_a is None or not isinstance(var, is_not_a))
        )

    def tensors(self) -> list[Host]:
        """The value of each variable."""
        return [var.value for var in self]

    def assign(self, tensors: Iterable[Any]) -> None:
        """Set the value of each variable; variances stay.

        Raises:
            ValueError: there are more or fewer values than variables, or a shape differs.
        """
        tensors = list(tensors)
        if len(tensors) != len(list(self)):
            raise ValueError(f"{len(tensors)} values for {len(list(self))} variables")
        for var, tensor in zip(iter(self), tensors, strict=True):
            var.assign(tensor)

    def __str__(self) -> str:
        """One line per name with size and shape, and the total of variables counted once."""
        width = max((len(name) for name in self.keys()), default=0)
        rows = [
            f"{name:{width}} {int(np.prod(var.shape)):8d} {var.shape}" for name, var in self.items()
        ]
        total = sum(int(np.prod(var.shape)) for var in self)
        return "\n".join([*rows, f"{f'+Total({len(list(self))})':{width}} {total:8d}"])
