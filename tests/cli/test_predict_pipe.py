"""`tagi predict` on pipes, as processes see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .conftest import Tagi


def predicting(run: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tagi_cli.cli.main", "predict", f"run={run}", *words]
    pipe = subprocess.PIPE
    # Where Python itself does not buffer, nothing would show that answers are flushed.
    own = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=own)


def test_a_consumer_sees_each_answer_at_once(finished: Path) -> None:
    with predicting(finished, "input=-", "output=-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for row in range(3):
            process.stdin.write(f'{{"a": {row}, "b": 1}}\n'.encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["row"] == row
        process.stdin.write(b'{"a": "x", "b": 1}\n')
        process.stdin.close()
        process.stdin = None
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.decode().endswith("standard input, row 4, column 'a': 'x' is not a number.\n")


def test_a_consumer_that_has_seen_enough_ends_it_quietly(finished: Path) -> None:
    with predicting(finished, "input=-", "output=-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"a,b\n1,2\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"1,2\n" * 1000)
        process.stdin.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_files_and_pipes_mix(tagi: Tagi, here: Path, finished: Path) -> None:
    run = f"run={finished}"
    assert tagi("predict", run, "input=my.csv", "output=out.csv").code == 0
    with predicting(finished, "input=my.csv", "output=-") as process:
        out, _ = process.communicate(timeout=60)
    assert out.decode() == (here / "out.csv").read_text()
    with predicting(finished, "input=-", f"output={here / 'piped.csv'}") as process:
        process.communicate((here / "my.csv").read_bytes(), timeout=60)
    assert (here / "piped.csv").read_text() == (here / "out.csv").read_text()


def test_what_pipes_cannot_do(tagi: Tagi, finished: Path, here: Path) -> None:
    run = f"run={finished}"
    assert "horizon: what comes after" in tagi("predict", run, "horizon=2", "input=-").err
    again = tagi("predict", run, "input=-", "output=-", "overwrite=true")
    assert "overwrite: there is nothing to replace" in again.err
    (here / "there.csv").write_text("")
    assert "is there already" in tagi("predict", run, "input=-", "output=there.csv").err
