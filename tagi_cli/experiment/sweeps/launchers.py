"""What may run the jobs of a sweep, in the words of Hydra's launchers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagi_cli.options import Limits, Registry, option

launchers = Registry("launcher")
"""By the name that `hydra/launcher=` takes."""

_TIMEOUT = "Minutes that a job may take."
_TIMEOUTS = "Times that a job which is out of time, or preempted, goes on from its checkpoint."
_DELAY = "Seconds before the end of its time at which a job is told to save."
_SBATCH = "As sbatch has it; null leaves it to the cluster."


@dataclass(frozen=True, kw_only=True)
class BasicOptions:
    """One job after another, in this process."""


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """Several jobs at a time on this machine."""

    n_jobs: int = option(
        -1, "Jobs at a time. -1: one per core, -2: one less, and so on; at most the sweep's jobs."
    )

    def faults(self) -> list[str]:
        """`n_jobs` counts from 1, or from -1 down."""
        return [] if self.n_jobs else [".n_jobs: found 0. Allowed: at least 1, or -1 and below"]


@dataclass(frozen=True, kw_only=True)
class JoblibOptions(LocalOptions):
    """Each job a process that joblib's pool starts."""


@dataclass(frozen=True, kw_only=True)
class SubmititLocalOptions(LocalOptions):
    """Jobs as Slurm would run them, on this machine."""

    gpus_per_node: int = option(0, "GPUs that a job sees.", minimum=0)
    timeout_min: float = option(60.0, _TIMEOUT, above=0)
    max_num_timeout: int = option(0, _TIMEOUTS, minimum=0)
    signal_delay_s: int = option(30, _DELAY, minimum=1)

    def faults(self) -> list[str]:
        """`n_jobs` counts from 1, or from -1 down; there is time to save."""
        return super().faults() + _no_time(self.timeout_min, self.signal_delay_s)


@dataclass(frozen=True, kw_only=True)
class SubmititSlurmOptions:
    """One Slurm array for all jobs."""

    array_parallelism: int = option(256, "Jobs at a time.", minimum=1)
    cpus_per_task: int = option(1, "Cores, and threads, of a job.", minimum=1)
    gpus_per_node: int = option(0, "GPUs of a job.", minimum=0)
    mem_gb: float | None = option(4.0, "Memory of a job; null leaves it to the cluster.", above=0)
    timeout_min: int = option(60, _TIMEOUT, minimum=1)
    max_num_timeout: int = option(0, _TIMEOUTS, minimum=0)
    signal_delay_s: int = option(90, _DELAY, minimum=1)
    partition: str | None = option(None, _SBATCH)
    account: str | None = option(None, _SBATCH)
    qos: str | None = option(None, _SBATCH)
    constraint: str | None = option(None, _SBATCH)
    exclude: str | None = option(None, _SBATCH)
    setup: tuple[str, ...] = option((), "Lines of shell that run before each job.")
    additional_parameters: dict[str, Any] = field(
        default_factory=dict, metadata={"limits": Limits("Further options of sbatch, by name.")}
    )

    def faults(self) -> list[str]:
        """There is time to save."""
        return _no_time(self.timeout_min, self.signal_delay_s)


@dataclass(frozen=True, kw_only=True)
class RayInitOptions:
    """Where Ray runs."""

    address: str | None = option(
        None, "Of a running cluster, `auto` finds one; null starts Ray on this machine."
    )
    num_cpus: int | None = option(None, "Cores Ray may use on this machine; null: all.", minimum=1)
    num_gpus: int | None = option(None, "GPUs Ray may use on this machine; null: all.", minimum=0)

    def faults(self) -> list[str]:
        """A running cluster has the resources that it has."""
        return [
            f".{name}: has no meaning with an address, as the cluster has its resources already"
            for name in ("num_cpus", "num_gpus")
            if self.address is not None and getattr(self, name) is not None
        ]


@dataclass(frozen=True, kw_only=True)
class RayRemoteOptions:
    """What a job needs."""

    num_cpus: int = option(1, "Cores, and threads, of a job.", minimum=1)
    num_gpus: float = option(0.0, "GPUs of a job; 0.5 puts two jobs on one.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class RayCallOptions:
    """The two calls of Ray's that take options."""

    init: RayInitOptions = field(default_factory=RayInitOptions)
    remote: RayRemoteOptions = field(default_factory=RayRemoteOptions)


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Jobs as Ray tasks: on this machine, or on a Ray cluster."""

    ray: RayCallOptions = field(default_factory=RayCallOptions)


for _name, _options in {
    "basic": BasicOptions,
    "joblib": JoblibOptions,
    "submitit_local": SubmititLocalOptions,
    "submitit_slurm": SubmititSlurmOptions,
    "ray": RayOptions,
}.items():
    launchers.register(_name, _options, _options)


def _no_time(minutes: float, delay: int) -> list[str]:
    if delay < 60 * minutes:
        return []
    return [
        f".signal_delay_s: found {delay}, but a job has only {60 * minutes:g} seconds "
        "(timeout_min). Allowed: fewer seconds than those"
    ]
