"""Tab completion, as bash asks for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.cli.completion import candidates


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tagi tr", ["train"]),
        ("tagi c", ["check", "compare", "completion", "convert", "cp"]),
        ("tagi train con", ["config="]),
        ("tagi train config=qu", ["config=quickstart"]),
        ("tagi show config=qu", ["config=quickstart"]),
        ("tagi train arch=m", ["arch=mlp"]),
        ("tagi train data=y", ["data=yacht"]),
        ("tagi train arch.wid", ["arch.width="]),
        ("tagi train arch=sequential arch.l", ["arch.layers="]),
        ("tagi train arch=sequential arch.wid", []),
        ("tagi check trainer.early_stopping.p", ["trainer.early_stopping.patience="]),
        (
            "tagi train data.shuffle_train=",
            ["data.shuffle_train=false", "data.shuffle_train=true"],
        ),
        ("tagi train data.scaling_tag=f", ["data.scaling_tag=full"]),
        ("tagi train trainer.cap=", ["trainer.cap=null"]),
        ("tagi train data.path=my", ["data.path=my.csv"]),
        ("tagi train config=./", ["config=./mine.yaml", "config=./outputs/"]),
        ("tagi train --", ["--cfg", "--help", "--multirun"]),
        ("tagi eval run=o", ["run=outputs/"]),
        ("tagi eval run=~nobody_of_that_name/", []),
        ("tagi eval split=", ["split=test", "split=train", "split=valid"]),
        ("tagi eval checkpoint=b", ["checkpoint=best"]),
        ("tagi predict o", ["output=", "overwrite="]),
        ("tagi ls lay", ["layer"]),
        ("tagi cp si", ["sine"]),
        ("tagi cp sine m", ["mine.yaml", "my.csv"]),
        (
            "tagi train hydra/launcher=s",
            [
                "hydra/launcher=submitit_local",
                "hydra/launcher=submitit_slurm",
            ],
        ),
        (
            "tagi tune tune.s",
            ["tune.sampler=", "tune.seed=", "tune.space=", "tune.startup_trials="],
        ),
        ("tagi compare --", ["--help", "--select"]),
        ("tagi compare ou", ["output=", "outputs/"]),
        ("tagi convert outputs/", ["outputs/my/"]),
        ("tagi completion ", ["bash"]),
        ("tagi doctor -", ["--help"]),
        ("tagi nonsense x", []),
        ("tagi train no/such/", []),
        ("tagi train data.path=no/such/", []),
    ],
)
def test_candidates(here: Path, line: str, expected: list[str]) -> None:
    (here / "mine.yaml").touch()
    (here / "outputs" / "my").mkdir(parents=True)
    assert candidates(line) == expected


def test_the_script_completes_in_bash(here: Path, tagi: Callable[..., Any]) -> None:
    script = tagi("completion", "bash").out
    (here / "bin").mkdir()
    program = here / "bin" / "tagi"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tagi_cli.cli.main "$@"\n')
    program.chmod(0o755)
    root = Path(__file__).parents[2]
    ask = (
        f"export PYTHONPATH={root} PATH={here}/bin:$PATH\n{script}\n"
        "compopt() { :; }\n"
        'ask() { COMP_LINE=$1; COMP_POINT=${#1}; _tagi; echo "${COMPREPLY[*]}"; }\n'
        "ask 'tagi tr'; ask 'tagi train config=qu'; ask 'tagi train trainer.update_rule=si'\n"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["train", "quickstart", "site"]
