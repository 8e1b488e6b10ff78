"""Training of one network by several processes, each on rows of its own."""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

import numpy as np

from tagi_cli import nn
from tagi_cli.distributed import Communicator, abort_on_error, connect
from tagi_cli.errors import UserError
from tagi_cli.pytagi import cuda
from tagi_cli.pytagi.nn.data_struct import BaseDeltaStates, BaseHiddenStates
from tagi_cli.pytagi.nn.sequential import Sequential

Host = np.ndarray[Any, Any]


class DDPConfig:
    """Which processes train together, and where.

    Args:
        device_ids: GPUs of the processes of one machine, by their number there; empty for the CPU.
        backend: `nccl`, which wants a GPU for each process; `mpi`, for CPUs and GPUs; `auto`: the
            first that can be had, and this process alone where mpiexec has not started it.
        rank: number of this process; `DDPSequential` sets it to what the launcher says.
        world_size: number of processes; likewise.
    """

    def __init__(
        self, device_ids: Items[int], backend: str = "nccl", rank: int = 0, world_size: int = 1
    ) -> None:
        self._device_ids = [int(index) for index in device_ids]
        self._backend = backend
        self._rank = rank
        self._world_size = world_size

    @property
    def device_ids(self) -> list[int]:
        """GPUs of the processes of one machine."""
        return list(self._device_ids)

    @device_ids.setter
    def device_ids(self, value: Items[int]) -> None:
        self._device_ids = [int(index) for index in value]

    @property
    def backend(self) -> str:
        """`nccl`, `mpi` or `auto`."""
        return self._backend

    @backend.setter
    def backend(self, value: str) -> None:
        self._backend = value

    @property
    def rank(self) -> int:
        """Number of this process."""
        return self._rank

    @rank.setter
    def rank(self, value: int) -> None:
        self._rank = int(value)

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self._world_size

    @world_size.setter
    def world_size(self, value: int) -> None:
        self._world_size = int(value)


class DDPSequential:
    """A network whose steps take in what all processes have learnt.

    ```python
    net = DDPSequential(Sequential(...), DDPConfig([], backend="mpi"), average=False)
    ```

    All processes begin with the parameters of rank 0, those in blocks among them, and make all
    calls together. Normalisations take the statistics of all rows, of whatever number in each
    process; states of recurrent layers stay those of each process. An error that nobody catches
    ends all processes.

    Args:
        model: the network.
        config: the processes.
        average: whether innovations of parameters are averaged over processes, as in pytagi: a
            step is then a part of what the rows tell. False sums them, which is what one process
            would learn from all rows in one batch.

    Raises:
        UserError: the backend cannot be had, or a device does not exist.
    """

    def __init__(self, model: Sequential, config: DDPConfig, average: bool = True) -> None:
        self.model = model
        self.config = config
        self.average = average
        self._ranks = connect(config.backend, where="DDPConfig.backend")
        config.rank, config.world_size = self._ranks.rank, self._ranks.size
        abort_on_error(self._ranks)
        device = _device(config, self._ranks)
        if device is not None:
            model.to_device(device)
        self._parallel: nn.DataParallel | None = None

    def _prepare(self, mu_x: Any) -> None:
        """Make processes begin alike, as soon as the size of the input is known."""
        if self.model._network is None:
            if isinstance(mu_x, BaseHiddenStates):
                self.model._build((mu_x.actual_size,))
            elif np.ndim(mu_x) > 1:
                self.model._build(np.shape(mu_x)[1:])
            else:
                return  # the model says what is wrong
        if self._ranks.size > 1:
            network, ranks = self.model.network, self._ranks
            self._parallel = nn.DataParallel(network, ranks, average=self.average)

    def __call__(self, mu_x: Any, var_x: Any = None) -> tuple[Host, Host]:
        """See `forward`."""
        return self.forward(mu_x, var_x)

    def forward(self, mu_x: Any, var_x: Any = None) -> tuple[Host, Host]:
        """Moments of the output for the rows of this process; see `Sequential.forward`."""
        if self._parallel is None:
            self._prepare(mu_x)
        return self.model.forward(mu_x, var_x)

    def backward(self) -> None:
        """Send the innovations of the output back to all parameters."""
        self.model.backward()

    def step(self) -> None:
        """Turn the innovations of the parameters, of all processes, into their posterior."""
        model = self.model
        if self._parallel is None:
            model.step()
            return
        if model._keeps_prior:
            model._keep_prior()
        self._parallel.step()
        model._stepped = True

    def train(self) -> None:
        """Behave as in training."""
        self.model.train()

    def eval(self) -> None:
        """Behave as in prediction."""
        self.model.eval()

    def barrier(self) -> None:
        """Wait until all processes are here, and their GPUs have done their work."""
        if self.model._network is not None:
            self.model.network.backend.wait()
        self._ranks.barrier()

    def get_outputs(self) -> tuple[Host, Host]:
        """Means and variances of the output of the latest call, flat."""
        return self.model.get_outputs()

    def output_to_host(self) -> list[float]:
        """Means of the output of the latest call."""
        return self.model.output_to_host()

    def get_device_with_index(self) -> str:
        """`cpu`, or `cuda:<index>`."""
        return self.model.device

    @property
    def output_z_buffer(self) -> BaseHiddenStates:
        """See `Sequential.output_z_buffer`."""
        return self.model.output_z_buffer

    @output_z_buffer.setter
    def output_z_buffer(self, value: BaseHiddenStates) -> None:
        self.model.output_z_buffer = value

    @property
    def input_delta_z_buffer(self) -> BaseDeltaStates:
        """See `Sequential.input_delta_z_buffer`."""
        return self.model.input_delta_z_buffer

    @input_delta_z_buffer.setter
    def input_delta_z_buffer(self, value: BaseDeltaStates) -> None:
        self.model.input_delta_z_buffer = value


def _device(config: DDPConfig, ranks: Communicator) -> str | None:
    """The GPU of this process; None where the network stays where it is."""
    ids, count = config.device_ids, cuda.get_device_count()
    if not ids or (config.backend == "auto" and count == 0):
        return None
    allowed = f"0 to {count - 1}" if count else "[], to stay on the CPU"
    if any(not 0 <= index < count for index in ids):
        raise UserError(
            f"DDPConfig.device_ids: found {ids}, but {count} CUDA devices are visible. "
            f"Allowed: {allowed}"
        )
    if len(ids) < ranks.local_size:
        raise UserError(
            f"DDPConfig.device_ids: found {ids} for {ranks.local_size} processes on this machine. "
            "Allowed: one for each"
        )
    return f"cuda:{ids[ranks.local_rank]}"
