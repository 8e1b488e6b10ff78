"""A million rows: read and split within a gigabyte, by the reader that is meant for plain files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LOAD = """
import resource, sys
from tagi_cli import data
found = data.load(data.DataOptions(path=sys.argv[1], out_components=("c19",)))
print(len(found.train), found.train.x.shape[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_million_rows_load_within_a_gigabyte(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [",".join(f"{v:.8g}" for v in row) for row in rng.normal(size=(10_000, 20)).tolist()]
    block = "\n".join(lines) + "\n"
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(f"c{i}" for i in range(20)) + "\n")
        for _ in range(100):
            file.write(block)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True
    )
    rows, columns, kilobytes = map(int, done.stdout.split())
    assert (rows, columns) == (700_000, 19)
    assert kilobytes * 1024 < 1e9
