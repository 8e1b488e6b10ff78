"""Checkpoints as CSV: every bit comes back, and a slip of the pen is found."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tagi_cli.errors import UserError
from tagi_cli.training import checkpoint

DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(tensor=arrays.arrays(DTYPES, SHAPES))
def test_any_array_comes_back(tmp_path_factory: pytest.TempPathFactory, tensor: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("run") / "csv"
    checkpoint.export_csv(folder, {"w": tensor}, {})
    found = checkpoint.read(folder)[0]["w"]
    assert found.dtype == tensor.dtype
    assert found.shape == tensor.shape
    np.testing.assert_array_equal(found, tensor)
    if tensor.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found), np.signbit(tensor))


def test_float32_bits(tmp_path: Path) -> None:
    """Random bit patterns: subnormal numbers and the extremes too."""
    bits = np.random.default_rng(0).integers(0, 2**32, size=(50, 400), dtype=np.uint32)
    tensor = bits.view(np.float32)
    tensor = np.where(np.isnan(tensor), np.float32(0), tensor)
    checkpoint.export_csv(tmp_path / "csv", {"w": tensor}, {})
    found = checkpoint.read(tmp_path / "csv")[0]["w"]
    np.testing.assert_array_equal(found.view(np.uint32), tensor.view(np.uint32))


def test_layout(tmp_path: Path) -> None:
    """A matrix is a table, one line per row; the metadata is JSON."""
    tensors = {"l.w": np.array([[0.1, 2], [3, 4]], np.float32), "l.b": np.array([5, 6])}
    checkpoint.export_csv(tmp_path / "csv", tensors, {"epoch": 7}, "training")
    assert (tmp_path / "csv" / "l.w.csv").read_text() == "0.100000001,2\n3,4\n"
    assert (tmp_path / "csv" / "l.b.csv").read_text() == "5\n6\n"
    index = json.loads((tmp_path / "csv" / "checkpoint.json").read_text())
    assert (index["kind"], index["metadata"]) == ("training", {"epoch": 7})
    assert checkpoint.read(tmp_path / "csv", "training")[1] == {"epoch": 7}
    with pytest.raises(UserError, match="holds a model and the state of its training"):
        checkpoint.read(tmp_path / "csv", "model")


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    checkpoint.export_csv(tmp_path / "csv", {"old": np.zeros(2)}, {})
    checkpoint.export_csv(tmp_path / "csv", {"new": np.zeros(2)}, {})
    assert checkpoint.read(tmp_path / "csv")[0].keys() == {"new"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["csv"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "thesis.txt").write_text("dear")
    with pytest.raises(UserError, match="is there already and is no CSV checkpoint"):
        checkpoint.export_csv(tmp_path / "csv", {"w": np.zeros(2)}, {})
    assert (tmp_path / "csv" / "thesis.txt").read_text() == "dear"


def test_full_disk_keeps_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.export_csv(tmp_path / "csv", {"w": np.zeros(2)}, {})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"csv: no space left on the disk"):
        checkpoint.export_csv(tmp_path / "csv", {"w": np.ones(2)}, {})
    assert (checkpoint.read(tmp_path / "csv")[0]["w"] == 0).all()
    assert [entry.name for entry in tmp_path.iterdir()] == ["csv"]


def exported(tmp_path: Path) -> Path:
    folder = tmp_path / "csv"
    checkpoint.export_csv(folder, {"w": np.arange(6.0).reshape(3, 2)}, {})
    return folder


def test_not_such_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no CSV checkpoint, it has no checkpoint\.json"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"format": 1}',
        '{"tensors": {"w": 3}}',
        "[]",
        "[" * 4000,
        '{"tensors": {"w": {"dtype": "O", "shape": [1]}}}',
        '{"tensors": {"w": {"dtype": "float32", "shape": ["x"]}}}',
    ],
)
def test_damaged_index(tmp_path: Path, text: str) -> None:
    folder = exported(tmp_path)
    (folder / "checkpoint.json").write_text(text)
    with pytest.raises(UserError, match=r"checkpoint\.json: cannot be read"):
        checkpoint.read(folder)


def test_missing_tensor(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "w.csv").unlink()
    with pytest.raises(UserError, match=r"w\.csv: is missing; checkpoint\.json lists it"):
        checkpoint.read(folder)


def test_text_among_the_numbers(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "w.csv").write_text("0,1\n2,x\n4,5\n")
    with pytest.raises(UserError, match=r"w\.csv: row 2, column 2: 'x' is not a number"):
        checkpoint.read(folder)


def test_wrong_number_of_values(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "w.csv").write_text("0,1\n2,3\n")
    with pytest.raises(UserError, match=r"w\.csv: has 4 values, .*\[3, 2\] .* 6"):
        checkpoint.read(folder)


def test_ragged_lines(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (folder / "w.csv").write_text("0,1\n2\n4,5\n")
    with pytest.raises(UserError, match=r"w\.csv: cannot be read .*columns changed"):
        checkpoint.read(folder)


def test_other_version(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    index = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(index | {"format": 9}))
    with pytest.raises(UserError, match="checkpoint format 9"):
        checkpoint.read(folder)


def test_numbers_beyond_the_type(tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    checkpoint.export_csv(folder, {"w": np.zeros((3, 2), np.float32)}, {})
    (folder / "w.csv").write_text("0,1\n2,1e39\n4,5\n")
    with pytest.raises(UserError, match=r"w\.csv: holds a number beyond float32"):
        checkpoint.read(folder)


@pytest.mark.parametrize("metadata", ['"format": 1', '"format": 1, "metadata": [1]'])
def test_metadata_of_another_form(tmp_path: Path, metadata: str) -> None:
    folder = exported(tmp_path)
    (folder / "checkpoint.json").write_text(f'{{{metadata}, "tensors": {{}}}}')
    with pytest.raises(UserError, match="its metadata are not those of a checkpoint"):
        checkpoint.read(folder)
