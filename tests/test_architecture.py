"""The shape of the source: short files, telling names, a light `tagi --help`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = sorted(
    p for d in ("tagi_cli", "tests", "benchmarks", "docs") for p in (ROOT / d).rglob("*.py")
)
KERNELS = sorted(p for p in (ROOT / "kernels").rglob("*") if p.is_file())
LONGEST = 400
HEAVY = {"numpy", "scipy", "hydra", "omegaconf", "rich", "matplotlib"}
GRAB_BAGS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        name(p): n for p in PYTHON + KERNELS if (n := len(p.read_text().splitlines())) > LONGEST
    }
    assert not long, f"over {LONGEST} lines: {long}"


def test_no_file_or_folder_has_a_grab_bag_name() -> None:
    bags = [
        name(p)
        for p in PYTHON + KERNELS
        if GRAB_BAGS & {part.split(".")[0] for part in p.relative_to(ROOT).parts}
    ]
    assert not bags


def test_every_module_says_what_it_is_for() -> None:
    product = [path for path in PYTHON if path.relative_to(ROOT).parts[0] != "tests"]
    silent = [name(p) for p in product if not ast.get_docstring(ast.parse(p.read_text()))]
    assert not silent


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b")  # spelt here alone
    found = [
        name(p) for p in PYTHON + KERNELS if p != Path(__file__) and marks.search(p.read_text())
    ]
    assert not found


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []])
def test_the_front_door_imports_nothing_heavy(arguments: list[str]) -> None:
    probe = (
        "import sys; from tagi_cli.cli.main import main\n"
        f"sys.argv = ['tagi', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower() or "tagi" in done.stdout.lower()
