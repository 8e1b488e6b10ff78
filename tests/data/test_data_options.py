from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tagi_cli.data.option_checks import faults_in_use, remarks
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
    (found,) = remarks(made)
    assert found.startswith(remark)


def test_the_defaults_and_what_has_an_effect_are_not_remarked() -> None:
    assert remarks(DataOptions(name="yacht")) == []
    assert remarks(DataOptions(split_method="gal", split_index=3, valid_portion=0.0)) == []
    assert remarks(DataOptions(split_column="s", valid_portion=0.0)) == []
    assert remarks(DataOptions(split_portions=(1.0, 0.0, 0.0))) == []


def test_listing_the_options_does_not_import_numpy() -> None:
    code = "import sys, tagi_cli.data.options; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"in_chunk": (0, -3)}, "data.in_chunk: [0, -3] ends before it begins"),
        ({"out_chunk": (2, 1)}, "data.out_chunk: [2, 1] ends before it begins"),
        ({"padding_method": "wrap"}, "data.padding_method: 'wrap' shows the end of a slice before"),
        (
            {"padding_method": "constant", "scaling_by": "window"},
            "data.padding_method: 'constant' contradicts data.scaling_by: 'window'",
        ),
        (
            {"scaling_by": "instance", "split_method": "instance-random"},
            "data.scaling_by: 'instance' contradicts data.split_method: 'instance-random'",
        ),
        (
            {"stride": 2, "batch_sampling_mode": "inference"},
            "data.stride: 2 contradicts data.batch_sampling_mode: 'inference'",
        ),
    ],
)
def test_options_of_windows_that_contradict_each_other(options: dict[str, Any], fault: str) -> None:
    (found,) = DataOptions(name="sine", **options).faults()
    assert found.startswith(fault)


def test_wrapped_padding_goes_with_whole_slices() -> None:
    for method in ("instance-random", "slice-chronological"):
        assert DataOptions(name="x", padding_method="wrap", split_method=method).faults() == []


@pytest.mark.parametrize(
    ("options", "purpose", "fault"),
    [
        ({"missing": "split"}, {}, "data.missing: 'split' has a meaning only in windows (data.in"),
        ({"split_method": "slice-random"}, {}, "data.split_method: 'slice-random' has a meaning"),
        (
            {"missing": "drop", "in_chunk": (0, 0)},
            {},
            "data.missing: 'drop' has a meaning only in a table without windows. Set data.missing "
            "to 'split'.",
        ),
        ({"split_method": "gal", "in_chunk": "auto"}, {}, "data.split_method: 'gal' has a meaning"),
        (
            {"out_chunk": (1, 9)},
            {"horizon": 8},
            "data.out_chunk: [1, 9] is no part of the next 8 rows, which are forecast.horizon. "
            "Allowed: between 1 and 8",
        ),
        ({"out_chunk": (0, 3)}, {"horizon": 8}, "data.out_chunk: [0, 3] is no part of the next 8"),
        ({"out_chunk": (1, 2)}, {"classify": True}, "data.out_chunk: [1, 2]; a label is that of"),
        (
            {"in_chunk": (-3, 0)},
            {"variable_length": True},
            "data.in_chunk: [-3, 0] has no meaning in task vl_regression, whose windows are whole",
        ),
    ],
)
def test_options_that_do_not_suit_the_task(
    options: dict[str, Any], purpose: dict[str, Any], fault: str
) -> None:
    (found,) = faults_in_use(DataOptions(name="sine", **options), **purpose)
    assert found.startswith(fault)


def test_what_suits_the_task_is_no_fault() -> None:
    assert faults_in_use(DataOptions(missing="ffill"), horizon=3) == []
    assert faults_in_use(DataOptions(in_chunk=(0, 0), out_chunk=(0, 0)), variable_length=True) == []
    assert faults_in_use(DataOptions(in_chunk=(-3, 0), out_chunk=(2, 2)), classify=True) == []
    assert faults_in_use(DataOptions(split_method="instance-random")) == []


@pytest.mark.parametrize(
    ("options", "purpose", "remark"),
    [
        ({"stride": 3}, {}, "data.stride has no effect without windows (data.in_chunk)"),
        ({"padding_method": "edge"}, {}, "data.padding_method has no effect without windows"),
        (
            {"variable_sequence_length_limit": 9, "in_chunk": (0, 0)},
            {},
            "data.variable_sequence_length_limit has no effect on any task but vl_regression",
        ),
        (
            {"split_portions": (0.6, 0.2, 0.2)},
            {"horizon": 4},
            "data.split_portions has no effect beside forecast.horizon",
        ),
        ({"in_chunk": (0, 0), "slide_stride": 2}, {}, "data.slide_stride has no effect beside"),
    ],
)
def test_options_of_windows_without_effect_are_remarked(
    options: dict[str, Any], purpose: dict[str, Any], remark: str
) -> None:
    (found,) = remarks(DataOptions(name="sine", **options), **purpose)
    assert found.startswith(remark)


def test_what_has_an_effect_on_windows_is_not_remarked() -> None:
    assert remarks(DataOptions(time="t", time_covariates=("month",))) == []
    assert remarks(DataOptions(valid_portion=0.2), horizon=4) == []
    assert remarks(DataOptions(stride=2, padding_method="edge"), horizon=4) == []
    assert remarks(DataOptions(variable_sequence_length_limit=4), variable_length=True) == []


def test_what_makes_windows() -> None:
    assert not DataOptions().windowed()
    assert DataOptions(in_chunk="auto").windowed()
    assert DataOptions(out_chunk=(1, 1)).windowed()
    assert DataOptions().windowed(horizon=3)
    assert DataOptions().windowed(variable_length=True)
    assert DataOptions().targets_chunk(None) == (0, 0)
    assert DataOptions().targets_chunk(5) == (1, 5)
    assert DataOptions(in_chunk=(-9, 0), out_chunk=(1, 1)).predicts_later(None)
    assert not DataOptions(in_chunk=(-9, 5), out_chunk=(1, 9)).predicts_later(None)
