from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.data import DataOptions, Dataset, load
from tagi_cli.errors import UserError, UserErrors


def write(tmp_path: Path, columns: dict[str, Any], name: str = "t.csv") -> Path:
    path = tmp_path / name
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def columns() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (40, 2))
    return {"a": x[:, 0], "b": x[:, 1], "y": 5 * x[:, 0] + 7}


def loaded(path: Path, notices: list[str] | None = None, **options: Any) -> Dataset:
    options = {"out_components": ("y",)} | options
    return load(DataOptions(path=str(path), **options), notices=notices)


def test_parts_hold_the_scaled_rows_they_name(tmp_path: Path, columns: dict[str, Any]) -> None:
    dataset = loaded(write(tmp_path, columns))
    raw = np.stack([columns["a"], columns["b"]], axis=1)
    train = dataset.train.rows
    center, scale = raw[train].mean(axis=0), raw[train].std(axis=0)
    for part in (dataset.train, dataset.valid, dataset.test):
        np.testing.assert_allclose(part.x, (raw[part.rows] - center) / scale, atol=1e-6)
        assert np.array_equal(part.target[:, 0], columns["y"][part.rows])
        y = part.y * dataset.encoder.scale_y + dataset.encoder.center_y
        np.testing.assert_allclose(y, part.target, rtol=1e-5)
        assert part.x.dtype == part.y.dtype == np.float32
    assert dataset.train.y.std() == pytest.approx(1, rel=1e-5)
    assert (len(dataset.train), len(dataset.valid), len(dataset.test)) == (28, 8, 4)


def test_double_precision_keeps_what_single_precision_rounds(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    options = DataOptions(path=str(write(tmp_path, columns)), out_components=("y",))
    double, single = load(options, dtype="float64"), load(options)
    raw = columns["a"][double.train.rows]
    expected = (raw - raw.mean()) / raw.std()
    np.testing.assert_allclose(double.train.x[:, 0], expected, rtol=1e-12)
    y = double.train.y * double.encoder.scale_y + double.encoder.center_y
    np.testing.assert_allclose(y, double.train.target, rtol=1e-14)
    assert np.array_equal(double.train.x.astype(np.float32), single.train.x)
    assert np.array_equal(double.train.y.astype(np.float32), single.train.y)


def test_outliers_outside_the_training_part_do_not_move_the_scalers(tmp_path: Path) -> None:
    marks = ["train"] * 16 + ["valid", "test"]
    plain = {"a": np.arange(18.0), "y": np.arange(18.0), "s": marks}
    wild = {"a": [*range(16), 1e6, -1e6], "y": [*range(16), 1e9, 1e9], "s": marks}
    one = loaded(write(tmp_path, plain), split_column="s")
    two = loaded(write(tmp_path, wild, "w.csv"), split_column="s")
    assert one.encoder.to_json() == two.encoder.to_json()


def test_merged_is_train_then_valid(tmp_path: Path, columns: dict[str, Any]) -> None:
    dataset = loaded(write(tmp_path, columns))
    merged = dataset.merged()
    for name in ("x", "y", "target", "rows"):
        parts = [getattr(dataset.train, name), getattr(dataset.valid, name)]
        assert np.array_equal(getattr(merged, name), np.concatenate(parts))


def test_the_source_is_recorded(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = write(tmp_path, columns, "houses.v2.csv")
    dataset = loaded(path)
    assert dataset.name == "houses"
    assert loaded(path, name="mine").name == "mine"
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    facts = json.loads(json.dumps(dataset.summary))
    assert (facts["rows"], facts["columns"], facts["split"]["train"]) == (40, 3, 28)
    assert facts["statistics"][0]["mean"] == pytest.approx(columns["a"][dataset.train.rows].mean())


@pytest.mark.parametrize(
    ("tag", "method", "scaled_x", "scaled_y"),
    [
        ("full", "z-norm", True, True),
        ("in_only", "z-norm", True, False),
        ("none", "z-norm", False, False),
        ("full", "none", False, False),
        ("full", "zero-one", True, True),
    ],
)
def test_what_is_scaled(
    tmp_path: Path,
    columns: dict[str, Any],
    tag: str,
    method: str,
    scaled_x: bool,
    scaled_y: bool,
) -> None:
    dataset = loaded(write(tmp_path, columns), scaling_tag=tag, scaling_method=method)
    raw = columns["a"][dataset.train.rows]
    assert np.allclose(dataset.train.x[:, 0], raw) != scaled_x
    assert np.allclose(dataset.train.y, dataset.train.target) != scaled_y
    if method == "zero-one":
        assert (dataset.train.x.min(), dataset.train.x.max()) == (0, 1)


def test_constant_columns(tmp_path: Path, columns: dict[str, Any]) -> None:
    notices: list[str] = []
    columns |= {"b": [0.998] * 39 + [0.998 + 1e-16], "y": [4.0] * 40}
    dataset = loaded(write(tmp_path, columns), notices)
    np.testing.assert_allclose(dataset.train.x[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(dataset.train.y, 0, atol=1e-12)
    assert (dataset.encoder.center_y.tolist(), dataset.encoder.scale_y.tolist()) == ([4], [1])
    assert notices == [
        "column 'b' is constant in the training part (0.998)",
        "column 'y' is constant in the training part (4)",
    ]


def test_categories_become_indicators(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns = {"k": ["u", "v"] * 20, "n": [1, 2] * 20} | columns
    dataset = loaded(write(tmp_path, columns), categorical=("n",))
    assert dataset.encoder.features == ("k=u", "k=v", "n=1", "n=2", "a", "b")
    even = dataset.train.rows % 2 == 0
    assert np.array_equal(dataset.train.x[:, 0], even)
    assert np.array_equal(dataset.train.x[:, 3], ~even)


def test_missing_inputs(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["a"] = [*columns["a"][:-1], ""]
    columns["b"] = ["NA", *columns["b"][1:]]
    path = write(tmp_path, columns)
    with pytest.raises(UserError, match=r"t\.csv, row 41, column 'a': no value\. Set data\.mis"):
        loaded(path)
    notices: list[str] = []
    dropped = loaded(path, notices, missing="drop")
    rows = np.concatenate([dropped.train.rows, dropped.valid.rows, dropped.test.rows])
    assert sorted(rows.tolist()) == list(range(1, 39))
    assert notices == ["2 of 40 rows dropped: an input is missing"]
    notices.clear()
    filled = loaded(path, notices, missing="mean")
    assert notices == ["2 missing inputs filled with the mean of the training part: a 1, b 1"]
    everything = np.concatenate([part.x for part in (filled.train, filled.valid, filled.test)])
    assert (np.abs(everything) < 1e-6).sum() == 2


def test_missing_targets_are_kept(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["y"] = ["" if i < 5 else value for i, value in enumerate(columns["y"])]
    dataset = loaded(write(tmp_path, columns), split_method="chronological")
    assert np.isnan(dataset.train.y[:5]).all()
    assert not np.isnan(dataset.train.y[5:]).any()
    assert dataset.train.y[5:].mean() == pytest.approx(0, abs=1e-6)


def test_several_targets_in_the_order_of_the_user(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["z"] = [1.0, ""] * 20
    dataset = loaded(write(tmp_path, columns), out_components=("z", "y"))
    assert dataset.train.y.shape == (28, 2)
    assert dataset.encoder.outputs == ("z", "y")
    assert np.isnan(dataset.train.target[:, 0]).sum() == (dataset.train.rows % 2).sum()


def test_parts_that_the_user_leaves_empty(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = write(tmp_path, columns)
    dataset = loaded(path, split_portions=(1.0, 0.0, 0.0))
    assert (len(dataset.valid), len(dataset.test)) == (0, 0)
    assert dataset.test.x.shape == (0, 2)
    columns["s"] = ["train"] * 40
    marked = loaded(write(tmp_path, columns), split_column="s", valid_portion=0.0)
    assert (len(marked.train), len(marked.valid), len(marked.test)) == (40, 0, 0)


def test_a_new_table_is_encoded_as_the_training_rows_were(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    from tagi_cli.data import read_table

    columns["k"] = ["u", "v"] * 20
    dataset = loaded(write(tmp_path, columns))
    shuffled = {name: columns[name] for name in ("k", "b", "a")}
    table = read_table(write(tmp_path, shuffled, "new.csv"))
    assert np.array_equal(dataset.encoder.encode(table)[dataset.test.rows], dataset.test.x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1}, r"data\.split_portions: .* of 1 rows in t\.csv leave no training row"),
        ({"out_components": ("z",)}, r"data\.out_components: t\.csv has no column 'z'"),
    ],
)
def test_mistakes(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        loaded(write(tmp_path, columns), **options)


def test_a_batch_of_more_rows_than_there_are(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = write(tmp_path, columns)
    loaded(path, batch_size=28)
    with pytest.raises(UserError, match=r"data\.batch_size: found 29.*at most the 28 training row"):
        loaded(path, batch_size=29)
    loaded(write(tmp_path, {name: values[:5] for name, values in columns.items()}, "few.csv"))


def test_an_option_without_effect_is_remarked(tmp_path: Path, columns: dict[str, Any]) -> None:
    notices: list[str] = []
    loaded(write(tmp_path, columns), notices, valid_portion=0.0)
    assert notices == ["data.valid_portion has no effect beside data.split_portions"]


def test_one_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv: 1 row; training and validation need 2"):
        loaded(write(tmp_path, {"a": [1], "y": [2]}))


def test_a_missing_file_says_which_option_named_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.path: .*nope\.csv: no such file"):
        loaded(tmp_path / "nope.csv")


def test_a_target_without_values(tmp_path: Path, columns: dict[str, Any]) -> None:
    none = columns | {"y": [""] * 40}
    with pytest.raises(UserError, match=r"t\.csv, column 'y': the target has no value at all"):
        loaded(write(tmp_path, none))
    for part, message in (("train", "train"), ("valid", "valid")):
        marks = ["train"] * 30 + ["valid"] * 5 + ["test"] * 5
        some = columns | {
            "s": marks,
            "y": ["" if mark == part else 1.5 for mark in marks],
        }
        with pytest.raises(UserError, match=f"the target has no value in the {message} part"):
            loaded(write(tmp_path, some), split_column="s")


@pytest.mark.parametrize("unit", [1e200, 1e-200])
def test_a_target_whose_variance_is_no_number(
    tmp_path: Path, columns: dict[str, Any], unit: float
) -> None:
    scaled = columns | {"y": columns["y"] * unit}
    with pytest.raises(UserError, match=r"t\.csv, column 'y': values between .* another unit"):
        loaded(write(tmp_path, scaled))
    # As an input it is scaled, so that its unit does not matter.
    found = loaded(write(tmp_path, scaled, "i.csv"), out_components=("a",), in_components=("y",))
    assert found.train.x.std() == pytest.approx(1, rel=1e-5)


def test_a_value_that_would_overflow_is_named(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["s"] = ["train"] * 30 + ["valid"] * 5 + ["test"] * 5
    for name in ("a", "y"):
        wild = {key: list(values) for key, values in columns.items()}
        wild[name][37] = 1e30
        with pytest.raises(UserError, match=rf"row 39, column '{name}': 1e\+30 is too large bes"):
            loaded(write(tmp_path, wild), split_column="s")


def test_dropping_every_row(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["a"] = [1.0, *[""] * 39]
    with pytest.raises(
        UserError, match=r"data\.missing: dropping .* leaves 1 of 40 rows of t\.csv"
    ):
        loaded(write(tmp_path, columns), missing="drop")


def test_a_category_that_only_the_test_part_holds(tmp_path: Path, columns: dict[str, Any]) -> None:
    columns["a"] = [*columns["a"][:-2], "", ""]
    columns |= {"k": ["u", "v"] * 19 + ["", "new"], "s": ["train"] * 36 + ["test"] * 4}
    notices: list[str] = []
    dataset = loaded(
        write(tmp_path, columns), notices, split_column="s", valid_portion=0, missing="mean"
    )
    assert dataset.encoder.features == ("a", "b", "k=new", "k=u", "k=v")
    assert not dataset.train.x[:, 2].any()
    assert dataset.test.x[:, 2:].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0.5, 0.5], [1, 0, 0]]
    assert notices[0].startswith("column 'k': new in no training row; predictions for rows like")
    (facts,) = (f for f in dataset.summary["statistics"] if f["name"] == "k")
    assert sorted(facts["categories"]) == ["u", "v"]


def test_faults_of_the_options_come_before_the_file() -> None:
    with pytest.raises(UserErrors, match=r"data\.path: no data given"):
        load(DataOptions())
