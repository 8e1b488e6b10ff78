"""Parameters of a network: reading, setting, saving, counting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.backend import host_copy
from tagi_cli.nn import interop
from tagi_cli.pytagi import storage
from tagi_cli.pytagi.nn.base_layer import BaseLayer

Host = np.ndarray[Any, Any]
Four = tuple[Host, Host, Host, Host]


class Parameterised(ABC):
    """What a network does with its parameters as a whole."""

    def __init__(self) -> None:
        self._stepped = False
        self._prior: tuple[Host, Host, Host] | None = None
        self._keeps_prior = False

    @property
    @abstractmethod
    def network(self) -> nn.Network:
        """The network of `tagi_cli.nn` that holds the parameters."""

    @abstractmethod
    def _all(self) -> Iterable[BaseLayer]:
        """All layers, those in blocks included."""

    def before_step(self, parameter: nn.Parameter, part: str) -> tuple[Host, Host]:
        """Variance and innovations of a parameter as of the latest `backward`, flat.

        Once they were asked for, they are kept over a step.

        Raises:
            RuntimeError: a step was taken before they were first asked for.
        """
        self._keeps_prior = True
        store = self.network.parameters
        var, G, L = store.var, store.G, store.L
        if self._stepped:
            if self._prior is None:
                raise RuntimeError(
                    "innovations of parameters hold from backward() to step(); they are kept for "
                    "longer from the first time on that they are read in between"
                )
            var, G, L = self._prior
        end = 0
        for tensor in store.tensors.values():
            end += tensor.size
            if tensor is parameter:
                break
        rows = slice(end - parameter.size, end)
        return host_copy(var[rows]), host_copy((G if part == "G" else L)[rows])

    def get_neg_var_w_counter(self) -> dict[str, int]:
        """Variances of weights that would not have stayed positive since the last time asked.

        Returns:
            Their number by the layer's info; layers with the same info are counted together.
        """
        store = self.network.parameters
        floored = dict(zip(store.tensors.values(), host_copy(store.floored).tolist(), strict=True))
        store.floored.fill(0)
        result: dict[str, int] = {}
        for layer in self._all():
            weight = layer._leaf.weight
            name = layer.get_layer_info()
            result[name] = result.get(name, 0) + (0 if weight is None else floored[weight])
        return result

    def get_norm_mean_var(self) -> dict[str, tuple[Host, Host, Host, Host]]:
        """Statistics of the normalisation layers.

        Returns:
            By `<info>_<position>`: means and variances of the latest call, and running means and
            variances, which a layer normalisation does not have.
        """
        network = self.network
        statistics = {} if network._current is None else network.current.plan.statistics
        result = {}
        for leaf in interop.leaves(self.network.layer):
            layer = leaf.layer
            if not isinstance(layer, nn.Normalisation):
                continue
            place = leaf.name.partition(".")[2]
            batch = [host_copy(a) for a in statistics.get(layer, (np.empty(0, np.float32),) * 2)]
            running = [
                host_copy(leaf.states[n].value) if n in leaf.states else np.empty(0, np.float32)
                for n in ("running_mean", "running_var")
            ]
            result[f"{interop.info(layer)}_{place}"] = (*batch, *running)
        return result  # type: ignore[return-value]

    def parameters(self) -> list[Four]:
        """Copies of `mu_w, var_w, mu_b, var_b` of all layers that have parameters, in order."""
        return list(self.state_dict().values())

    def state_dict(self) -> dict[str, Four]:
        """Copies of `mu_w, var_w, mu_b, var_b` of all layers, by name, e.g. `Linear.0`.

        The tuples carry running statistics along, for `load_state_dict`.
        """
        return dict(interop.state_dict(self.network.layer))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Set the parameters of all layers, or of none.

        Raises:
            ValueError: a layer is missing or unknown, or an array does not fit.
        """
        interop.load_state_dict(self.network.layer, state_dict)

    def params_from(self, other: Parameterised) -> None:
        """Take over the parameters and running statistics of a network of the same layers."""
        self.load_state_dict(other.state_dict())

    def save(self, filename: str | Path) -> None:
        """Save parameters: `.safetensors` in our format, any other name in pytagi's."""
        storage.save(self.network, filename)

    def load(self, filename: str | Path) -> None:
        """Load parameters in our format or pytagi's, whichever the file is in.

        Raises:
            UserError: the file cannot be read, or is of another network.
        """
        storage.load(self.network, filename)

    def save_csv(self, filename: str | Path) -> None:
        """Save parameters in pytagi's four CSV files, whose names begin with `filename`."""
        interop.write_csv(self.network.layer, filename)

    def load_csv(self, filename: str | Path) -> None:
        """Load parameters from pytagi's four CSV files.

        Raises:
            UserError: a file cannot be read, or is of another network.
        """
        interop.read_csv(self.network.layer, filename)
