"""Where results go: to the tracked files, unless something was tried out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Module = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    ("line", "goes_to"),
    [
        ("", "tracked"),
        ("--data elsewhere", "tracked"),
        ("--rounds 3", None),
        ("a=1", None),
        ("a=1 --save here.json", "here.json"),
    ],
)
def test_only_what_is_measured_as_usual_is_tracked(
    module: Module, line: str, goes_to: str | None
) -> None:
    results = module("results")
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", default=[])
    results.add_save(parser)
    options = parser.parse_intermixed_args(line.split())
    found = results.destination(parser, options, "uci", free={"data"})
    tracked = results.RESULTS / "uci.json"
    assert found == (tracked if goes_to == "tracked" else goes_to and Path(goes_to))


def test_a_record_takes_its_place_and_others_stay(module: Module, tmp_path: Path) -> None:
    results, path = module("results"), tmp_path / "new" / "x.json"
    results.keep(None, {"a": 1}, "sets", "one")
    assert not path.exists()
    results.keep(path, {"a": [1, 2], "words": "[x,  y]"}, "sets", "one")
    results.keep(path, {"a": 2}, "sets", "two")
    results.keep(path, {"a": 3}, "sets", "one")
    results.keep(path, {"a": 4}, "other")
    assert json.loads(path.read_text()) == {
        "sets": {"one": {"a": 3}, "two": {"a": 2}},
        "other": {"a": 4},
    }


def test_text_is_not_changed_by_the_layout(module: Module, tmp_path: Path) -> None:
    results, path = module("results"), tmp_path / "x.json"
    record = {"rows": [[1, 2], []], "words": ["a  [b,  c]", "{d}"], "of": {"x": {"y": [1.5]}}}
    results.write(path, record)
    assert json.loads(path.read_text()) == record
