"""The pages in a browser without a screen: no error, no request, and nothing wider than a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.experiment import run
from tagi_cli.experiment.report.page import write_report
from tagi_cli.experiment.sweeps.compare import compare
from tagi_cli.experiment.sweeps.comparison_page import write_page

from .test_report import HOSTILE, make_run

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH"),
]

# Looks at the page inside a frame of this width, as a phone would show it.
PROBE = """<!doctype html><body><iframe src="{page}" style="width:{width}px;height:900px"></iframe>
<script>
document.querySelector("iframe").onload = (event) => {{
  const page = event.target.contentDocument, root = page.documentElement;
  const out = document.createElement("pre");
  const loaded = event.target.contentWindow.performance.getEntriesByType("resource");
  out.id = "found";
  out.textContent = JSON.stringify({{
    width: root.scrollWidth,
    figures: [...page.querySelectorAll("figure svg")].map((e) => e.getBoundingClientRect().width),
    paper: event.target.contentWindow.getComputedStyle(page.body).backgroundColor,
    scripts: page.querySelectorAll("script").length,
    requests: loaded.length,
  }});
  document.body.append(out);
}};
</script>"""


def look(page: Path, width: int, *flags: str) -> dict[str, float]:
    """What the probe finds; fails where the browser's console has a message."""
    probe = page.with_name(f"probe-{width}.html")
    probe.write_text(PROBE.format(page=page.name, width=width), encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
            "--allow-file-access-from-files",
            "--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}",
            "--virtual-time-budget=4000", *flags, "--dump-dom", probe.as_uri(),
        ],
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert said == []
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout)
    assert found is not None, done.stdout[-500:]
    return dict(json.loads(html.unescape(found[1])))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_report_fits_and_asks_for_nothing(tmp_path: Path, width: int) -> None:
    page = write_report(make_run(tmp_path, names=(HOSTILE, "price"), n=2000))
    found = look(page, width)
    assert found["width"] <= width
    assert len(found["figures"]) == 18
    assert min(found["figures"]) > 250
    assert (found["requests"], found["scripts"]) == (0, 0)


def test_dark_and_light(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path))
    light = look(page, 800)["paper"]
    dark = look(page, 800, "--blink-settings=preferredColorScheme=0")["paper"]
    brightness = [np.mean([int(n) for n in re.findall(r"\d+", str(c))[:3]]) for c in (light, dark)]
    assert brightness[0] > 200
    assert brightness[1] < 60


@pytest.mark.parametrize("width", [1280, 390])
def test_a_comparison_fits(trained: Path, make_settings, tmp_path: Path, width: int) -> None:  # type: ignore[no-untyped-def]
    other = run.train(make_settings(**{"arch.width": 4}), "tagi train", tmp_path)
    page = tmp_path / "runs.html"
    write_page(compare([trained, other]), page)
    found = look(page, width)
    assert found["width"] <= width
    assert len(found["figures"]) == 2
    assert (found["requests"], found["scripts"]) == (0, 0)


def test_a_report_prints_on_a_few_sheets(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path))
    assert BROWSER is not None
    sheet = tmp_path / "report.pdf"
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={sheet}",
         f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()],
        capture_output=True, timeout=100, check=True,
    )  # fmt: skip
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes())) <= 6
