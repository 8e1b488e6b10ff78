"""A latent regression with its parameters and error variances."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.arch.latent.psi import Psi
from tagi_cli.arch.latent.structure import Groups, LatentRegression, Priors
from tagi_cli.arch.latent.tensors import Tensors
from tagi_cli.backend import Backend, overwrite

Host = np.ndarray[Any, Any]

# Rows per call: large enough for full speed, small enough to stay in cache.
_CHUNK = 1024


class Core:
    """Network, error variances, and both by role.

    Attributes:
        groups: sizes.
        maps: chain of named layers from projected to transformed latents, as given; the network
            has copies.
        present: roles of parameters that the model has.
        layer: the network's graph.
        network: in the mode of prediction.
        psi: error variances.
        tensors: parameters by role.

    Args:
        groups: sizes.
        maps: chain of named layers; they stay as they are.
        s: layer of each output group, or None; likewise.
        present: roles of parameters that the model has.
        priors: priors of what is not in `maps` or `s`.
        rng: draws the prior means.
        backend: where it runs.

    Raises:
        ValueError: sizes do not go together.
    """

    def __init__(
        self,
        groups: Groups,
        maps: Sequence[tuple[str, nn.Layer]],
        s: Sequence[nn.Layer | None],
        present: Sequence[str],
        priors: Priors,
        rng: np.random.Generator,
        backend: Backend,
    ) -> None:
        self.groups = groups
        self.maps = list(maps)
        self.present = list(present)
        self._s, self._priors = list(s), priors
        self.layer = self._structure()
        shape = (sum(groups.d_in),)
        self.network = nn.Network(self.layer, shape, rng=rng, backend=backend)
        self.network.eval()
        self.psi = Psi(backend, groups.d_out)
        self.tensors = Tensors(self.network.parameters, self.psi, groups, present)

    def _structure(self) -> LatentRegression:
        """A graph of the model's structure, with nothing built yet."""
        return LatentRegression(
            self.groups,
            [(name, copy.deepcopy(layer)) for name, layer in self.maps],
            [copy.deepcopy(layer) for layer in self._s],
            use_scales="scales" in self.present,
            use_offsets="offsets" in self.present,
            priors=self._priors,
        )

    def with_maps(self, maps: Sequence[tuple[str, nn.Layer]], rng: np.random.Generator) -> Core:
        """A model with another chain of layers; all that both have keeps its value."""
        backend = self.network.backend
        other = Core(self.groups, maps, self._s, self.present, self._priors, rng, backend)
        kept = {name for name, _ in other.maps} & {
            name for name, layer in self.maps if (name, layer) in other.maps
        }
        replaced = {name for name, _ in [*self.maps, *other.maps]} - kept
        values = other.network.state_dict()
        own = self.network.state_dict()
        values |= {k: v for k, v in own.items() if k.partition(".")[0] not in replaced}
        other.network.load_state_dict(values)
        other.psi.load_state_dict(self.psi.state_dict())
        other.tensors.missing = set(self.tensors.missing)
        other.tensors.given = set(self.tensors.given)
        return other

    def redraw(self, rng: np.random.Generator, kept: Collection[str] = ()) -> None:
        """Give fresh prior means and variances to trainable parameters of the network.

        Those that were given a value keep it, and so do the `kept` ones, by name.
        """
        fresh = nn.Parameters(nn.Network(nn.Sequential(), (1,)).backend)
        self._structure().build(self.network.input_shape, fresh, rng)
        for name, parameter in self.network.parameters.tensors.items():
            if parameter.trainable and name not in kept and name not in self.tensors.given:
                parameter.assign(fresh.tensors[name].mu, fresh.tensors[name].var)

    def outputs(self, x: Host, var_x: Host | None = None) -> nn.Moments:
        """Moments of all outputs `(n, K)` for rows of all inputs, `(n, I)`, without noise."""
        K = sum(self.groups.d_out)
        mu, var = np.empty((len(x), K)), np.empty((len(x), K))
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            found = self.network(x[part], None if var_x is None else var_x[part])
            mu[part], var[part] = found.mu, found.var
        return nn.Moments(mu, var)

    def latents(self, x: Host, node: str) -> nn.Moments:
        """Moments of what a node of the graph gives, for rows of all inputs."""
        parts, host = [], self.network.backend.to_host
        for start in range(0, len(x), _CHUNK):
            passes = self.network.run(x[start : start + _CHUNK])
            value = passes.plan.nodes[self.layer][node][0]
            mu = host(value.mu)
            parts.append((mu, np.zeros_like(mu) if value.var is None else host(value.var)))
        mus, variances = zip(*parts, strict=True)
        return nn.Moments(np.concatenate(mus), np.concatenate(variances))

    def node_shape(self, node: str) -> tuple[int, ...]:
        """Shape of one row of what a node of the graph gives."""
        shape = next(n.layer.output_shape for n in self.layer.nodes if n.name == node)
        assert shape is not None
        return shape

    def state_dict(self) -> dict[str, Host]:
        """Host copies of all parameters, states and error variances."""
        return {**self.network.state_dict(), **self.psi.state_dict()}

    def load_state_dict(self, values: Mapping[str, Host]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs.
        """
        names = self.psi.state_dict().keys()
        missing = sorted(names - values.keys())
        if missing:
            raise ValueError(f"error variances are missing: {missing}")
        self.network.load_state_dict({k: v for k, v in values.items() if k not in names})
        self.psi.load_state_dict(values)

    def part(self, prefix: str) -> dict[str, tuple[Host, ...]]:
        """Host copies of the parameters and states of a node's layer."""
        host = self.network.backend.to_host
        store = self.network.parameters
        found = {t.name: (host(t.mu), host(t.var)) for t in self.parameters(prefix)}
        states = {n: s for n, s in store.states.items() if n.startswith(f"{prefix}.")}
        return {**found, **{name: (host(state.value),) for name, state in states.items()}}

    def load_part(self, values: Mapping[str, tuple[Host, ...]]) -> None:
        """Take over what `part` gave, of a model with a layer like it.

        Raises:
            ValueError: it has other sizes.
        """
        store = self.network.parameters
        for name, arrays in values.items():
            if name in store.tensors:
                store.tensors[name].assign(*arrays)
            else:
                overwrite(store.states[name].value, arrays[0])

    def parameters(self, prefix: str = "") -> list[nn.Parameter]:
        """Parameters of the network whose names begin with a node's."""
        tensors = self.network.parameters.tensors
        return [t for name, t in tensors.items() if name.startswith(f"{prefix}.")]
