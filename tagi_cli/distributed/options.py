"""Options of the group `distributed`."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli.distributed.connect import BACKENDS, TIMEOUT
from tagi_cli.options import option


@dataclass(frozen=True)
class DistributedOptions:
    """Several processes (ranks) that share each batch: `mpiexec -n 2 tagi train ...`."""

    backend: str = option(
        "auto",
        "How ranks exchange what they have learnt. mpi: by MPI, on CPUs and GPUs; nccl: by NCCL "
        "between GPUs, one for each rank; none: not at all; auto: none unless mpiexec has started "
        "several ranks, then nccl where it can be had, else mpi.",
        choices=BACKENDS,
    )
    sync_batchnorm: bool = option(
        True,
        "Whether batch normalisation takes the statistics of the whole batch, so that ranks learn "
        "what one process would. false: of each rank's own rows, which saves one exchange per "
        "normalisation and step; running averages are then the mean of those of the ranks.",
    )
    timeout: float | None = option(
        TIMEOUT,
        "Seconds that a rank waits for the others before it ends the job. null: for ever.",
        above=0,
    )
