"""Targets that are labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from series_tables import days, loaded, write

from tagi_cli.data import Encoder, read_table
from tagi_cli.errors import UserError


def test_classes_of_windows(tmp_path: Path) -> None:
    columns = days(25, 40, 31)
    columns["kind"] = ["low" if value < 8 else "high" for value in columns["y"]]
    columns["kind"][4] = ""
    dataset = loaded(
        write(tmp_path, columns),
        classify=True,
        in_components=("a", "y"),
        out_components=("kind",),
        out_chunk=(0, 0),
    )
    encoder = dataset.encoder
    assert encoder.classes == ("high", "low")
    assert encoder.outputs == ("kind",)
    assert (encoder.output_shape, encoder.units) == ((1, 2), 2)
    for part in (dataset.train, dataset.valid, dataset.test):
        labels = [columns["kind"][row] for row in part.rows]
        expected = [("high", "low").index(label) if label else np.nan for label in labels]
        np.testing.assert_array_equal(part.target[:, 0], expected)
        np.testing.assert_array_equal(
            part.y,
            [[label == "high", label == "low"] if label else [np.nan] * 2 for label in labels],
        )
        assert part.center.tolist() == [[0, 0]]
        assert part.scale.tolist() == [[1, 1]]
    # A row without a label teaches nothing.
    assert 4 not in dataset.train.rows
    ordered = loaded(
        write(tmp_path, columns),
        classify=True,
        out_components=("kind",),
        out_chunk=(0, 0),
        batch_sampling_mode="inference",
    )
    rows = [part.rows for part in (ordered.train, ordered.valid, ordered.test)]
    assert 4 in np.concatenate(rows)


def test_classes_of_a_plain_table(tmp_path: Path) -> None:
    columns = days(25, 40)
    columns["kind"] = [3 if value < 8 else 11 for value in columns["y"]]
    path = write(tmp_path, columns)
    options = {"in_components": ("a",), "out_components": ("kind",)}
    dataset = loaded(path, classify=True, in_chunk=None, out_chunk=None, **options)
    assert dataset.encoder.classes == ("3", "11")
    assert dataset.train.y.shape == (len(dataset.train), 2)
    assert dataset.train.target.shape == (len(dataset.train), 1)
    assert (np.argmax(dataset.train.y, axis=1) == dataset.train.target[:, 0]).all()
    tree = json.loads(json.dumps(dataset.encoder.to_json()))
    again = Encoder.from_json(tree)
    table = read_table(path)
    np.testing.assert_array_equal(
        again.targets(table, dataset.test.rows),
        dataset.test.y,  # type: ignore[arg-type]
    )
    assert dataset.merged().y.shape[1] == 2


def test_a_label_that_only_a_later_part_holds(tmp_path: Path) -> None:
    columns = days(40)
    columns["kind"] = [("a", "b")[int(when[-1]) % 2] for when in columns["when"]]
    columns["kind"][columns["when"].index(max(columns["when"]))] = "c"
    with pytest.raises(UserError, match=r"column 'kind': label 'c' is in no training row"):
        loaded(write(tmp_path, columns), classify=True, out_components=("kind",), out_chunk=(0, 0))
