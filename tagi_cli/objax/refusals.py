"""What cannot be done to a Gaussian array while a call is recorded, told in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

_ALLOWED = (
    "Allowed: modules, functions of objax.functional (relu, average_pool_2d, flatten, ...), "
    "objax.Lift(layer) of tagi_cli.nn (Scale, Offset, LayerNorm, ...), and the sum of two branches"
)


def _text(what: str) -> str:
    return f"{what}: not among what can be done to a Gaussian array. {_ALLOWED}"


def _refusing(what: str) -> Callable[..., NoReturn]:
    def refuse(self: object, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(_text(what))

    return refuse


class Arithmetic:
    """Base of a stand-in for an array: refuses what arrays can do, and says what can be done."""

    __sub__ = __rsub__ = _refusing("x - y")
    __mul__ = __rmul__ = _refusing("x * y")
    __truediv__ = __rtruediv__ = _refusing("x / y")
    __floordiv__ = __rfloordiv__ = _refusing("x // y")
    __mod__ = __rmod__ = _refusing("x % y")
    __pow__ = __rpow__ = _refusing("x ** y")
    __matmul__ = __rmatmul__ = _refusing("x @ y")
    __radd__ = _refusing("The sum with a number or an array")
    __neg__ = _refusing("-x")
    __abs__ = _refusing("abs(x)")
    __lt__ = __le__ = __gt__ = __ge__ = _refusing("A comparison")
    __bool__ = _refusing("Truth")
    __float__ = __int__ = __index__ = _refusing("A single value")
    __len__ = _refusing("len(x)")
    __iter__ = _refusing("The rows")
    __getitem__ = _refusing("x[...]")
    __array__ = _refusing("A NumPy function")

    def __array_ufunc__(self, ufunc: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(_text(f"numpy.{ufunc.__name__}"))

    def __getattr__(self, name: str) -> NoReturn:
        # Protocols of Python and NumPy ask for names such as these, and go on without.
        raise AttributeError(name if name.startswith("__") else _text(f"x.{name}"))
