"""A network stepped from Python whose batches are parts of batches that ranks share."""

from __future__ import annotations

from tagi_cli.backend import Segment, collective
from tagi_cli.nn.layers.batch_norm import local_averages
from tagi_cli.nn.network import Network
from tagi_cli.nn.plan import Plan
from tagi_cli.nn.recurrent_state import row_states
from tagi_cli.nn.rules import default_cap, emit_step
from tagi_cli.nn.shard import Ranks, Shard, Sums

# Rows of a whole batch that stand before those of the next rank, where nobody knows how many do.
_APART = 4096


class DataParallel:
    """Steps that sum what all ranks have learnt from their rows; these may differ in number.

    Forward and backward are the network's own, except that all ranks run them together in training:
    statistics of batches are pooled. The parameters of all ranks become those of rank 0.

    ```python
    parallel = DataParallel(net, tagi_cli.distributed.connect("mpi"))
    net(x); OutputUpdater(net).update(y, var_v); net.backward()
    parallel.step()                       # instead of net.step()
    ```

    Args:
        network: the network.
        ranks: who shares batches.
        synced: whether normalisations that do not say so themselves pool their statistics.
        average: whether the innovations of parameters are averaged over ranks, as pytagi does,
            instead of summed: a step is then that of as many rows as ranks have on average, and the
            cap follows from their number. The sum is what one process would learn from all rows.
    """

    def __init__(
        self, network: Network, ranks: Ranks, *, synced: bool = True, average: bool = False
    ) -> None:
        store = network.parameters
        self._network = network
        self._rows = network.backend.zeros((1,))
        own = local_averages(network.layer, synced=synced)
        sums, means = ([], [self._rows, *own]) if average else ([self._rows], own)
        self._sums = Sums(ranks, store, sums, means, average=average)
        self._steps: dict[tuple[str, float], Segment] = {}
        # Each rank goes on from the recurrent states of its own rows, of whatever number.
        own_rows = row_states(network.layer, store)
        common = [state.value for name, state in store.states.items() if name not in own_rows]
        for array in (store.mu, store.var, *common):
            ranks.broadcast(array)
        network.shard = Shard(ranks, ranks.rank * _APART, synced)
        network.forget()

    def step(self) -> None:
        """Turn the innovations of the parameters, of all ranks, into their posterior."""
        network = self._network
        self._rows.fill(network.current.plan.batch)
        self._sums.reduce()
        rows = round(float(network.backend.to_host(self._rows)[0]))
        cap = default_cap(network.rule, rows) if network.cap is None else network.cap
        self._step(network.rule, cap).once()

    def _step(self, rule: str, cap: float) -> Segment:
        """The bound update of the parameters."""
        if (rule, cap) not in self._steps:
            backend, store = self._network.backend, self._network.parameters
            plan = Plan(backend, store, 0, training=True, differentiable=False)
            emit_step(plan, store, rule, cap, self._rows)
            self._steps[rule, cap] = collective.bind(backend, plan.take())
        return self._steps[rule, cap]
