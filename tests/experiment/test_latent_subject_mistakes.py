"""Mistakes in configs and tables of several subjects: one clear message each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subject_runs import CHAIN, TRUTH, trained, write, write_subjects

from tagi_cli.data import Table
from tagi_cli.errors import UserError
from tagi_cli.experiment.evaluation import predict
from tagi_cli.experiment.model import Model


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_subjects(tmp_path_factory.mktemp("t") / "t.csv")


@pytest.fixture(scope="module")
def together(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of subjects that take turns."""
    return trained(table, tmp_path_factory.mktemp("run"), {"trainer.max_epochs": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.instance": None}, r"arch.subjects.share: found 'm.shared', but data.instance is"),
        ({"arch.subjects.mode": "chain"}, r"arch.subjects.mode: 'chain' makes .* damage: true"),
        (
            {"arch.subjects.share": "nothing", **CHAIN},
            r"arch.subjects.mode: 'align-chain' hands a shared map .* but share is nothing",
        ),
        (CHAIN | {"trainer.max_epochs": 10}, r"trainer.max_epochs: found 10, .* takes 11 epochs"),
        (
            CHAIN | {"data.valid_portion": 0.1},
            r"trainer.early_stopping.enabled: found true beside .*Allowed: false, or an empty",
        ),
        (CHAIN | {"trainer.max_seconds": 5}, r"trainer.max_seconds: found 5 beside .*: null"),
        ({"arch.subjects.share": "m"}, r"arch.subjects.share: found 'm'.*m.shared, nothing"),
        (
            {"data.scaling_by": "window", "data.in_chunk": [0, 0]},
            r"data.scaling_by: found 'window' beside arch 'latent_regression'.*column, instance",
        ),
        (
            {"arch.m": {"kind": "parts", "specific": "identity"}},
            r"arch.m.shared: ",
        ),
        (
            {"arch.m": {"kind": "parts", "specific": "identity",
                        "shared": {"kind": "parts", "specific": "identity", "shared": "linear"}}},
            r"arch.m.shared.kind: found 'parts' within parts",
        ),
    ],
)  # fmt: skip
def test_each_mistake_has_a_message(
    table: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trained(table, tmp_path, changes)
    assert not list(tmp_path.iterdir())


def test_a_map_to_begin_with_must_be_like_the_networks(
    together: Path, table: Path, tmp_path: Path
) -> None:
    wide = {"kind": "layers", "layers": [{"kind": "linear", "output_size": 2}]}
    alone = trained(table, tmp_path / "alone", {"arch.subjects.share": None, "data.instance": None})
    key = "arch.subjects.map_from"
    for changes, message in (
        ({key: str(together), "arch.m": wide}, r"map_from: the shared map of .* has the tensors"),
        ({key: str(alone)}, r"map_from: .* has no shared map. Allowed: a run with arch.subjects"),
        (
            {key: str(together), "arch.subjects.share": "nothing"},
            r"arch.subjects.map_from: found .*, but share is nothing. Allowed: null",
        ),
    ):
        with pytest.raises(UserError, match=message):
            trained(table, tmp_path / "run", changes)


def test_rows_must_tell_their_subject(together: Path, tmp_path: Path) -> None:
    x, y = TRUTH.x[0][0], TRUTH.y[0][0]
    with pytest.raises(UserError, match=r"row 3, column 'who': no value. Each row needs"):
        trained(write(tmp_path / "t.csv", [("ann", "train", x, y), ("", "train", x, y)], 5, 4),
                tmp_path)  # fmt: skip
    other = write(tmp_path / "zoe.csv", [("zoe", "", x, y)], 5, 4)
    with pytest.raises(UserError, match=r"category 'zoe' is in no training row.*Known: ann, bob"):
        predict(together, other, tmp_path / "out.csv")
    only = [("ann", "train", x, y), ("ann", "train", x + 1, y - 1), ("bob", "test", x, y)]
    with pytest.raises(UserError, match=r"data.instance: no training row is of bob, so nothing"):
        trained(write(tmp_path / "b.csv", only, 5, 4), tmp_path, {"data.batch_size": 1})
    series = Table.from_columns({"who": np.array(["ann"]), **{f"x{i}": x[i : i + 1]
                                                              for i in range(5)}})  # fmt: skip
    law = Model.load(together).predict_table(series)
    assert np.isfinite(law.mean).all()
