"""The latent regression of one subject, with the names of janelia_core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent import fitting, request
from tagi_cli.arch.latent.core import Core
from tagi_cli.arch.latent.predictor import Predictor
from tagi_cli.arch.latent.shrinkage import Shrinkage
from tagi_cli.arch.latent.structure import Groups, Priors
from tagi_cli.arch.latent.tensors import FLAGS, ROLES
from tagi_cli.backend import Backend, select

Host = np.ndarray[Any, Any]
Assigned = bool | Sequence[bool]


class LatentRegModel(Predictor):
    """Regression of groups of outputs on groups of inputs through a few latents.

    `y_h = scale_h s_h(u_h m(p_1' x_1, ..., p_G' x_G)_h) + offset_h + sum_g c_gh x_g + noise`.

    Args:
        d_in: variables of each input group.
        d_out: variables of each output group.
        d_proj: projected latents of each input group.
        d_trans: transformed latents of each output group.
        m: layer from all projected to all transformed latents, each side in one vector, group
            after group (see `tagi_cli.arch.latent.group_maps`); the model has a copy of it. Or a
            chain of layers with names.
        s: layer of each output group behind u; None for none.
        use_scales: whether outputs are multiplied by learnt scales.
        assign_scales: whether scales get a value now, for all groups or one by one.
        use_offsets: whether learnt offsets are added.
        assign_offsets: as `assign_scales`.
        direct_pairs: pairs (input group, output group) of one size with direct couplings.
        assign_direct_pair_mappings: as `assign_scales`, for each pair.
        assign_p_modes: as `assign_scales`.
        assign_u_modes: as `assign_scales`.
        assign_psi: as `assign_scales`.
        w_gain: factor on the spread of the prior means of p and u, Xavier normal.
        sc_std: standard deviation of the scales' prior means round 0, for `init='janelia'`.
        dm_std: standard deviation of the couplings' prior means round 0.
        noise_range: range that error variances are drawn from, for `init='janelia'`.
        init: `tagi` or `janelia`. `tagi` starts scales from 1, and error variances from the
            variance of the outputs that are fitted first; `janelia` starts scales from 0, which
            switches the latents off at first.
        var_gain: factor on the prior standard deviation of p and u.
        seed: of all that is drawn.
        precision: `float32` or `float64`; of the default backend.
        backend: where it runs; default: the CPU.

    Attributes:
        p_trainable: for each group, whether `fit` learns it; so `u_trainable`, `scales_trainable`,
            `offsets_trainable`, `direct_mappings_trainable` (by pair), `psi_trainable`.

    Raises:
        ValueError: sizes or options do not go together.
    """

    def __init__(
        self,
        d_in: Sequence[int],
        d_out: Sequence[int],
        d_proj: Sequence[int],
        d_trans: Sequence[int],
        m: nn.Layer | Sequence[tuple[str, nn.Layer]],
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
        *,
        init: str = "tagi",
        var_gain: float = 1.0,
        seed: int | None = None,
        precision: str = "float32",
        backend: Backend | None = None,
    ) -> None:
        janelia = request.is_janelia(init, sc_std, noise_range)
        scales = {"scale_mean": 0.0, "scale_spread": float(sc_std)} if janelia else {}
        maps = [("m", m)] if isinstance(m, nn.Layer) else list(m)
        request.check_unused([*(layer for _, layer in maps), *s])
        pairs = tuple((int(g), int(h)) for g, h in direct_pairs or ())
        has = {"scales": use_scales, "offsets": use_offsets, "direct_mappings": bool(pairs)}
        rng = np.random.default_rng(seed)
        core = Core(
            Groups(tuple(d_in), tuple(d_out), tuple(d_proj), tuple(d_trans), pairs),
            maps,
            s,
            [role for role in ROLES if has.get(role, True)],
            Priors(float(w_gain), var_gain, direct_spread=dm_std, **scales),
            rng,
            backend or select(precision=precision),
        )
        super().__init__(core, rng)
        asked = (
            assign_p_modes, assign_u_modes, assign_scales, assign_offsets,
            assign_direct_pair_mappings, assign_psi,
        )  # fmt: skip
        self._assigned: dict[str, list[bool]] = {}
        for role, flag, values in zip(ROLES, FLAGS, asked, strict=True):
            count = len(self.core.tensors.parameters(role))
            self._assigned[role] = request.flags(f"assign_{flag}", values, count)
            for i, assigned in enumerate(self._assigned[role]):
                if not assigned:
                    self.core.tensors.leave_out(role, i)
        self.p_trainable = list(self._assigned["p"])
        self.u_trainable = list(self._assigned["u"])
        self.scales_trainable = list(self._assigned["scales"])
        self.offsets_trainable = list(self._assigned["offsets"])
        self.direct_mappings_trainable = list(self._assigned["direct_mappings"])
        self.psi_trainable = list(self._assigned["psi"])
        if janelia:
            psi = [rng.uniform(noise_range[0], noise_range[1], n) for n in self.d_out]
            drawn = zip(psi, self._assigned["psi"], strict=True)
            self.assign(psi=[(v, v**2) if assigned else None for v, assigned in drawn])

    def parameters(self) -> list[nn.Parameter]:
        """All Gaussian tensors: of m and s, then p, u, scales, offsets, couplings, psi."""
        self.refresh()
        return [*self._map_parameters(), *self._s_tensors(), *self._tensors_of(lambda *_: True)]

    def trainable_parameters(self) -> list[nn.Parameter]:
        """As `parameters`, without those whose `*_trainable` flag is not set."""
        self.refresh()
        flagged = self._tensors_of(lambda role, i: getattr(self, f"{role}_trainable")[i])
        return [*self._map_parameters(), *self._s_tensors(), *flagged]

    def s_parameters(self) -> list[list[nn.Parameter]]:
        """The tensors of each output group's s."""
        return [self.core.parameters(f"s{h}") for h in range(len(self.d_out))]

    def _s_tensors(self) -> list[nn.Parameter]:
        return [parameter for group in self.s_parameters() for parameter in group]

    def _map_parameters(self) -> list[nn.Parameter]:
        return [t for name, _ in self.core.maps for t in self.core.parameters(name)]

    def _tensors_of(self, wanted: Callable[[str, int], bool]) -> list[nn.Parameter]:
        """Tensors with a value, of all roles."""
        tensors = self.core.tensors
        return [
            parameter
            for role in ROLES
            for i, parameter in enumerate(tensors.parameters(role))
            if (role, i) not in tensors.missing and wanted(role, i)
        ]

    def fit(
        self,
        x: Sequence[Any],
        y: Sequence[Any],
        batch_size: int = 100,
        send_size: int = 100,
        max_its: int = 10,
        learning_rates: Any = 0.01,
        adam_params: dict[str, Any] = {},  # noqa: B006 (the original's default)
        min_var: float = 1e-6,
        update_int: int = 1000,
        parameters: Sequence[nn.Parameter] | None = None,
        l1_p_lambda: Sequence[float | None] | None = None,
        l1_u_lambda: Sequence[float | None] | None = None,
        *,
        epochs: int | None = None,
        restarts: int = 1,
        update_rule: str = "information",
        damping: str = "auto",
        shrinkage: Mapping[str, Shrinkage] | None = None,
        l1_convention: str = "code",
    ) -> dict[str, Host]:
        """Learn from rows; repeated calls go on from the posterior.

        Args:
            x: inputs of each group, `(n, d_in)`.
            y: outputs of each group, `(n, d_out)`; NaN is missing.
            batch_size: rows learnt at a time; the last batch of a pass may be short.
            send_size: rows run through at a time, which bounds memory and changes nothing else;
                one above `batch_size` is refused.
            max_its: batches to learn. Passes over all rows follow each other, in random order.
            learning_rates: refused, as there are none.
            adam_params: refused, likewise.
            min_var: least error variance.
            update_int: iterations from one line of the log `tagi_cli.arch.latent_regression` (level
                INFO) to the next.
            parameters: learn these only; default: those of `trainable_parameters`.
            l1_p_lambda: l1 penalty on each p, or None; it becomes a Laplace prior.
            l1_u_lambda: the same for u.
            epochs: passes over the data, in place of `max_its`.
            restarts: fits from different initial values; the one with the lowest predictive
                negative log density on its last pass stays.
            update_rule: one of `tagi_cli.nn.rules.RULES`.
            damping: `auto`, `full` or `none`: whether the rows of a batch count as telling the
                same, which keeps large batches from overshooting. `auto` does so while
                steps might overshoot.
            shrinkage: priors for `p` and `u` that are renewed after each pass.
            l1_convention: whether penalties count by the original's `code` (mean of entries) or
                `docs` (their sum).

        Returns:
            For each iteration, of the fit that stays, `elapsed_time` from the beginning to its end,
            in seconds, and `obj`, the negative log predictive density per row of its batch, before
            it was learnt.

        Raises:
            ValueError: data or options do not fit, or a tensor has no value.
            FloatingPointError: parameters are not finite any more.
        """
        request.check_original(learning_rates, adam_params)
        rows, targets = self._rows(x, y)
        priors = request.shrinkages(shrinkage, self.core.groups)
        for role, lambdas in (("p", l1_p_lambda), ("u", l1_u_lambda)):
            shapes = [m.mu.shape for m in self.moments(role) if m is not None]
            laplace = request.lassos(f"l1_{role}_lambda", lambdas, shapes, len(rows), l1_convention)
            priors[role] = [b or a for a, b in zip(priors[role], laplace, strict=True)]
        setting = fitting.Setting(
            batch_size=batch_size,
            send_size=send_size,
            iterations=request.iterations(len(rows), batch_size, max_its, epochs),
            update_rule=update_rule,
            damping=damping,
            min_var=min_var,
            update_int=update_int,
            priors=priors,
        )
        self.choose(self.trainable_parameters() if parameters is None else list(parameters))
        best = fitting.fit(
            self.core,
            rows,
            targets,
            setting,
            self.rng,
            restarts,
            self._psi_unset,
            self.kept_names(),
        )
        self._psi_unset.clear()
        self.publish()
        return {"elapsed_time": best.elapsed_time, "obj": best.obj}

    def begin(self, x: Sequence[Any], y: Sequence[Any], setting: fitting.Setting) -> fitting.Fit:
        """A fit of `trainable_parameters` whose steps the caller takes; see `fit`.

        Raises:
            ValueError: the data do not fit the model or the setting, or a tensor has no value.
        """
        rows, targets = self._rows(x, y)
        self.choose(self.trainable_parameters())
        self.core.psi.start(targets, self._psi_unset)
        self._psi_unset.clear()
        return setting.start(self.core, rows, targets, self.rng)

    def _rows(self, x: Sequence[Any], y: Sequence[Any]) -> tuple[Host, Host]:
        """Rows of all inputs and of all outputs, after a look at them and at the model."""
        self.refresh()
        self.core.tensors.require(*ROLES)
        rows, targets = request.joined("x", x, self.d_in), request.joined("y", y, self.d_out)
        request.known("x", rows, self.d_in)
        if len(rows) != len(targets):
            raise ValueError(f"x has {len(rows)} rows, y {len(targets)}")
        return rows, targets

    def choose(self, learnt: Sequence[nn.Parameter]) -> None:
        """Let these tensors learn and no others.

        Raises:
            ValueError: one is not the model's.
        """
        own = self.parameters()
        chosen = {id(parameter) for parameter in learnt}
        if not chosen <= {id(parameter) for parameter in own}:
            raise ValueError("parameters: one is not this model's; take them from parameters()")
        for parameter in own:
            parameter.trainable = id(parameter) in chosen
