"""What mkdocs calls: pages that lie beside `docs/`, and links that leave it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

OUTSIDE = {
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Pages of the repository that the site has, too, and what they are called there."""

_LINK = re.compile(r"\[([^\]\n]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie elsewhere."""
    for source, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at those pages; of a link to another file of the repository keep the text."""
    name = page.file.src_uri
    source = next((at for at, called in OUTSIDE.items() if called == name), f"docs/{name}")
    folder, up = (ROOT / source).parent, "../" * name.count("/")

    def linked(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        path = (folder / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return match.group()
        inside = path.relative_to(ROOT).as_posix()
        if inside not in OUTSIDE and not inside.startswith("docs/"):
            return text
        return f"[{text}]({up}{OUTSIDE.get(inside, inside.removeprefix('docs/'))}{anchor or ''})"

    return _LINK.sub(linked, markdown)
