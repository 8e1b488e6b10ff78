"""Latent regressions that have a part of their map in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent import request
from tagi_cli.arch.latent.model import Assigned, LatentRegModel
from tagi_cli.arch.latent.shared_map import SharedMap

Host = np.ndarray[Any, Any]
Values = Sequence[Any] | None


class SharedMLatentRegModel(LatentRegModel):
    """A latent regression whose map has a part in common with other models.

    `m` is `specific_m`, then `shared_m`. Models made with the same layer as `shared_m` have its
    Gaussians in common: what one learns, the others have from then on.

    Args:
        d_in: see `LatentRegModel`, as for all arguments but these two.
        d_out: likewise.
        d_proj: likewise.
        d_trans: likewise.
        specific_m: first part of the map, the model's own; None for none.
        shared_m: second part; None for none.
        s: likewise.
        use_scales: likewise.
        assign_scales: likewise.
        use_offsets: likewise.
        assign_offsets: likewise.
        direct_pairs: likewise.
        assign_direct_pair_mappings: likewise.
        assign_p_modes: likewise.
        assign_u_modes: likewise.
        assign_psi: likewise.
        w_gain: likewise.
        sc_std: likewise.
        dm_std: likewise.
        noise_range: likewise.
        **options: the arguments of `LatentRegModel` that are given by name only.

    Raises:
        ValueError: there is no map at all, or sizes or options do not go together.
    """

    def __init__(
        self,
        d_in: Sequence[int],
        d_out: Sequence[int],
        d_proj: Sequence[int],
        d_trans: Sequence[int],
        specific_m: nn.Layer | None,
        shared_m: nn.Layer | None,
        s: Sequence[nn.Layer | None],
        use_scales: bool = False,
        assign_scales: Assigned = True,
        use_offsets: bool = False,
        assign_offsets: Assigned = True,
        direct_pairs: Sequence[tuple[int, int]] | None = None,
        assign_direct_pair_mappings: Assigned = True,
        assign_p_modes: Assigned = True,
        assign_u_modes: Assigned = True,
        assign_psi: Assigned = True,
        w_gain: float = 1,
        sc_std: float = 0.01,
        dm_std: float = 0.1,
        noise_range: Sequence[float] = [0.1, 0.2],
        **options: Any,
    ) -> None:
        parts = (("specific_m", specific_m), ("shared_m", shared_m))
        maps = [(name, layer) for name, layer in parts if layer is not None]
        if not maps:
            raise ValueError("specific_m and shared_m: both are None. Allowed: at most one")
        self.specific_m, self.shared_m = specific_m, shared_m
        self._version = -1
        super().__init__(
            d_in, d_out, d_proj, d_trans, maps, s, use_scales, assign_scales, use_offsets,
            assign_offsets, direct_pairs, assign_direct_pair_mappings, assign_p_modes,
            assign_u_modes, assign_psi, w_gain, sc_std, dm_std, noise_range, **options,
        )  # fmt: skip
        self._join()

    def _join(self) -> None:
        """Take over the shared map's values, or be the first to give it some."""
        if self.shared_m is not None and not SharedMap.of(self.shared_m).values:
            self.publish()
        self.refresh()

    def update_shared_m(self, new_m_core: nn.Layer) -> None:
        """Replace the shared part of the map, or add one; all else keeps its values.

        Raises:
            ValueError: the new one does not fit between the latents, or belongs to a network.
        """
        request.check_unused([new_m_core])
        maps = [(name, layer) for name, layer in self.core.maps if name != "shared_m"]
        self.core = self.core.with_maps([*maps, ("shared_m", new_m_core)], self.rng)
        self.shared_m, self._version = new_m_core, -1
        self._join()

    def refresh(self) -> None:
        """Take over what others have made of the shared map."""
        if self.shared_m is None:
            return
        held = SharedMap.of(self.shared_m)
        if held.version != self._version and held.values:
            self.core.load_part(held.values)
            self._version = held.version

    def publish(self) -> None:
        """Hand over what this model has made of the shared map."""
        if self.shared_m is not None:
            self._version = SharedMap.of(self.shared_m).publish(self.core.part("shared_m"))

    def kept_names(self) -> set[str]:
        """What others have learnt, too, is not drawn anew by a restart."""
        if self.shared_m is None or SharedMap.of(self.shared_m).version <= 1:
            return set()
        return {parameter.name for parameter in self.core.parameters("shared_m")}

    def specific_m_parameters(self) -> list[nn.Parameter]:
        """The tensors of `specific_m`; none where there is none."""
        return self.core.parameters("specific_m")

    def shared_m_parameters(self) -> list[nn.Parameter]:
        """The tensors of `shared_m`, with the values all models have; none where there is none."""
        self.refresh()
        return self.core.parameters("shared_m")

    def parameters(
        self,
        recurse: bool = True,
        return_shared_m_params: bool = True,
        returned_shared_m_params: bool | None = None,
    ) -> list[nn.Parameter]:
        """All Gaussian tensors, in the order of `LatentRegModel.parameters`.

        Args:
            recurse: whether those of the maps and of s are among them.
            return_shared_m_params: whether those of `shared_m` are.
            returned_shared_m_params: the same by the name that the original's documentation has.
        """
        shared = returned_shared_m_params
        if shared is None:
            shared = return_shared_m_params
        found = super().parameters() if recurse else self._tensors_of(lambda *_: True)
        hidden = set() if shared else {id(t) for t in self.shared_m_parameters()}
        return [t for t in found if id(t) not in hidden]

    def p_project(
        self, x: Sequence[Any], p: Values = None, apply_specific_m: bool = True
    ) -> list[Host]:
        """Projected latents, behind `specific_m` where there is one.

        Args:
            x: inputs of each group, `(n, d_in)`.
            p: as in `cond_forward`.
            apply_specific_m: False gives the latents before it.

        Returns:
            Latents by input group; one array of all where `specific_m` changes their number.
        """
        return [latents.mu for latents in self.project(x, p, apply_specific_m)]
