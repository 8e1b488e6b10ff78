"""`tagi eval ood.path=...`: rows of another kind, told apart by how unsure a model of them is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagi_cli.cli.main import main
from tagi_cli.errors import UserError
from tagi_cli.experiment import evaluation, run
from tagi_cli.experiment.settings import Settings

from .conftest import rows, summary

CLASSES: dict[str, Any] = {
    "task": {"kind": "classification"},
    "data.out_components": ["kind"],
    "data.in_components": ["u", "v"],
    "trainer.max_epochs": 6,
    "ensemble.size": 2,
}


def write(path: Path, n: int, scale: float = 1.0, seed: int = 0, *, labels: bool = True) -> Path:
    """Two clusters left and right; or, with a large scale, rows far from both, and between."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    u = 4.0 * label - 2 + rng.normal(size=n) if labels else 0.3 * rng.normal(size=n)
    v = scale * rng.normal(size=n)
    lines = [
        f"{float(a)!r},{float(b)!r}" + (f",{'ab'[k]}" if labels else "")
        for a, b, k in zip(u, v, label, strict=True)
    ]
    path.write_text("u,v" + ",kind" * labels + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "clusters.csv", 300)


@pytest.fixture(scope="module")
def between(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "be<tween.csv", 80, 6.0, 1, labels=False)


@pytest.fixture(scope="module")
def told_apart(
    clusters: Path, make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    settings = make_settings(**{"data.path": str(clusters)} | CLASSES)
    return run.train(settings, "tagi train", tmp_path_factory.mktemp("runs"))


def test_rows_of_another_kind_are_told_by_their_entropy(
    told_apart: Path, between: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", f"run={told_apart}", f"ood.path={between}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["of"] == "test"
    assert found["nll"] == pytest.approx(summary(told_apart)["test"]["nll"], rel=1e-5)
    ood = found["ood"]
    assert (ood["of"], ood["rows"]) == ("be<tween.csv", 80)
    predicted = rows(evaluation.predict(told_apart, between, tmp_path / "out.csv"))
    own = rows(told_apart / "predictions" / "test.csv")
    for name in ("entropy", "entropy_epistemic"):
        inside, outside = ([float(row[name]) for row in part] for part in (own, predicted))
        pairs = [(b > a) + 0.5 * (a == b) for a in inside for b in outside]
        assert ood[f"auroc_{name}"] == pytest.approx(np.mean(pairs), abs=2e-3)
        assert ood[name] == pytest.approx(np.mean(outside), rel=1e-4)
    assert ood["auroc_entropy"] > 0.8
    assert set(found["classes"]) == {"a", "b"}
    assert found["classes"]["a"]["support"] + found["classes"]["b"]["support"] == len(own)


def test_the_report_shows_both_kinds_of_rows(told_apart: Path, between: Path) -> None:
    evaluation.evaluate(told_apart, ood_path=str(between))
    numbers = json.loads((told_apart / "figures" / "ood.json").read_text(encoding="utf-8"))
    assert numbers["names"] == ["test", "be<tween.csv"]
    for name in ("entropy", "entropy_epistemic"):
        assert sum(numbers[name]["inside"]) == pytest.approx(1, abs=1e-5)
        assert sum(numbers[name]["outside"]) == pytest.approx(1, abs=1e-5)
        assert (told_apart / "figures" / f"ood_{name}.svg").is_file()
    page = (told_apart / "report.html").read_text(encoding="utf-8")
    assert "Out of distribution: be&lt;tween.csv" in page
    assert "be<tween" not in page
    shown = f"in {100 * numbers['entropy']['auroc']:.1f}\N{NO-BREAK SPACE}% of all pairs"
    assert shown in page


def test_another_checkpoint_leaves_the_report_as_it_is(
    told_apart: Path, between: Path, tmp_path: Path
) -> None:
    before = (told_apart / "figures" / "ood.json").exists()
    copy = tmp_path / "copy.safetensors"
    for suffix in ("", ".sha256"):
        source = told_apart / "checkpoints" / f"best.safetensors{suffix}"
        Path(f"{copy}{suffix}").write_bytes(source.read_bytes())
    found = evaluation.evaluate(told_apart, str(copy), ood_path=str(between))
    assert 0.5 < found.ood["auroc_entropy"] <= 1
    assert (told_apart / "figures" / "ood.json").exists() == before


def test_a_mistake_in_the_second_file_is_told_as_its_own(
    told_apart: Path, tmp_path: Path, trained: Path
) -> None:
    with pytest.raises(UserError, match=r"^ood.path: .*none.csv"):
        evaluation.evaluate(told_apart, ood_path=str(tmp_path / "none.csv"))
    path = tmp_path / "narrow.csv"
    path.write_text("u\n1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"^ood.path: .*'?v'?"):
        evaluation.evaluate(told_apart, ood_path=str(path))
    with pytest.raises(UserError, match=r"ood.path: .*the outputs of this run are numbers"):
        evaluation.evaluate(trained, ood_path=str(path))


@pytest.mark.usefixtures("no_drawing")
def test_images_are_told_apart_alike(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    bars = np.zeros((120, 6, 6), np.uint8)
    label = rng.integers(0, 2, 120)
    for image, k in zip(bars, label, strict=True):
        place = rng.integers(0, 6)
        image[(slice(None), place) if k else (place, slice(None))] = 200
    np.savez(tmp_path / "bars.npz", x=bars, y=label)
    np.save(tmp_path / "noise.npy", rng.integers(0, 255, (40, 6, 6), np.uint8))
    settings = make_settings(
        **{
            "data": {"path": str(tmp_path / "bars.npz"), "batch_size": 16},
            "task": {"kind": "classification"},
            "ensemble.size": 1,
        }
    )
    made = run.train(settings, "tagi train", tmp_path / "runs")
    found = evaluation.evaluate(made, ood_path=str(tmp_path / "noise.npy"))
    assert found.ood["rows"] == 40
    assert 0 <= found.ood["auroc_entropy_epistemic"] <= 1
