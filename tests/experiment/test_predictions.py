"""The table of predictions against plain one-row-at-a-time formulas."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

from tagi_cli.experiment import predictions
from tagi_cli.experiment.places import Places
from tagi_cli.experiment.predictions import Predictions


def random_predictions(members: int = 3, n: int = 7, names: tuple[str, ...] = ("a", "b")):
    rng = np.random.default_rng(5)
    shape = (members, n, len(names))
    return Predictions(
        names,
        Places(np.arange(10, 10 + n)),
        rng.normal(50, 3, (n, len(names))),
        rng.normal(50, 3, shape),
        rng.uniform(0.1, 2, shape),
        rng.uniform(0.1, 2, shape),
    )


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_line_is_the_mixture_of_its_members(tmp_path: Path) -> None:
    made = random_predictions()
    predictions.write_csv(tmp_path / "test.csv", made)
    written = lines(tmp_path / "test.csv")
    assert list(written[0]) == ["row", *predictions.COLUMNS]
    assert [(row["row"], row["component"]) for row in written[:3]] == [
        ("10", "a"), ("10", "b"), ("11", "a"),
    ]  # fmt: skip
    for line, (i, k) in zip(written, np.ndindex(7, 2), strict=True):
        assert made.y is not None
        mu, ve, vn = (a[:, i, k] for a in (made.mu, made.var_epistemic, made.var_noise))
        sd = np.sqrt(ve + vn)

        def quantile(p: float, mu=mu, sd=sd) -> float:
            return optimize.brentq(
                lambda x: np.mean(stats.norm.cdf(x, mu, sd)) - p, 0, 100, xtol=1e-12
            )

        epistemic = np.mean(ve + mu**2) - np.mean(mu) ** 2
        expected = {
            "y": made.y[i, k],
            "mu": np.mean(mu),
            "sd_epistemic": np.sqrt(epistemic),
            "sd_noise": np.sqrt(np.mean(vn)),
            "sd": np.sqrt(epistemic + np.mean(vn)),
            "lo_90": quantile(0.05),
            "hi_90": quantile(0.95),
        }
        for column, value in expected.items():
            assert float(line[column]) == pytest.approx(value, abs=2e-6), column


def test_a_missing_target_is_an_empty_cell(tmp_path: Path) -> None:
    made = random_predictions()
    assert made.y is not None
    made.y[2, 1] = np.nan
    predictions.write_csv(tmp_path / "p.csv", made)
    assert [line["y"] == "" for line in lines(tmp_path / "p.csv")].index(True) == 5
    assert sum(line["y"] == "" for line in lines(tmp_path / "p.csv")) == 1


def test_rows_without_targets_have_no_column_y(tmp_path: Path) -> None:
    made = random_predictions()
    bare = Predictions(made.names, made.places, None, made.mu, made.var_epistemic, made.var_noise)
    predictions.write_csv(tmp_path / "p.csv", bare)
    assert "y" not in lines(tmp_path / "p.csv")[0]
    assert float(lines(tmp_path / "p.csv")[1]["mu"]) == pytest.approx(made.mean[0, 1])


def test_names_that_csv_or_a_format_could_misread_come_back(tmp_path: Path) -> None:
    names = ("per cent %s", 'a,"b"\nc', "nan")
    predictions.write_csv(tmp_path / "p.csv", random_predictions(names=names))
    assert [line["component"] for line in lines(tmp_path / "p.csv")[:3]] == list(names)


def test_a_written_value_reads_as_it_was_typed(tmp_path: Path) -> None:
    typed = ["15.13", "1000000.25", "-0.001", "0.12573022071234566", "1e-30"]
    y = np.array([[float(text)] for text in typed])
    ones = np.ones((1, 5, 1))
    made = Predictions(("y",), Places(np.arange(5)), y, y[None], 0.5 * ones, 0.5 * ones)
    predictions.write_csv(tmp_path / "p.csv", made)
    assert [line["y"] for line in lines(tmp_path / "p.csv")] == typed


def test_a_row_of_huge_spread_takes_no_digits_from_the_others(tmp_path: Path) -> None:
    mu = np.array([[[0.123456], [1e9 + 1e-3], [5.0]]])
    var = np.array([[[1e-6], [1e-4], [1e30]]])
    made = Predictions(("y",), Places(np.arange(3)), None, mu, var, 0 * var)
    predictions.write_csv(tmp_path / "p.csv", made)
    written = lines(tmp_path / "p.csv")
    for line, center, sd in zip(written[:2], mu[0, :2, 0], (1e-3, 1e-2), strict=True):
        assert float(line["mu"]) == pytest.approx(center, abs=1e-4 * sd)
        width = float(line["hi_90"]) - float(line["lo_90"])
        assert width == pytest.approx(2 * 1.6448536 * sd, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_tiny_and_huge_units_keep_their_digits(tmp_path: Path, scale: float) -> None:
    made = random_predictions()
    big = Predictions(
        made.names, made.places, made.y * scale, made.mu * scale,
        made.var_epistemic * scale**2, made.var_noise * scale**2,
    )  # fmt: skip
    predictions.write_csv(tmp_path / "p.csv", big)
    written = [float(line["mu"]) for line in lines(tmp_path / "p.csv")]
    np.testing.assert_allclose(written, big.mean.ravel(), rtol=1e-6)


def test_long_tables_are_written_in_parts_without_seams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = random_predictions(n=10)
    predictions.write_csv(tmp_path / "whole.csv", made)
    monkeypatch.setattr(predictions, "_VALUES_PER_WRITE", 6)
    predictions.write_csv(tmp_path / "parts.csv", made)
    assert lines(tmp_path / "parts.csv") == lines(tmp_path / "whole.csv")


def test_no_rows_leave_a_header(tmp_path: Path) -> None:
    predictions.write_csv(tmp_path / "p.csv", random_predictions(n=0))
    header = ",".join(["row", *predictions.COLUMNS])
    assert (tmp_path / "p.csv").read_text(encoding="utf-8").strip() == header


def test_pit_needs_observations() -> None:
    made = random_predictions()
    bare = Predictions(made.names, made.places, None, made.mu, made.var_epistemic, made.var_noise)
    with pytest.raises(ValueError, match="observed"):
        _ = bare.pit
