"""Real ranks: `mpiexec -n R tagi train ...`. Run with `pytest -m mpi`; needs tagi-cli[mpi]."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.training import checkpoint

BESIDE = Path(sys.executable).with_name("mpiexec")
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
LACKS = [
    what for what, there in (("mpi4py", find_spec("mpi4py")), ("mpiexec", MPIEXEC)) if not there
]

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(bool(LACKS), reason=f"needs {' and '.join(LACKS)}: install tagi-cli[mpi]"),
]

# Dying within this time is soon enough for a machine that has other work, too.
SOON = 10.0
TAGI = [sys.executable, "-m", "tagi_cli.cli.main", "train"]
SMALL = [
    "config=quickstart", "data.batch_size=32", "noise=constant", "ensemble.size=1",
    "trainer.early_stopping.enabled=false", "viz.enabled=false",
]  # fmt: skip


def command(ranks: int, *arguments: str) -> list[str]:
    assert MPIEXEC is not None
    launched = [MPIEXEC, "-n", str(ranks), *TAGI, *arguments]
    return launched if ranks > 1 else [*TAGI, *arguments]


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    allowed = ("ALLOW_RUN_AS_ROOT", "ALLOW_RUN_AS_ROOT_CONFIRM", "MCA_rmaps_base_oversubscribe")
    more = {f"OMPI_{name}": "1" for name in allowed}
    more["PRTE_MCA_rmaps_default_mapping_policy"] = ":OVERSUBSCRIBE"
    return {**os.environ, "PYTHONPATH": root, **more}


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=100
    )


def trained(folder: Path, ranks: int, *arguments: str) -> Path:
    """The only run folder of its name."""
    name = f"name=on{ranks}"
    done = run(folder, *command(ranks, *SMALL, name, *arguments))
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "outputs" / f"on{ranks}").iterdir()
    return made


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def tensors(run: Path, which: str = "best", kind: str = "model") -> dict[str, Any]:
    return checkpoint.read(run / "checkpoints" / f"{which}.safetensors", kind)[0]


@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_ranks_equal_one(tmp_path: Path, precision: str, tolerance: float) -> None:
    """Batches of 32 for 3 ranks are cut unequally, and the last has 22 rows."""
    options = [f"precision={precision}", "trainer.max_epochs=3", "trainer.refit=false"]
    alone = trained(tmp_path, 1, *options)
    expected = tensors(alone)
    rows = sum(read(alone / "environment.json")["rows_per_rank"])
    for ranks in (2, 3):
        together = trained(tmp_path, ranks, *options, "distributed.backend=mpi")
        for name, value in tensors(together).items():
            np.testing.assert_allclose(
                value, expected[name], rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name
            )
        told = read(together / "environment.json")
        assert told["world_size"] == ranks == len(told["rows_per_rank"])
        assert sum(told["rows_per_rank"]) == rows
        metrics = (together / "metrics.csv").read_text().splitlines()
        assert len(metrics) == 1 + 3


def once(text: str, message: str) -> bool:
    return text.count(message) == 1


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("arch.widht=3", "arch.widht"),
        ("data.batch_size=2", "data.batch_size: found 2, fewer rows than the 3 ranks"),
        ("data.path=nowhere.csv", "nowhere.csv: no such file"),
        ("device=cuda:77", "device: found 'cuda:77'"),
        ("distributed.backend=none", "found 'none', but a launcher has started 3 ranks"),
        ("distributed.backend=nccl", "distributed.backend: found 'nccl', but"),
        ("config=latent/synthetic", "latent_regression is trained by one process"),
    ],
)
def test_one_mistake_one_message(tmp_path: Path, mistake: str, message: str) -> None:
    own = mistake.startswith("config=")
    done = run(tmp_path, *command(3, *([] if own else SMALL), mistake))
    assert done.returncode == 2
    assert once(done.stderr, message)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs").exists()


def test_a_sweep_is_no_work_for_ranks(tmp_path: Path) -> None:
    done = run(tmp_path, *command(2, *SMALL, "-m", "seed=0,1"))
    assert done.returncode != 0
    assert once(done.stderr, "--multirun: a launcher has started 2 ranks")


def two(first: str, second: str) -> list[str]:
    """Two ranks with different arguments."""
    return [*command(2, *SMALL, first)[:1], "-n", "1", *TAGI, *SMALL, first, ":",
            "-n", "1", *TAGI, *SMALL, second]  # fmt: skip


def test_different_configs(tmp_path: Path) -> None:
    done = run(tmp_path, *two("seed=0", "seed=1"))
    assert done.returncode != 0
    assert once(done.stderr, "ranks must be started alike")
    assert "seed is 0 on rank 0 and 1 on rank 1" in done.stderr


def test_one_rank_fails_alone(tmp_path: Path) -> None:
    begun = time.monotonic()
    done = run(tmp_path, *two("seed=0", "arch.width=-1"))
    assert done.returncode != 0
    assert time.monotonic() - begun < 4 * SOON
    assert once(done.stderr, "tagi: rank 1 of 2 failed: arch.width")
    assert not (tmp_path / "outputs").exists()


def test_one_rank_runs_out_of_memory(tmp_path: Path) -> None:
    """The others wait for it; they end, and the run folder says why."""
    script = f"""
import sys
import numpy as np
from tagi_cli.cli.main import main
from tagi_cli.experiment.members import MakeMember
make = MakeMember.__call__
def hungry(self, member, rng):
    made = make(self, member, rng)
    return np.empty(1 << 60, np.uint8) if self._ranks.rank == 1 else made
MakeMember.__call__ = hungry
sys.exit(main(["train", *{SMALL!r}, "name=job"]))
"""
    assert MPIEXEC is not None
    done = run(tmp_path, MPIEXEC, "-n", "2", sys.executable, "-c", script)
    assert done.returncode != 0
    assert once(done.stderr, "tagi: rank 1 of 2 failed: out of memory")
    assert failed(tmp_path, "rank 1 of 2 failed: out of memory")


SCRIPT = """
import sys
import numpy as np
from tagi_cli.pytagi import nn
net = nn.DDPSequential(nn.Sequential(nn.Linear(2, 1)), nn.DDPConfig([], backend="mpi"))
updater = nn.OutputUpdater("cpu")
for step in range(20):
    if net.config.rank == 1 and step == 5:
        {work}
    net(np.ones((3, 2), np.float32))
    updater.update(net.output_z_buffer, np.ones(3), np.ones(3), net.input_delta_z_buffer)
    net.backward()
    net.step()
print("done")
"""


@pytest.mark.parametrize(
    ("work", "told"),
    [
        ("raise ValueError('bad row')", "ValueError: bad row"),
        ("sys.exit(3)", "it left with status 3"),
    ],
)
def test_a_script_of_which_one_rank_fails(tmp_path: Path, work: str, told: str) -> None:
    """The other one would wait for it in the all-reduce of the sixth step."""
    assert MPIEXEC is not None
    done = run(tmp_path, MPIEXEC, "-n", "2", sys.executable, "-c", SCRIPT.format(work=work))
    assert done.returncode != 0
    assert once(done.stderr, f"tagi: rank 1 of 2 failed: {told}. All ranks stop")
    assert "done" not in done.stdout


def failed(folder: Path, why: str) -> bool:
    """Whether the only run there says that it failed, and why."""
    (made,) = (folder / "outputs" / "job").iterdir()
    told = read(made / "summary.json")
    return told["status"] == "failed" and why in (made / "train.log").read_text()


def rank_process(job: subprocess.Popen[str], rank: int) -> int:
    """The process that works as a rank of a job: the child of the one that the launcher started."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            environ = (status.parent / "environ").read_bytes().split(b"\0")
            parent = int(status.read_text().partition("PPid:")[2].split()[0])
            words = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        names = [f"{name}_RANK={rank}".encode() for name in ("PMI", "OMPI_COMM_WORLD")]
        if any(name in environ for name in names) and b"tagi_cli.cli.main" in words:
            found[int(status.parent.name)] = parent
    return next(process for process, parent in found.items() if parent in found)


def started(
    folder: Path, epochs: int, *arguments: str, ready: Callable[[Path], bool]
) -> tuple[subprocess.Popen[str], Path]:
    """A job on two ranks that is in the middle of its work."""
    options = [
        *SMALL,
        f"trainer.max_epochs={epochs}",
        "name=job",
        "trainer.refit=false",
        *arguments,
    ]
    job = subprocess.Popen(
        command(2, *options), cwd=folder, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for made in (folder / "outputs" / "job").glob("*"):
            if ready(made):
                return job, made
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)
    raise AssertionError("not ready in time")


def saved(made: Path) -> bool:
    metrics = made / "metrics.csv"
    there = (made / "checkpoints" / "last.safetensors.sha256").exists() and metrics.exists()
    return there and len(metrics.read_text().splitlines()) > 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_killed_rank(tmp_path: Path) -> None:
    """All end at once with a message; the resumed run is to the last bit one that went through."""
    epochs = 300
    job, made = started(tmp_path, epochs, ready=saved)
    begun = time.monotonic()
    os.kill(rank_process(job, 1), signal.SIGKILL)
    _, told = job.communicate(timeout=60)
    assert time.monotonic() - begun < SOON
    assert job.returncode != 0
    assert once(told, "tagi: rank 1 of 2")
    assert "was killed by signal 9 (SIGKILL)" in told
    assert failed(tmp_path, "rank 1 of 2 (process")
    assert read(made / "summary.json")["epochs"] > 0
    done = run(tmp_path, *command(2, f"trainer.resume={made}"))
    assert done.returncode == 0, done.stderr
    whole = trained(tmp_path, 2, f"trainer.max_epochs={epochs}", "trainer.refit=false")
    for which, kind in (("best", "model"), ("last", "training")):
        resumed = tensors(made, which, kind)
        for name, value in tensors(whole, which, kind).items():
            if name != "history":  # it holds seconds
                np.testing.assert_array_equal(resumed[name], value, err_msg=name)
    one = run(tmp_path, *command(1, f"trainer.resume={made}", f"trainer.max_epochs={epochs + 5}"))
    assert one.returncode == 0, one.stderr
    assert read(made / "environment.json")["world_size"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_rank_that_stands_still(tmp_path: Path) -> None:
    job, _ = started(tmp_path, 100_000, "distributed.timeout=2", ready=saved)
    os.kill(rank_process(job, 1), signal.SIGSTOP)
    begun = time.monotonic()
    _, told = job.communicate(timeout=60)
    assert time.monotonic() - begun < SOON
    assert job.returncode != 0
    assert once(told, "tagi: rank 0 of 2: has waited 2 s for the other ranks")
    assert failed(tmp_path, "has waited 2 s")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_interrupted_together(tmp_path: Path) -> None:
    job, made = started(tmp_path, 100_000, ready=saved)
    os.kill(rank_process(job, 1), signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 130
    assert read(made / "summary.json")["status"] == "interrupted"
