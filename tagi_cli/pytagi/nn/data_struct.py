"""Moments and innovations of a layer boundary: arrays of the user's own, or views of a network.

Arrays are flat and in float32, `block_size` rows of `actual_size` units. What is read from a
network on a GPU is a copy; setting it works in either case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tagi_cli.backend import Array, host_copy, overwrite
from tagi_cli.nn import Value
from tagi_cli.nn.network import Passes
from tagi_cli.pytagi.nn.hrc_softmax import HRCSoftmax as HRCSoftmax

if TYPE_CHECKING:
    from tagi_cli.pytagi.nn.sequential import Sequential

Host = np.ndarray[Any, Any]


_ZERO, _ONE = np.float32(0), np.float32(1)


def _flat(values: Any) -> Host:
    return np.asarray(values, np.float32).ravel()


class _States:
    """A few arrays of one size, kept here or in a network.

    Attributes:
        owner: the network that the arrays are views of; None for the user's own.
    """

    _names: tuple[str, ...]
    _fill: dict[str, float]

    owner: Sequential | None = None

    def __init__(self, size: int | None = None, block_size: int | None = None) -> None:
        self._block_size = 0
        self._kept = {name: np.zeros(0, np.float32) for name in self._names}
        if size is not None and block_size is not None:
            self.set_size(size, block_size)

    def _arrays(self) -> dict[str, Array]:
        return self._kept

    def _get(self, name: str) -> Host:
        array = self._arrays()[name]
        return array if isinstance(array, np.ndarray) else host_copy(array)

    def _set(self, name: str, values: Any) -> None:
        values, old = _flat(values), self._arrays()[name]
        if self.owner is None and not old.size:
            self._kept[name] = values.copy()
        elif values.size != old.size:
            raise ValueError(f"{name} has {old.size} values, {values.size} were given")
        else:
            overwrite(old, values)

    @property
    def size(self) -> int:
        """Number of values of each array."""
        return self._get(self._names[0]).size

    @property
    def block_size(self) -> int:
        """Number of rows."""
        return self._block_size

    @property
    def actual_size(self) -> int:
        """Units of each row."""
        return self.size // max(self.block_size, 1)

    def get_name(self) -> str:
        """The kind of these states."""
        return "BaseHiddenStates" if isinstance(self, BaseHiddenStates) else "BaseDeltaStates"

    def set_size(self, new_size: int, new_block_size: int) -> str:
        """Make new arrays of `new_size` values for `new_block_size` rows.

        Returns:
            One line that says what the size is now.

        Raises:
            ValueError: the size is no whole number of rows, or the arrays are views of a network.
        """
        if self.owner is not None:
            raise ValueError("these are views of a network: their size follows its input")
        if new_size < 0 or new_block_size < 0 or (new_size and new_size % max(new_block_size, 1)):
            raise ValueError(f"{new_size} values are no whole number for {new_block_size} rows")
        for name in self._names:
            self._kept[name] = np.full(new_size, self._fill.get(name, 0), np.float32)
        self._block_size = new_block_size
        return f"{new_size} values, {new_block_size} rows"


class BaseHiddenStates(_States):
    """Means, variances and Jacobians of a layer's output.

    Args:
        size: number of values.
        block_size: number of rows.
    """

    _names = ("mu_a", "var_a", "jcb")
    _fill = {"jcb": 1.0}  # noqa: RUF012

    @property
    def mu_a(self) -> Host:
        """Means."""
        return self._get("mu_a")

    @mu_a.setter
    def mu_a(self, value: Any) -> None:
        self._set("mu_a", value)

    @property
    def var_a(self) -> Host:
        """Variances."""
        return self._get("var_a")

    @var_a.setter
    def var_a(self, value: Any) -> None:
        self._set("var_a", value)

    @property
    def jcb(self) -> Host:
        """`cov(a, z) / var_z` with the pre-activation `z`; 1 where there is no activation."""
        return self._get("jcb")

    @jcb.setter
    def jcb(self, value: Any) -> None:
        self._set("jcb", value)

    def set_input_x(self, mu_x: Any, var_x: Any, block_size: int) -> None:
        """Take over an input of `block_size` rows; an empty `var_x` means no variance.

        Raises:
            ValueError: `mu_x` is no whole number of rows, or `var_x` differs in size.
        """
        mu, var = _flat(mu_x), _flat(var_x)
        if var.size not in (0, mu.size):
            raise ValueError(f"{mu.size} means but {var.size} variances")
        self.set_size(mu.size, block_size)
        self.mu_a = mu
        if var.size:
            self.var_a = var


class BaseDeltaStates(_States):
    """Innovations: the posterior of `N(mu, var)` is `mu + var delta_mu`, `var + var^2 delta_var`.

    Args:
        size: number of values.
        block_size: number of rows.
    """

    _names = ("delta_mu", "delta_var")
    _fill: dict[str, float] = {}  # noqa: RUF012

    @property
    def delta_mu(self) -> Host:
        """Innovations of the mean."""
        return self._get("delta_mu")

    @delta_mu.setter
    def delta_mu(self, value: Any) -> None:
        self._set("delta_mu", value)

    @property
    def delta_var(self) -> Host:
        """Innovations of the variance."""
        return self._get("delta_var")

    @delta_var.setter
    def delta_var(self, value: Any) -> None:
        self._set("delta_var", value)

    def reset_zeros(self) -> None:
        """Set all innovations to zero."""
        self.delta_mu = self.delta_var = np.zeros(self.size)

    def copy_from(self, source: BaseDeltaStates, num_data: int = -1) -> None:
        """Take over the innovations of other states; what is not taken over stays as it was.

        Args:
            source: where they come from.
            num_data: how many values, not rows; -1 takes all of the source.

        Raises:
            ValueError: the source has fewer values, these states do not hold so many, or they are
                no whole number of rows here.
        """
        count = source.size if num_data == -1 else num_data
        if self.owner is None and not self.size:
            self.set_size(source.size, source.block_size)
        if not 0 <= count <= min(source.size, self.size):
            raise ValueError(
                f"{count} values to copy: the source has {source.size}, these states {self.size}"
            )
        if count % max(self.actual_size, 1):
            raise ValueError(
                f"{count} values to copy: these states have {self.block_size} rows of "
                f"{self.actual_size}. Allowed: a multiple of {self.actual_size}, or -1 for all"
            )
        self.delta_mu = np.concatenate([source.delta_mu[:count], self.delta_mu[count:]])
        self.delta_var = np.concatenate([source.delta_var[:count], self.delta_var[count:]])


class StateView(BaseHiddenStates):
    """A value of a network's latest forward call.

    Args:
        owner: the network.
        find: picks the value from its passes.
    """

    def __init__(self, owner: Sequential, find: Callable[[Passes], Value]) -> None:
        super().__init__()
        self.owner = owner
        self._passes, self._find = _latest(owner), find

    def _arrays(self) -> dict[str, Array]:
        value = self._find(self._passes())
        mu, var, jac = value.mu.reshape(-1), value.var, value.jac
        return {
            "mu_a": mu,
            # What no kernel reads cannot be written either.
            "var_a": np.broadcast_to(_ZERO, mu.shape) if var is None else var.reshape(-1),
            "jcb": np.broadcast_to(_ONE, mu.shape) if jac is None else jac.reshape(-1),
        }

    @property
    def block_size(self) -> int:
        """Number of rows of the latest call."""
        return self._passes().plan.batch


class InnovationView(BaseDeltaStates):
    """The innovations of a value of a network's latest forward call.

    Args:
        owner: the network.
        find: picks the value from its passes.
    """

    def __init__(self, owner: Sequential, find: Callable[[Passes], Value]) -> None:
        super().__init__()
        self.owner = owner
        self._passes, self._find = _latest(owner), find

    def _arrays(self) -> dict[str, Array]:
        value = self._find(self._passes())
        if not value.wanted:
            raise RuntimeError("set input_state_update = True before the forward call")
        d_mu, d_var = value.innovation()
        return {"delta_mu": d_mu.reshape(-1), "delta_var": d_var.reshape(-1)}

    @property
    def block_size(self) -> int:
        """Number of rows of the latest call."""
        return self._passes().plan.batch


def _latest(owner: Sequential) -> Callable[[], Passes]:
    return lambda: owner.network.current
