"""What the documents promise: links that lead somewhere, and the README's two lines."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_the_readme_sets_up_in_two_lines() -> None:
    lines = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("python3")
    ]
    words = [shlex.split(line) for line in lines]
    assert [line[-1] for line in words] == ["config=quickstart", ".venv/bin/pytest"]
    assert all(line[:4] == ["python3", "-m", "venv", ".venv"] for line in words)


def test_the_tables_of_speed_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import speed_tables

    record = json.loads(speed_tables.RESULTS.read_text())
    made = speed_tables.tables(record)
    assert set(made) == {"workloads", "machine", "growth", "growth machine"}
    page = speed_tables.PAGE.read_text()
    assert speed_tables.fill(page, made) == page
    with pytest.raises(ValueError, match="0 places for the table 'else'"):
        speed_tables.fill(page, {"else": ""})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "page",
    [
        "explaining.md",
        "forecasting.md",
        "guide.md",
        "images.md",
        "latent-regression.md",
        "migration-pytagi.md",
        "series.md",
        "smoothing.md",
        "sweeps.md",
        "updating.md",
    ],
)
def test_the_snippets_of_a_page_run_from_top_to_bottom(tmp_path: Path, page: str) -> None:
    """Lines of Python first, all in one script, then those of the shell."""
    text = (ROOT / "docs" / page).read_text()
    python, shell = (
        "\n".join(re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
        for kind in ("python", "sh")
    )
    (tmp_path / "snippets.py").write_text(python)
    script = "python -W error snippets.py; rm snippets.py\n" + shell
    tools = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stderr
