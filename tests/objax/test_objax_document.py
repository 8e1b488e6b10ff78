"""The examples of the page on the stand-in run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from tagi_cli import objax

PAGE = Path(__file__).parents[2] / "docs" / "objax.md"


def test_the_examples_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1, 28, 28)), rng.normal(size=(2, 10))
    scope: dict[str, Any] = {"batches": [(x, y)] * 3, "x": x}
    for example in re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    ):
        exec(example, scope)
    assert scope["mu"].shape == (2, 10)
    kept = scope["model"].vars()
    before = kept.tensors()
    kept.assign([0 * tensor for tensor in before])
    objax.io.load_var_collection("model.safetensors", kept)
    for tensor, wanted in zip(kept.tensors(), before, strict=True):
        np.testing.assert_array_equal(tensor, wanted)
