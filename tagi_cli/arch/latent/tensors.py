"""The parameters of a latent regression by role, in the layout of the model's formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.psi import Psi
from tagi_cli.arch.latent.structure import Groups
from tagi_cli.backend import host_copy

Host = np.ndarray[Any, Any]
Given = Any
"""An array, which is certain, or a pair of mean and variance."""

ROLES = ("p", "u", "scales", "offsets", "direct_mappings", "psi")
FLAGS = ("p_modes", "u_modes", "scales", "offsets", "direct_pair_mappings", "psi")
"""What the constructor's `assign_*` call the roles."""


class _Entry(NamedTuple):
    parameter: nn.Parameter
    transposed: bool


class Tensors:
    """Parameters of a model by role: lists with one entry for each group, or direct pair.

    Modes are matrices (variables, latents), whatever the layers store.

    Attributes:
        missing: role and position of tensors that have no value yet.
        given: parameters that were given a value, by name.

    Args:
        store: parameters of the network.
        psi: error variances.
        groups: sizes.
        present: roles that the model has.
    """

    def __init__(
        self, store: nn.Parameters, psi: Psi, groups: Groups, present: Sequence[str]
    ) -> None:
        G, H = range(len(groups.d_in)), range(len(groups.d_out))
        names = {
            "p": [f"p{g}" for g in G],
            "u": [f"u{h}" for h in H],
            "scales": [f"sc{h}" for h in H],
            "offsets": [f"o{h}" for h in H],
            "direct_mappings": [f"c{g}_{h}" for g, h in groups.direct_pairs],
        }
        self._store = store
        self._psi = psi
        self._entries = {
            role: [_Entry(store.tensors[f"{name}.weight"], role == "p") for name in names[role]]
            for role in present
            if role != "psi"
        }
        self._entries["psi"] = [_Entry(parameter, False) for parameter in psi.groups]
        self.missing: set[tuple[str, int]] = set()
        self.given: set[str] = set()

    def parameters(self, role: str) -> list[nn.Parameter]:
        """The parameters of a role, in order; none where the model has no such role."""
        return [entry.parameter for entry in self._entries.get(role, [])]

    def moments(self, role: str) -> list[nn.Moments | None]:
        """Copies of means and variances; None for a tensor without a value."""
        found: list[nn.Moments | None] = []
        for i, (parameter, transposed) in enumerate(self._entries.get(role, [])):
            arrays = (host_copy(parameter.mu), host_copy(parameter.var))
            mu, var = (a.T if transposed else a for a in arrays)
            found.append(None if (role, i) in self.missing else nn.Moments(mu, var))
        return found

    def leave_out(self, role: str, i: int) -> None:
        """Take a tensor's value away; it is certain zero until it is given one."""
        parameter = self._entries[role][i].parameter
        parameter.assign(np.zeros(parameter.size), np.zeros(parameter.size))
        self.missing.add((role, i))

    def assign(self, role: str, values: Sequence[Given]) -> list[int]:
        """Set tensors to what is given; None leaves one as it is.

        Returns:
            Positions that were set.

        Raises:
            ValueError: wrong number of values, wrong shape, no such role, or not a variance.
        """
        entries = self._entries.get(role, [])
        if len(values) != len(entries):
            raise ValueError(f"{role}: {len(values)} values given, the model has {len(entries)}")
        set_now = []
        for i, (value, (parameter, transposed)) in enumerate(zip(values, entries, strict=True)):
            if value is None:
                continue
            certain = not isinstance(value, tuple)
            mu, var = (value, np.zeros(np.shape(value))) if certain else value
            shape = parameter.shape[::-1] if transposed else parameter.shape
            for what, array in (("mean", mu), ("variance", var)):
                if np.shape(array) != shape:
                    raise ValueError(f"{role}[{i}]: {what} {np.shape(array)}, expected {shape}")
            if role == "psi" and not (np.asarray(mu) > 0).all():
                raise ValueError(f"psi[{i}]: an error variance is not above 0")
            arrays = (np.asarray(mu), np.asarray(var))
            parameter.assign(*(a.T if transposed else a for a in arrays))
            self.missing.discard((role, i))
            self.given.add(parameter.name)
            set_now.append(i)
        return set_now

    def require(self, *roles: str) -> None:
        """Make sure that all tensors of these roles have a value.

        Raises:
            ValueError: naming those that have none.
        """
        lacking = sorted(f"{role}[{i}]" for role, i in self.missing if role in roles)
        if lacking:
            raise ValueError(
                f"no value for {', '.join(lacking)}: they were not assigned when the model was "
                "made. Give them to cond_forward, or to assign"
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Changes made inside are undone behind."""
        values, psi = self._store.state_dict(), self._psi.state_dict()
        missing, given = set(self.missing), set(self.given)
        try:
            yield
        finally:
            self._store.load_state_dict(values)
            self._psi.load_state_dict(psi)
            self.missing, self.given = missing, given

    @contextmanager
    def overridden(self, given: Mapping[str, Sequence[Given] | None]) -> Iterator[None]:
        """Tensors have given values inside; None, for a role or a tensor, leaves them."""
        if all(values is None for values in given.values()):
            yield
            return
        with self.kept():
            for role, values in given.items():
                if values is not None:
                    self.assign(role, values)
            yield

    def draw(self, rng: np.random.Generator) -> None:
        """Put one draw from the posterior in place of all parameters of the network."""
        for parameter in self._store.tensors.values():
            mu, var = host_copy(parameter.mu), host_copy(parameter.var)
            draw = mu + np.sqrt(var) * rng.standard_normal(mu.shape)
            parameter.assign(draw, np.zeros(mu.shape))

    def make_certain(self) -> None:
        """Make all parameters of the network certain: their means."""
        for parameter in self._store.tensors.values():
            parameter.assign(host_copy(parameter.mu), np.zeros(parameter.shape))
