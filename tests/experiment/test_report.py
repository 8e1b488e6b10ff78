"""The report: one safe file with everything inside, whatever the columns are called."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.errors import UserError
from tagi_cli.experiment.folder import FORMAT, RunFolder
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions
from tagi_cli.experiment.report import figures, output_figures, regression
from tagi_cli.experiment.report.diagnostics import diagnose
from tagi_cli.experiment.report.page import write_report

HOSTILE = '<script>alert("1")</script>$\\frac{a}&"\x00\x1b\''
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects tags, texts and attribute values, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def metrics(names: tuple[str, ...], coverage: float) -> dict[str, Any]:
    one = {"rmse": 0.5, "mae": 0.4, "r2": 0.9, "nll": 1.0, "crps": 0.2, "coverage_50": 0.5}
    one |= {"coverage_90": coverage, "coverage_95": 0.95, "width_90": 1.0, "pit_error": 0.01}
    return {**one, "components": {name: dict(one) for name in names}}


def make_run(parent: Path, names: tuple[str, ...] = ("price",), n: int = 300) -> RunFolder:
    rng = np.random.default_rng(1)
    shape = (1, n, len(names))
    mu = rng.normal(size=shape)
    var = np.full(shape, 0.5)
    law = Predictions(names, Places(np.arange(n)), mu[0] + rng.normal(size=shape[1:]), mu, var, var)
    folder = RunFolder.create(parent)
    split = {"method": "random", "seed": 0, "train": 800, "valid": 100, "test": n}
    column = {
        "role": "input",
        "mean": 0.0,
        "sd": 1.0,
        "minimum": -2.0,
        "maximum": 2.0,
        "missing": 0,
    }
    category = {"name": HOSTILE, "role": "input", "categories": {HOSTILE: 3}, "missing": 1}
    data = {
        "name": HOSTILE,
        "source": f"/tmp/{HOSTILE}",
        "sha256": "ab",
        "rows": 1000,
        "columns": 2,
    }
    data |= {"inputs": ["x"], "features": ["x"], "outputs": list(names), "split": split}
    data |= {"rows_dropped": 0, "inputs_filled": 0}
    data |= {"statistics": [{"name": "x", **column}, category]}
    environment = {"format": FORMAT, "name": HOSTILE, "command": f"tagi train name='{HOSTILE}'"}
    environment |= {"device": "cpu", "started": "2026-01-01T00:00:00", "seed": 0, "data": data}
    environment |= {"versions": {"python": "3"}}
    summary = {"status": "completed", "epochs": 2, "seconds": 1.0}
    summary |= {part: metrics(names, 0.9) for part in ("valid", "test")}
    numbers = {"format": FORMAT, "kept": 1, "splits": {"test": diagnose(law)}}
    numbers |= {"network": [{"layer": "Linear(1, 1)", "output": "1"}]}
    numbers |= {"health": [{"tensor": "0.weight", "floored": 2, "shrunk": 0.25}]}
    folder.config.write_text(f"name: {json.dumps(HOSTILE)}\n", encoding="utf-8")
    folder.environment.write_text(json.dumps(environment), encoding="utf-8")
    folder.summary.write_text(json.dumps(summary), encoding="utf-8")
    (folder.figures / "data.json").write_text(json.dumps(numbers), encoding="utf-8")
    folder.metrics_csv.write_text(
        "phase,epoch,seconds,train_nll,valid_nll,valid_rmse\n"
        "search,1,0.1,3.0,2.0,1.0\nsearch,2,0.2,2.0,2.5,1.5\nrefit,1,0.3,1.0,,\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run, drawn once."""
    return write_report(make_run(tmp_path_factory.mktemp("run"))).read_text(encoding="utf-8")


def edit_numbers(folder: RunFolder, **changes: Any) -> None:
    """Change what the figures are drawn from."""
    at = folder.figures / "data.json"
    at.write_text(json.dumps(json.loads(at.read_text()) | changes), encoding="utf-8")


def test_the_page_needs_nothing_from_outside(text: str) -> None:
    page = Page(text)
    assert not page.open
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    targets = [v for name, v in page.attributes if name in ("href", "src", "xlink:href")]
    assert all(target.startswith("#") for target in targets)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path, names=(HOSTILE, "b$c"))
    text = write_report(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert not page.open
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    assert any('<script>alert("1")</script>' in words for words in page.texts)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for svg in folder.figures.glob("*.svg"):
        assert "<script" not in svg.read_text(encoding="utf-8")


def test_every_figure_is_there_as_png_and_svg_and_inline(tmp_path: Path) -> None:
    folder = make_run(tmp_path, names=("a", "b"))
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    stems = {path.stem for path in folder.figures.glob("*.png")}
    assert stems == {path.stem for path in folder.figures.glob("*.svg")}
    kinds = ("band", "scatter", "coverage", "pit", "residuals", "spread")
    kinds += ("standardised", "variance")
    expected = {f"test_{place}_{kind}" for place in (1, 2) for kind in kinds}
    assert stems == expected | {"learning_nll", "learning_rmse"}
    assert page.tags.count("svg") == len(stems)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.figures.glob("*.png"))


def test_ids_inside_the_page_are_unique_where_they_are_referred_to(text: str) -> None:
    ids = re.findall(r' id="([^"]+)"', text)
    used = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', text))
    assert used <= set(ids)
    assert len(ids) == len(set(ids))


def test_colours_follow_the_theme(text: str) -> None:
    body = text[text.index("<body>") :]
    assert not [colour for colour in figures.COLOURS if colour in body]
    used = set(re.findall(r"var\(--(\w+)\)", text))
    assert used <= set(re.findall(r"--(\w+):", text))
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize(
    ("coverage", "words"),
    [(0.9, "as promised"), (0.6, "too narrow"), (1.0, "too wide")],
)
def test_the_verdict_says_what_the_coverage_means(coverage: float, words: str) -> None:
    drawn = [{"name": "price", "observed": 300}]
    verdict = regression.ACCOUNT.verdict("test", metrics(("price",), coverage), drawn)
    assert words in verdict
    assert ("verdict alarm" in verdict) == (coverage != 0.9)


def test_the_page_has_the_verdict(text: str) -> None:
    assert "as promised" in text


def test_only_some_of_many_outputs_are_drawn_and_the_page_says_so(tmp_path: Path) -> None:
    folder = make_run(tmp_path, names=tuple(f"y{k}" for k in range(7)))
    text = write_report(folder).read_text(encoding="utf-8")
    assert "3 of 7 outputs are drawn" in text
    drawn = {path.name.split("_")[1] for path in folder.figures.glob("test_*.svg")}
    assert len(drawn) == 3


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_the_refit_is_no_part_of_the_learning_curves(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    edit_numbers(folder, splits={})
    page = write_report(folder).read_bytes()
    lines = folder.metrics_csv.read_text(encoding="utf-8").splitlines(keepends=True)
    folder.metrics_csv.write_text("".join(lines[:-1]), encoding="utf-8")
    assert write_report(folder).read_bytes() == page


def test_dollars_in_a_name_are_no_mathematics(tmp_path: Path) -> None:
    folder = make_run(tmp_path, names=("$a^2$",))
    write_report(folder)
    assert ">$a^2$: coverage<" in (folder.figures / "test_coverage.svg").read_text(encoding="utf-8")


def test_a_run_that_was_not_evaluated_has_nothing_to_report(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    (folder.figures / "data.json").unlink()
    with pytest.raises(UserError, match=r"has not been evaluated.*trainer\.resume="):
        write_report(folder)


def test_drawing_leaves_the_settings_of_matplotlib_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.learning([{"epoch": 1.0, "train_nll": 1.0}], None)
    assert dict(matplotlib.rcParams) == before


def test_curves_with_a_huge_first_epoch_stay_readable() -> None:
    curves = [
        {"epoch": float(e), "valid_nll": 1.0 / e + (1e6 if e < 2 else 0)} for e in range(1, 40)
    ]
    (figure,) = figures.learning(curves, 39)
    labels = [
        float(t.replace("\u2212", "-")) for t in re.findall(r">([\u2212\d.]+)</text>", figure.svg)
    ]
    assert max(labels) < 100


def test_importing_the_module_does_not_import_matplotlib() -> None:
    code = "import sys, tagi_cli.experiment.report.page; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("title", ["A title", "W" * 24 + ": standardised residuals"])
@pytest.mark.parametrize("limits", [(0, 1), (0, 59_000), (-99_999, -90_000), (0, 9e9), (-0.03, 0)])
def test_labels_of_any_length_are_on_the_canvas(limits: tuple[float, float], title: str) -> None:
    painted = []

    def paint(axes: Any) -> None:
        axes.set_ylim(*limits)
        axes.set_xlim(*limits)
        axes.set_xlabel("predicted standard deviation")
        axes.set_ylabel("root mean squared error")
        painted.append(axes)

    figures.draw("name", title, "", paint)
    drawn, canvas = painted[0].get_tightbbox(), painted[0].figure.bbox
    assert painted[0].get_position().width > 0.5
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= canvas.width
    assert drawn.y1 <= canvas.height


@pytest.mark.parametrize(("half", "shown"), [(1.0, 4.0), (50.0, 6.0)])
def test_a_scatter_shows_whole_intervals_but_is_not_flattened_by_huge_ones(
    half: float, shown: float
) -> None:
    """Means and observations of -3 to 3: up to half as much again is left for intervals."""
    from matplotlib.figure import Figure

    values = np.linspace(-3, 3, 7)
    scatter = {"y": values, "mu": values, "lo_90": values - half, "hi_90": values + half}
    axes = Figure().add_subplot()
    output_figures._paint_scatter({"scatter": scatter}, axes)
    low, high = axes.get_ylim()
    margin = 0.05 * 6
    assert (low, high) == pytest.approx((-shown - margin, shown + margin))


def test_the_page_of_fifty_thousand_rows_is_small_and_says_what_is_drawn(tmp_path: Path) -> None:
    folder = make_run(tmp_path, names=("a", "b", "c"), n=50_000)
    page = write_report(folder)
    assert page.stat().st_size < 3e6
    text = page.read_text(encoding="utf-8")
    assert "600 of 50,000 values are drawn" in text
    assert "120 of 50,000 rows, evenly spread" in text


def test_health_of_tensors_is_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    health = {"tensor": "w", "floored": 3, "shrunk": 0.5, "signal": 1.25}
    edit_numbers(folder, splits={}, health=[health, {**health, "tensor": "b", "signal": None}])
    text = write_report(folder).read_text(encoding="utf-8")
    row = '<tr><td class="text">{}</td><td>50 %</td><td>3</td><td>{}</td></tr>'
    assert row.format("w", "1.25") in text
    assert row.format("b", "–") in text
