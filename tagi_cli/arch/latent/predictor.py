"""What a latent regression predicts, draws and holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent import generation, recursion, request
from tagi_cli.arch.latent.core import Core
from tagi_cli.arch.latent.tensors import ROLES

Host = np.ndarray[Any, Any]
Values = Sequence[Any] | None


class Prediction(NamedTuple):
    """Predictive moments of an output group, `(n, d_out)` each."""

    mean: Host
    var_epistemic: Host
    var_noise: Host


class Predictor:
    """A latent regression without a way to learn.

    Attributes:
        core: network, error variances and parameters by role.
        rng: draws what nobody else has a Generator for.

    Args:
        core: network, error variances and parameters by role.
        rng: draws what nobody else has a Generator for.
    """

    def __init__(self, core: Core, rng: np.random.Generator) -> None:
        self.core = core
        self.rng = rng
        # Groups whose error variances wait for the first targets.
        self._psi_unset = set(range(len(self.d_out)))

    @property
    def d_in(self) -> tuple[int, ...]:
        """Variables of each input group."""
        return self.core.groups.d_in

    @property
    def d_out(self) -> tuple[int, ...]:
        """Variables of each output group."""
        return self.core.groups.d_out

    @property
    def direct_pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs (input group, output group) with direct couplings."""
        return self.core.groups.direct_pairs

    def moments(self, role: str) -> list[nn.Moments | None]:
        """Mean and variance of the tensors of a role, one for each group or pair.

        Args:
            role: `p` (d_in, d_proj), `u` (d_out, d_trans), `scales`, `offsets`, `psi` (d_out,) or
                `direct_mappings` (d_out,); the list is empty where the model has none.

        Returns:
            Copies; None for a tensor that has no value.
        """
        if role not in ROLES:
            raise ValueError(f"role: found '{role}'. Allowed: {', '.join(ROLES)}")
        self.refresh()
        return self.core.tensors.moments(role)

    def assign(
        self,
        p: Values = None,
        u: Values = None,
        scales: Values = None,
        offsets: Values = None,
        direct_mappings: Values = None,
        psi: Values = None,
    ) -> None:
        """Give tensors a value: an array, which is certain, or a tuple of mean and variance.

        Arguments are lists with one entry for each group or pair; None leaves things as they are.
        A certain tensor is not learnt; its `*_trainable` flag makes no difference.

        Raises:
            ValueError: wrong number of entries, wrong shape, or a negative variance.
        """
        given = zip(ROLES, (p, u, scales, offsets, direct_mappings, psi), strict=True)
        for role, values in given:
            if values is not None:
                changed = self.core.tensors.assign(role, values)
                if role == "psi":
                    self._psi_unset -= set(changed)

    def subspaces(self) -> dict[str, Host]:
        """What latents see and move: means of `p0, p1, ...` and of `u0, ...`, times the scales.

        Their columns span what a fit finds again; single entries it does not
        (`tagi_cli.arch.latent.subspaces`).

        Returns:
            Matrices (variables, latents); tensors without a value are left out.
        """
        found: dict[str, Host] = {}
        scales = self.moments("scales") or [None] * len(self.d_out)
        for role, factors in (("p", [None] * len(self.d_in)), ("u", scales)):
            for i, (modes, scale) in enumerate(zip(self.moments(role), factors, strict=True)):
                if modes is not None:
                    factor = 1.0 if scale is None else scale.mu[:, None]
                    found[f"{role}{i}"] = np.asarray(modes.mu * factor, np.float64)
        return found

    def state_dict(self) -> dict[str, Host]:
        """Copies of all that predictions depend on, as named arrays."""
        self.refresh()
        return self.core.state_dict()

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave, of a model of the same structure.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs.
        """
        self.core.load_state_dict(values)
        self.core.tensors.missing.clear()
        self._psi_unset.clear()
        self.publish()

    def forward(self, x: Sequence[Any]) -> list[Host]:
        """Predicted means, `(n, d_out)` of each output group, for inputs `(n, d_in)`."""
        return self.cond_forward(x)

    __call__ = forward

    def cond_forward(
        self,
        x: Sequence[Any],
        p: Values = None,
        u: Values = None,
        scales: Values = None,
        offsets: Values = None,
        direct_mappings: Values = None,
    ) -> list[Host]:
        """Predicted means, with tensors given in place of the model's own; see `assign`.

        Raises:
            ValueError: a tensor has no value, or a shape does not fit.
        """
        given = (p, u, scales, offsets, direct_mappings)
        return [found.mean for found in self._conditional(x, *given)]

    def predict(self, x: Sequence[Any]) -> list[Prediction]:
        """Predictive mean, variance of the mean, and of the noise, of each output group."""
        return self._conditional(x)

    def _conditional(self, x: Sequence[Any], *given: Values) -> list[Prediction]:
        rows = request.joined("x", x, self.d_in)
        request.known("x", rows, self.d_in)
        self.refresh()
        with self.core.tensors.overridden(dict(zip(ROLES, given, strict=False))):
            self.core.tensors.require(*ROLES[:-1])
            mu, var = self.core.outputs(rows)
        noise = np.broadcast_to(self._noise(), mu.shape)
        parts = (self._by_output(a) for a in (mu, var, noise))
        return [Prediction(*moments) for moments in zip(*parts, strict=True)]

    def _noise(self) -> Host:
        """Error variances of all outputs, `(K,)`."""
        return np.asarray(self.core.network.backend.to_host(self.core.psi.mean), np.float64)

    def _by_output(self, rows: Host) -> list[Host]:
        """Columns of all outputs by group."""
        return np.split(rows, list(accumulate(self.d_out))[:-1], axis=1)

    def p_project(self, x: Sequence[Any], p: Values = None) -> list[Host]:
        """Projected latents of each input group, `(n, d_proj)`; `p` as in `cond_forward`."""
        return [latents.mu for latents in self.project(x, p, apply_specific_m=False)]

    def project(
        self, x: Sequence[Any], p: Values = None, apply_specific_m: bool = True
    ) -> list[nn.Moments]:
        """Mean and variance of the projected latents of each input group, `(n, d_proj)`.

        Args:
            x: inputs of each group, `(n, d_in)`.
            p: as in `cond_forward`.
            apply_specific_m: whether to give them behind the specific part of the map, where the
                model has one.

        Returns:
            Latents by input group; one array of all where the specific part changes their number.
        """
        node, sizes = "projected", self.core.groups.d_proj
        if apply_specific_m and "specific_m" in dict(self.core.maps):
            node, units = "specific_m", nn.flat_size(self.core.node_shape("specific_m"))
            sizes = sizes if sum(sizes) == units else (units,)
        rows = request.joined("x", x, self.d_in)
        request.known("x", rows, self.d_in)
        self.refresh()
        with self.core.tensors.overridden({"p": p}):
            self.core.tensors.require("p")
            found = self.core.latents(rows, node)
        cuts = list(accumulate(sizes))[:-1]
        parts = (np.split(a, cuts, axis=1) for a in found)
        return [nn.Moments(*moments) for moments in zip(*parts, strict=True)]

    def generate(
        self, x: Sequence[Any], mode: str = "posterior", rng: np.random.Generator | None = None
    ) -> list[Host]:
        """Outputs at random, `(n, d_out)` of each group.

        Args:
            x: inputs of each group, `(n, d_in)`.
            mode: `posterior` draws parameters once, then noise; `plugin` takes their means, as the
                original; `marginal` draws each value on its own, by its predictive variance.
            rng: draws; default: the model's own.
        """
        return self._generate(x, [], mode, rng)

    def recursive_generate(
        self,
        x: Sequence[Any],
        r_map: Sequence[tuple[int, int]] | None = None,
        *,
        mode: str = "posterior",
        rng: np.random.Generator | None = None,
    ) -> list[Host]:
        """Outputs at random, step by step: inputs that are NaN are outputs of the step before.

        Args:
            x: inputs of each group, `(steps, d_in)`.
            r_map: pairs (output group, input group) that outputs are taken from and put into;
                where several give the same input, the first one counts.
            mode: see `generate`; parameters are drawn once for all steps.
            rng: draws; default: the model's own.

        Raises:
            ValueError: NaN in the first row or in a group that nothing is mapped to; groups of
                different sizes are mapped; a group is unknown.
        """
        return self._generate(x, [(int(h), int(g)) for h, g in r_map or ()], mode, rng)

    def _generate(
        self,
        x: Sequence[Any],
        pairs: Sequence[tuple[int, int]],
        mode: str,
        rng: np.random.Generator | None,
    ) -> list[Host]:
        self.refresh()
        self.core.tensors.require(*ROLES)
        arrays = self._steps(x, pairs)
        drawn = generation.generate(self.core, arrays, pairs, mode, rng or self.rng)
        return self._by_output(drawn)

    def recursive_moments(
        self, x: Sequence[Any], r_map: Sequence[tuple[int, int]] | None = None
    ) -> list[nn.Moments]:
        """Mean and variance, noise included, of what `recursive_generate` draws.

        What is fed back counts as independent of the parameters, as if these were drawn anew at
        each step: over many steps the variance is too small where parameters are uncertain.
        """
        pairs = [(int(h), int(g)) for h, g in r_map or ()]
        self.refresh()
        self.core.tensors.require(*ROLES)
        found = generation.propagate(self.core, self._steps(x, pairs), pairs)
        parts = (self._by_output(a) for a in found)
        return [nn.Moments(*moments) for moments in zip(*parts, strict=True)]

    def _steps(self, x: Sequence[Any], pairs: Sequence[tuple[int, int]]) -> list[Host]:
        """Inputs by group, after a look at what is missing."""
        rows = request.joined("x", x, self.d_in)
        arrays = np.split(rows, list(accumulate(self.d_in))[:-1], axis=1)
        faults = recursion.faults(arrays, pairs, self.core.groups)
        if faults:
            raise ValueError("; ".join(faults))
        return arrays

    def neg_ll(self, y: Sequence[Any], mn: Sequence[Any], psi: Values = None) -> float:
        """Negative log-likelihood of outputs given their means, summed over all values.

        Args:
            y: outputs of each group, `(n, d_out)`; NaN is left out.
            mn: means, likewise.
            psi: error variances of each group; None, for all or one, takes the model's.
        """
        rows = request.joined("y", y, self.d_out)
        means = request.joined("mn", mn, self.d_out)
        with self.core.tensors.overridden({"psi": psi}):
            self.core.tensors.require("psi")
            noise = self._noise()
        return _neg_ll(rows, means, np.sqrt(noise))

    def predictive_neg_ll(self, x: Sequence[Any], y: Sequence[Any]) -> float:
        """As `neg_ll`, under the predictive distribution: uncertain means and noise."""
        self.core.tensors.require("psi")
        rows = request.joined("y", y, self.d_out)
        found = [np.concatenate(parts, axis=1) for parts in zip(*self.predict(x), strict=True)]
        sd = np.sqrt(found[1] + found[2])
        return _neg_ll(rows, found[0], sd)

    def refresh(self) -> None:
        """Take over what is held in common with others; nothing here."""

    def kept_names(self) -> set[str]:
        """Names of parameters that a restart does not draw anew; none here."""
        return set()

    def publish(self) -> None:
        """Hand back what is held in common with others; nothing here."""


def _neg_ll(rows: Host, means: Host, sd: Host) -> float:
    """Of Gaussians, summed over what is no NaN."""
    from scipy.stats import norm

    return -float(np.nansum(norm.logpdf(rows, means, sd)))
