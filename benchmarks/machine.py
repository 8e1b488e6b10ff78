"""Where figures come from: the machine, the versions, the commit that is measured."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import peer

from tagi_cli.experiment import provenance

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"

MEASURED = ("tagi_cli", "kernels", "configs", "benchmarks/*.py")
"""What figures depend on: changes elsewhere, as of the results themselves, do not count."""


def environment() -> dict[str, Any]:
    """Machine, versions and commit of the code that is measured."""
    found = provenance.environment()
    del found["working_directory"]
    found["git_commit"] = provenance.git_commit(ROOT, *MEASURED)
    if peer.available():
        found["versions"]["pytagi"] = metadata.version("pytagi")
    return found
