from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tagi_cli.data.options import DataOptions


def test_the_defaults_only_lack_data() -> None:
    assert DataOptions(name="yacht").faults() == []
    assert DataOptions().faults() == [
        "data.path: no data given. Set data.path to a file (and data.out_components to the column "
        "to predict), or data.name to a bundled set; config=quickstart is an example"
    ]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"split_portions": (0.8, 0.2)}, "must be three numbers"),
        ({"split_portions": (0.8, 0.1, 0.2)}, "add up to 1"),
        ({"split_portions": (0.0, 0.5, 0.5)}, "leaves the training part empty"),
        ({"split_column": "s", "split_method": "gal"}, "'gal' contradicts data.split_column: 's'"),
        ({"split_method": "gal", "limit": 10}, "data.limit: 10 contradicts"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], fault: str) -> None:
    (found,) = DataOptions(name="yacht", **options).faults()
    assert fault in found
    assert found.startswith("data.")


@pytest.mark.parametrize(
    ("options", "remark"),
    [
        ({"valid_portion": 0.3}, "data.valid_portion has no effect beside data.split_portions"),
        (
            {"split_column": "s", "split_portions": (1.0, 0.0, 0.0)},
            "data.split_portions has no eff",
        ),
        ({"split_method": "gal", "split_portions": (1.0, 0.0, 0.0)}, "data.split_portions has no"),
        ({"split_index": 3}, "data.split_index has no effect beside a split that is not data.spl"),
    ],
)
def test_options_without_effect_are_remarked(options: dict[str, Any], remark: str) -> None:
    made = DataOptions(name="yacht", **options)
    assert made.faults() == []
    (found,) = made.remarks()
    assert found.startswith(remark)


def test_the_defaults_and_what_has_an_effect_are_not_remarked() -> None:
    assert DataOptions(name="yacht").remarks() == []
    assert DataOptions(split_method="gal", split_index=3, valid_portion=0.0).remarks() == []
    assert DataOptions(split_column="s", valid_portion=0.0).remarks() == []
    assert DataOptions(split_portions=(1.0, 0.0, 0.0)).remarks() == []


def test_listing_the_options_does_not_import_numpy() -> None:
    code = "import sys, tagi_cli.data.options; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
