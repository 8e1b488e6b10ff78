"""The page of performance shows what the tracked results hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
Module = Callable[[str], ModuleType]

PAGES = {"ranks": "docs/scaling.md", "gpu": "docs/gpu.md"}
"""Results that another page tells of in its own words."""


def test_the_page_is_what_the_results_make_it(module: Module) -> None:
    tables = module("tables")
    page = tables.PAGE.read_text()
    assert tables.fill(page, tables.made()) == page


def test_every_result_has_its_table(module: Module) -> None:
    tracked = {path.stem for path in RESULTS.glob("*.json")}
    assert tracked - set(PAGES) == set(module("tables").WRITERS)
    for page in PAGES.values():
        assert (ROOT / page).exists()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_result_tells_machine_and_commit(path: Path) -> None:
    def records(found: Any) -> list[dict[str, Any]]:
        if not isinstance(found, dict):
            return []
        if "environment" in found:
            return [found["environment"]]
        return [place for value in found.values() for place in records(value)]

    places = records(json.loads(path.read_text()))
    assert places
    for place in places:
        assert len(place["git_commit"].partition("+")[0]) == 40
        assert {"processor", "cores", "started", "versions"} <= set(place)


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        ("<!-- a -->\n<!-- end -->\n", {}),
        ("nothing\n", {"a": "1\n"}),
        ("<!-- a -->\n<!-- end -->\n" * 2, {"a": "1\n"}),
    ],
)
def test_marks_and_tables_come_in_pairs(module: Module, page: str, tables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="'a'"):
        module("tables").fill(page, tables)


def test_a_table_goes_between_its_marks_and_nothing_else_changes(module: Module) -> None:
    page = "x\n<!-- a b -->\nold\n<!-- end -->\ny\n<!-- c -->\n<!-- end -->\n"
    filled = module("tables").fill(page, {"a b": "1\\1\n", "c": "2\n"})
    assert filled == "x\n<!-- a b -->\n1\\1\n<!-- end -->\ny\n<!-- c -->\n2\n<!-- end -->\n"


def test_the_figures_of_uci_follow_from_the_splits() -> None:
    for name, found in json.loads((RESULTS / "uci.json").read_text())["sets"].items():
        results = found["results"]
        for result in results.values():
            for key in ("rmse", "nll", "crps", "coverage_90"):
                splits = result[key]["splits"]
                assert len(splits) == (5 if name.startswith("protein") else 20)
                assert result[key]["mean"] == pytest.approx(np.mean(splits))
                assert result[key]["se"] == pytest.approx(stats.sem(splits))
        tested = {test["against"] for test in found["sign_tests"] if test["of"] == "defaults"}
        assert tested == set(results) - {"defaults"}
        for test in found["sign_tests"]:
            differences = np.subtract(
                results[test["against"]][test["figure"]]["splits"],
                results[test["of"]][test["figure"]]["splits"],
            )
            wins, losses = np.sum(differences > 0), np.sum(differences < 0)
            assert (test["wins"], test["losses"]) == (wins, losses)
            # The smaller tail of a fair coin, twice.
            tail = stats.binom.cdf(min(wins, losses), wins + losses, 0.5)
            assert test["p"] == pytest.approx(min(1.0, 2 * tail))


def test_equal_splits_say_nothing(module: Module) -> None:
    def result(*splits: float) -> dict[str, Any]:
        return {name: {"splits": list(splits)} for name in ("nll", "rmse", "crps")}

    results = {"defaults": result(1, 2, 3), "pytagi": result(1, 2, 3), "paper": result(2, 2, 4)}
    found = module("uci").sign_tests(results)
    told = {(t["of"], t["against"]): (t["wins"], t["losses"], t["p"]) for t in found}
    assert told == {
        ("defaults", "pytagi"): (0, 0, 1.0),
        ("defaults", "paper"): (2, 0, 0.5),
        ("paper", "pytagi"): (0, 2, 0.5),
    }


def test_coverage_outside_the_promise_is_marked(module: Module) -> None:
    shown = [module("cells").covered(c) for c in (0.8699, 0.87, 0.93, 0.9301)]
    assert shown == ["87.0 % (!)", "87.0 %", "93.0 %", "93.0 % (!)"]
    tracked = json.loads((RESULTS / "uci.json").read_text())["sets"]
    sets = {name: tracked[name] for name in ("energy", "yacht")}
    for name, covered in (("energy", 0.9), ("yacht", 0.95)):
        sets[name]["results"]["defaults"]["coverage_90"]["mean"] = covered
    made = module("accuracy_tables").uci({"sets": sets})
    assert made["coverage"] == "The defaults keep it on 1 of 2 sets; not on yacht (95.0 %).\n"
    assert "95.0 % (!)" in made["uci"]


def test_the_best_published_are_the_best(module: Module) -> None:
    published = module("published")
    for name, found in published.PUBLISHED.items():
        rmse, ll = published.best(name)
        assert all(one.rmse is None or one.rmse >= found[rmse].rmse for one in found.values())
        assert all(one.ll is None or one.ll <= found[ll].ll for one in found.values())
        assert set(found) == set(published.SOURCES)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02, "0.0200"), (1.5, "1.50"), (999.4, "999"), (1234.5, "1,234"), (-12.34, "-12.3")],
)
def test_figures_keep_three_digits(module: Module, value: float, text: str) -> None:
    assert module("cells").figure(value) == text


def test_a_page_says_on_whose_machine_times_are_too_long(module: Module) -> None:
    environment = json.loads((RESULTS / "latent.json").read_text())["regression"]["environment"]
    quiet = {"environment": environment, "load_average": [0.5, 2.0]}
    busy = {"environment": environment | {"git_commit": None}, "load_average": [9.0, 3.0]}
    origin = module("cells").origin
    assert "load average 0.5 to 2.0; " in origin([quiet])
    together = origin([quiet, busy])
    assert "load average 0.5 to 9.0 (others computed there, too" in together
    assert together.count(environment["processor"]) == 1
    assert together.endswith(f"commit `{environment['git_commit'][:10]}`, unknown.\n")
