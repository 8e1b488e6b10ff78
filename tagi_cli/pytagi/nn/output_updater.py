"""Conditioning the output of a network on observations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tagi_cli.backend import Call, select
from tagi_cli.nn.variances import refuse_negative
from tagi_cli.pytagi.nn.data_struct import BaseDeltaStates, BaseHiddenStates, InnovationView

Host = np.ndarray[Any, Any]


class OutputUpdater:
    """Writes the innovations of the output's pre-activation, given observations.

    An observation that is NaN is missing: nothing is learnt from it.

    Args:
        model_device: the device of the network, as `net.device` tells it.
    """

    def __init__(self, model_device: str) -> None:
        self.device = model_device

    @property
    def device(self) -> str:
        """The device of the network."""
        return self._device

    @device.setter
    def device(self, value: str) -> None:
        if value.partition(":")[0] not in ("cpu", "cuda"):
            raise ValueError(f"device '{value}': allowed are cpu, cuda, cuda:<index>")
        self._device = value

    def update(
        self,
        output_states: BaseHiddenStates,
        mu_obs: Host,
        var_obs: Host,
        delta_states: BaseDeltaStates,
    ) -> None:
        """Observe `y = output + V`, `V ~ N(0, var_obs)`.

        Args:
            output_states: the output, `net.output_z_buffer`.
            mu_obs: as many observations as the output has values, NaN where missing.
            var_obs: their error variances; where there are more, the first ones are used.
            delta_states: where the innovations go, `net.input_delta_z_buffer`.

        Raises:
            ValueError: a size does not fit the output, or a variance is negative.
        """
        var_obs = _first(var_obs, mu_obs)
        owner = output_states.owner
        if owner is not None and delta_states is owner.input_delta_z_buffer:
            owner.updater.update(mu_obs, var_obs)
            return
        n = output_states.size
        mu_obs, var_obs = _real(mu_obs), _real(var_obs)
        if mu_obs.size != n or not var_obs.size or n % var_obs.size:
            raise ValueError(
                f"the output has {n} values, there are {mu_obs.size} observations and "
                f"{var_obs.size} variances"
            )
        refuse_negative(var_obs, "error variances")
        sizes = (np.int32(n), np.int32(var_obs.size))
        _condition("gaussian_update", output_states, delta_states, (mu_obs, var_obs), sizes)

    def update_using_indices(
        self,
        output_states: BaseHiddenStates,
        mu_obs: Host,
        var_obs: Host,
        selected_idx: Host,
        delta_states: BaseDeltaStates,
    ) -> None:
        """Observe some units of each row, as hierarchical softmax does.

        Args:
            output_states: the output, `net.output_z_buffer`.
            mu_obs: observations, the same number for each row.
            var_obs: their error variances; where there are more, the first ones are used.
            selected_idx: the units observed, counted from 1.
            delta_states: where the innovations go, `net.input_delta_z_buffer`.

        Raises:
            ValueError: sizes do not fit, an index lies outside the output, or a variance is
                negative.
        """
        owner = output_states.owner
        if owner is not None and delta_states is owner.input_delta_z_buffer:
            owner.updater.update_using_indices(mu_obs, var_obs, selected_idx)
            return
        B, K = output_states.block_size, output_states.actual_size
        y, index = _real(mu_obs), np.ascontiguousarray(selected_idx, np.int32).ravel()
        var_v = _real(var_obs)[: y.size]
        if y.size % max(B, 1) or index.size != y.size or var_v.size < y.size:
            raise ValueError(
                f"{B} rows: {y.size} observations, {index.size} indices and {var_v.size} "
                "variances do not fit"
            )
        if index.size and not (index.min() >= 0 and index.max() <= K):
            raise ValueError(
                f"index from {index.min()} to {index.max()}: the output has units 1 to {K}"
            )
        refuse_negative(var_v, "error variances")
        sizes = (np.int32(B), np.int32(K), np.int32(y.size // max(B, 1)))
        _condition("indexed_update", output_states, delta_states, (y, var_v, index), sizes)

    def update_heteros(
        self, output_states: BaseHiddenStates, mu_obs: Host, delta_states: BaseDeltaStates
    ) -> None:
        """Observe with an error variance that the network predicts itself (AGVI).

        Args:
            output_states: the output, `net.output_z_buffer`: predictions and, at odd positions,
                their error variances, as `EvenExp` gives them.
            mu_obs: half as many observations as the output has values, NaN where missing.
            delta_states: where the innovations go, `net.input_delta_z_buffer`.

        Raises:
            ValueError: a size does not fit the output.
        """
        owner = output_states.owner
        if owner is not None and delta_states is owner.input_delta_z_buffer:
            owner.updater.update_heteros(mu_obs)
            return
        y = _real(mu_obs)
        if 2 * y.size != output_states.size:
            raise ValueError(
                f"the output has {output_states.size} values in pairs, the observations {y.size}"
            )
        sizes = (np.int32(y.size),)
        _condition("heteroscedastic_update", output_states, delta_states, (y,), sizes)


def _real(values: Any) -> Host:
    return np.ascontiguousarray(values, np.float32).ravel()


def _first(var_obs: Host, mu_obs: Host) -> Host:
    """As many variances as there are observations, where there are more."""
    try:
        if var_obs.size <= mu_obs.size:
            return var_obs
    except AttributeError:
        pass
    return np.ravel(var_obs)[: np.size(mu_obs)]


def _condition(
    kernel: str,
    states: BaseHiddenStates,
    deltas: BaseDeltaStates,
    inputs: tuple[Host, ...],
    sizes: tuple[np.int32, ...],
) -> None:
    """The kernels of an update of states that are not those of one network's latest call."""
    if isinstance(deltas, InnovationView) and deltas.size != states.size:
        raise ValueError(f"the output has {states.size} values, the innovations {deltas.size}")
    n = states.size
    d_a, d_z = np.empty((2, n), np.float32), np.empty((2, n), np.float32)
    mu, var, jac = (_real(a) for a in (states.mu_a, states.var_a, states.jcb))
    calls = [
        Call(kernel, (*d_a, mu, var, *inputs, *sizes)),
        Call("jacobian_backward", (*d_z, *d_a, jac, np.int32(n), np.int32(0))),
    ]
    select().bind(calls).run()
    if deltas.owner is None and deltas.size != n:
        deltas.set_size(n, states.block_size)
    deltas.delta_mu, deltas.delta_var = d_z
