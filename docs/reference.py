"""Write docs/configuration.md from the schema; with --check, fail where it is out of date."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from tagi_cli import config
from tagi_cli.experiment.settings import Settings, registries

PAGE = Path(__file__).with_name("configuration.md")


def main() -> int:
    """Write the page, or compare it with what would be written."""
    text = config.reference(Settings, registries())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    found = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    sys.stdout.writelines(
        difflib.unified_diff(
            found.splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"{PAGE} as it is",
            "as `make docs` would write it",
        )
    )
    return int(found != text)


if __name__ == "__main__":
    sys.exit(main())
