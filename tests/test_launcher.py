"""What launchers tell, and what is told of a rank that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tagi_cli.launcher import Place, place

CHILD = """
import os, signal, sys, time
from pathlib import Path
from tagi_cli.launcher import Place, results_go_to, say_last, supervise

def record(folder, line):
    (folder / "why").write_text(f"{{os.getpid() == SUPERVISOR}} {{line}}")

SUPERVISOR = os.getpid()
supervise(Place(1, 4), record)
print("child", flush=True)
{work}
"""


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, (0, 1)),
        ({"PMI_SIZE": "4", "PMI_RANK": "3"}, (3, 4)),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, (0, 2)),
        ({"MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"}, (1, 2)),
        ({"PMI_SIZE": "many", "PMI_RANK": "0"}, (0, 1)),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "2"}, (0, 1)),
    ],
)
def test_what_launchers_say(environment: dict[str, str], found: Place) -> None:
    assert place(environment) == found


def supervised(work: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_exit_codes_pass_through() -> None:
    done = supervised("sys.exit(7)")
    assert done.communicate(timeout=60) == ("child\n", "")
    assert done.returncode == 7


def test_a_killed_rank_is_told_with_number_and_cause() -> None:
    done = supervised("os.kill(os.getpid(), signal.SIGKILL)")
    out, told = done.communicate(timeout=60)
    assert out == "child\n"
    assert told.startswith("tagi: rank 1 of 4 (process ")
    assert "was killed by signal 9 (SIGKILL), as the system does where memory runs out" in told
    assert done.returncode == 128 + 9


@pytest.mark.parametrize(
    ("work", "recorded"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "True rank 1 of 4 (process "),
        ("say_last('no more')", "False no more"),
        ("say_last('no more', record=False)", None),
    ],
)
def test_the_run_folder_keeps_why(tmp_path: Path, work: str, recorded: str | None) -> None:
    """By the supervisor where the rank was killed, else by the rank itself."""
    supervised(f"results_go_to(Path({str(tmp_path)!r})); {work}").communicate(timeout=60)
    found = tmp_path / "why"
    assert found.exists() == (recorded is not None)
    assert recorded is None or found.read_text().startswith(recorded)


def test_signals_reach_the_child_once() -> None:
    work = """
seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.2)
print(len(seen), flush=True)
"""
    done = supervised(work)
    assert done.stdout is not None
    assert [done.stdout.readline() for _ in range(2)] == ["child\n", "ready\n"]
    done.send_signal(signal.SIGTERM)
    assert done.communicate(timeout=60) == ("1\n", "")
    assert done.returncode == 0


LATE = """
import os, signal
wait = os.waitpid

def late(*given):
    found = wait(*given)
    os.kill(os.getpid(), signal.SIGTERM)
    return found

os.waitpid = late
"""


def test_a_signal_may_come_when_the_child_has_ended() -> None:
    """As launchers send it to all ranks once one of them has left with a code."""
    script = LATE + CHILD.format(work="sys.exit(7)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_the_child_dies_with_its_supervisor() -> None:
    """The pipe closes once nobody holds it any more."""
    done = supervised("time.sleep(600)")
    assert done.stdout is not None
    done.stdout.readline()
    os.kill(done.pid, signal.SIGKILL)
    assert done.communicate(timeout=60) == ("", "")
