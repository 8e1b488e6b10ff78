"""Where figures come from: the machine, the versions, the commit that is measured."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import peer

from tagi_cli.experiment import provenance

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Machine, versions and commit of the code that is measured."""
    found = provenance.environment()
    del found["working_directory"]
    found["git_commit"] = provenance.git_commit(RESULTS.parent)
    if peer.available():
        found["versions"]["pytagi"] = metadata.version("pytagi")
    return found
