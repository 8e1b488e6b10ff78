"""Stands in for Slurm: `sbatch` starts each task of an array here, `srun` what it is given.

Written as commands into a folder for PATH by `install`.
"""

from __future__ import annotations

import sys
from pathlib import Path

_SBATCH = """#!{python}
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
array = re.search(r"--array=0-(\\d+)", text)
for task in range(int(array[1]) + 1 if array else 1):
    own = {{"SLURM_JOB_ID": str(4242 + task), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}}
    own |= {{"SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}}
    if array:
        own |= {{"SLURM_ARRAY_JOB_ID": "4242", "SLURM_ARRAY_TASK_ID": str(task)}}
    subprocess.Popen(
        ["bash", sys.argv[-1]], env=os.environ | own, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
print("Submitted batch job 4242")
"""

_SRUN = """#!{python}
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    flag = words.pop(0)
    if flag in ("--output", "--error"):
        words.pop(0)
os.execvp(words[0], words)
"""

_SILENT = "#!/bin/sh\nexit 0\n"


def install(folder: Path) -> Path:
    """Write the commands into `folder`; returns it."""
    folder.mkdir()
    texts = {"sbatch": _SBATCH, "srun": _SRUN, "sacct": _SILENT, "scancel": _SILENT}
    for name, text in texts.items():
        path = folder / name
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)
    return folder
