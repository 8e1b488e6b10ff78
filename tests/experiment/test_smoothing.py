"""`tagi smooth` from a run to its files: against exact posteriors, mixtures and limiting cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm

from tagi_cli import config, data
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.model import Model
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.experiment.smoothing import recorded_pass as smoothing_pass
from tagi_cli.experiment.smoothing import whole_series as smoothing
from tagi_cli.training import checkpoint
from tagi_cli.training.interface import NumericalError

from .conftest import merged, rows

Host = np.ndarray[Any, Any]

TREE: dict[str, Any] = {
    "name": "series",
    "task": "regression",
    "kernels": "numpy",
    "precision": "float64",
    "data": {
        "out_components": ["y"],
        "time": "when",
        "time_covariates": ["hour_of_day"],
        "in_chunk": [0, 0],
        "batch_sampling_mode": "inference",
        "batch_size": 1,
        "split_portions": [1, 0, 0],
    },
    "arch": {"kind": "slstm", "width": 3},
    "noise": {"kind": "constant", "sigma_v": 0.4},
    "trainer": {"max_epochs": 2},
    "ensemble": {"size": 1},
    "viz": {"enabled": False},
}


def settings(path: Path, **changes: Any) -> Settings:
    """Settings of a small run on a table; changes by dotted path."""
    return config.check(Settings, registries(), merged(TREE, {"data.path": str(path), **changes}))


def trained(path: Path, **changes: Any) -> Path:
    """The folder of a run on a table beside it."""
    return run.train(settings(path, **changes), "tagi train", path.parent / "runs")


def hours(count: int, first: int = 0) -> list[str]:
    """Times an hour apart."""
    return [str(np.datetime64("2024-01-01T00") + first + k) for k in range(count)]


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A CSV file; NaN is left empty."""
    lines = [",".join(columns)]
    lines += [
        ",".join("" if value != value else str(value) for value in row)
        for row in zip(*columns.values(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def wave(path: Path, count: int = 30, **columns: list[Any]) -> Path:
    """A series of which the beginning and a stretch inside are missing."""
    y = np.sin(np.arange(count) / 3) + 0.1 * np.cos(np.arange(count))
    y[:4] = y[14:19] = np.nan
    return write(path, {"when": hours(count), "y": y.tolist(), **columns})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a short series. Tests write nothing into it."""
    return trained(wave(tmp_path_factory.mktemp("small") / "wave.csv"), **{"ensemble.size": 2})


# A chain c_t = f c_(t-1) + e_t seen as y_t = o c_t + v_t, of each series by itself: one unit, small
# enough to be linear, all of whose parameters are certain but the bias that makes e_t.
F, I_GATE, O_GATE, Q, SIGMA, SMALL = 0.9, 0.5, 0.6, 0.3, 0.4, 1e-4


def chain(folder: Path) -> Path:
    """A checkpoint of the run in which the network is that chain."""
    tensors, metadata = checkpoint.read(folder / "checkpoints" / "best.safetensors")
    values = {
        "slstm_1.weight": (0, 0),
        "slstm_1.bias": ([logit(F), logit(I_GATE), 0, logit(O_GATE)], [0, 0, Q * SMALL**2, 0]),
        "slinear_2.weight": (1 / SMALL, 0),
        "slinear_2.bias": (0, 0),
    }
    for name, moments in values.items():
        for part, value in zip(("mu", "var"), moments, strict=True):
            tensors[f"member.0.{name}.{part}"][...] = value
    path = folder.parent / "chain.safetensors"
    checkpoint.write(path, tensors, metadata)
    return path


def exact(y: Host) -> tuple[Host, Host]:
    """Posterior of `o c_t` from the joint distribution of all steps."""
    n = len(y)
    decay = np.tril(F ** np.subtract.outer(np.arange(n), np.arange(n)).clip(0))
    prior = (O_GATE * I_GATE) ** 2 * Q * decay @ decay.T
    seen = ~np.isnan(y)
    gain = prior[:, seen] @ np.linalg.inv(prior[np.ix_(seen, seen)] + SIGMA**2 * np.eye(seen.sum()))
    return gain @ y[seen], np.diag(prior - gain @ prior[seen])


@pytest.mark.parametrize("batch_size", [1, 2])
def test_linear_chains_are_smoothed_exactly(tmp_path: Path, batch_size: int) -> None:
    rng = np.random.default_rng(0)
    # The last one, so that training ends in a row that goes on from none.
    lengths = {"a": 20, "b": 12, "c": 20, "d": 20, "e": 1}
    columns: dict[str, list[Any]] = {"who": [], "when": [], "y": []}
    for name, n in lengths.items():
        y = 50 + 7 * rng.normal(size=n)
        if n > 1:
            y[[0, 1, 2, 6, 7, 8, 9]] = np.nan
        columns["who"] += [name] * n
        columns["when"] += hours(n)
        columns["y"] += y.tolist()
    path = write(tmp_path / "chains.csv", columns)
    changes = {"data.instance": "who", "data.batch_size": batch_size, "arch.width": 1}
    folder = trained(path, **changes)
    found = smoothing.smooth(folder, str(chain(folder)))
    lines = rows(folder / "smoothed" / "outputs.csv")
    assert [line["instance"] for line in lines] == columns["who"]
    assert [line["time"] for line in lines] == [f"{time}:00:00" for time in columns["when"]]
    assert ["" if y != y else float(y) for y in columns["y"]] == [
        line["y"] and float(line["y"]) for line in lines
    ]
    encoder = Model.load(folder).encoder
    center, scale = encoder.center_y[0], encoder.scale_y[0]
    with np.load(found.folder / "states.npz") as file:
        states = dict(file)
    assert states["row"].tolist() == list(range(73))
    for name in lengths:
        own = np.array(columns["who"]) == name
        mu, var = exact((np.array(columns["y"])[own] - center) / scale)
        got = {
            key: np.array([float(line[key]) for line in lines])[own]
            for key in ("mu", "sd_epistemic", "sd_noise", "sd", "lo_90", "hi_90")
        }
        np.testing.assert_allclose(got["mu"], center + scale * mu, atol=1e-3)
        np.testing.assert_allclose(got["sd_epistemic"], scale * np.sqrt(var), rtol=1e-3)
        np.testing.assert_allclose(got["sd_noise"], scale * SIGMA, rtol=1e-6)
        sd = scale * np.sqrt(var + SIGMA**2)
        np.testing.assert_allclose(got["sd"], sd, rtol=1e-3)
        half = norm.ppf(0.95) * sd
        np.testing.assert_allclose(got["hi_90"] - got["lo_90"], 2 * half, rtol=1e-3)
        cell = states["layer_0.mu_c"][0, states["instance"] == name, 0]
        np.testing.assert_allclose(O_GATE * cell / SMALL, mu, atol=1e-3)
    facts = {key: found.facts[key] for key in ("series", "values", "observed", "networks")}
    assert facts == {"series": 5, "values": 73, "observed": 45, "networks": 1}
    assert (found.facts["state_variances"], found.facts["negative_variances"]) == (146, 0)


def test_an_ensemble_is_the_mixture_of_its_members(small: Path, tmp_path: Path) -> None:
    found = smoothing.smooth(small, output=tmp_path / "out")
    lines = rows(tmp_path / "out" / "outputs.csv")
    assert found.report is None
    assert not (small / "smoothed").exists()
    model = Model.load(small)
    part = model.encoder.windows(table_of(small))
    members = [smoothing_pass.smooth_member(one, part, 1) for one in model.learners]  # type: ignore[arg-type]
    mu, var = (
        np.stack([getattr(member.prediction, name)[:, 0] for member in members])
        for name in ("mu", "var_epistemic")
    )
    center, scale = model.encoder.center_y[0], model.encoder.scale_y[0]
    assert len(lines) == 30
    for key, want in (
        ("mu", center + scale * mu.mean(axis=0)),
        ("sd_epistemic", scale * np.sqrt(var.mean(axis=0) + mu.var(axis=0))),
    ):
        np.testing.assert_allclose([float(line[key]) for line in lines], want, rtol=1e-6)
    with np.load(tmp_path / "out" / "states.npz") as file:
        assert file["layer_0.var_h"].shape == (2, 30, 3)
        np.testing.assert_allclose(
            file["layer_0.mu_h"][1], members[1].states[0].mu_h[:, 0], rtol=1e-6
        )
    assert found.facts["negative_variances"] == sum(member.floored for member in members)
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == found.facts


def table_of(folder: Path) -> data.Table:
    """The table of a run."""
    return data.read_table(str(Model.load(folder).settings.data.path))


def test_what_tells_nothing_leaves_the_prediction(tmp_path: Path) -> None:
    path = wave(tmp_path / "wave.csv")
    folder = trained(path, **{"noise.sigma_v": 1e6})
    smoothing.smooth(folder)
    model = Model.load(folder)
    want = model.predict_part(model.encoder.windows(table_of(folder)))
    got = [float(line["mu"]) for line in rows(folder / "smoothed" / "outputs.csv")]
    np.testing.assert_allclose(got, want.mean[:, 0], rtol=1e-7)


@pytest.mark.parametrize(
    ("changes", "values", "sizes"),
    [
        ({"arch.depth": 2}, 30, (1, 30, 3)),
        ({"noise": "heteroscedastic"}, 30, (1, 30, 3)),
        ({"noise": "auto"}, 30, (1, 30, 3)),
        ({"data.out_components": ["y", "z"]}, 60, (1, 30, 3)),
        ({"data.out_chunk": [0, 2]}, 90, (1, 30, 3)),
        ({"data.in_components": ["z"], "data.in_chunk": [-2, 0]}, 29, (1, 29, 3)),
        ({"data.slide_stride": 3, "data.batch_sampling_mode": "sliding-window"}, 30, (1, 30, 3)),
        (
            {"task": "vl_regression", "data.in_chunk": None, "arch.window": "steps"}
            | {"data.variable_sequence_length_limit": 8},
            30,
            (1, 4, 8, 3),
        ),
        (
            {"data.in_chunk": [0, 4], "data.out_chunk": [0, 4], "data.slide_stride": 5}
            | {"data.batch_sampling_mode": "sliding-window", "arch.window": "steps"},
            30,
            (1, 6, 5, 3),
        ),
    ],
)
def test_networks_and_windows_of_all_kinds(
    tmp_path: Path, changes: dict[str, Any], values: int, sizes: tuple[int, ...]
) -> None:
    z = np.cos(np.arange(30)).tolist()
    folder = trained(wave(tmp_path / "wave.csv", z=z), **{"data.batch_size": 2} | changes)
    found = smoothing.smooth(folder)
    lines = rows(folder / "smoothed" / "outputs.csv")
    assert len(lines) == found.facts["values"] == values
    assert all(float(line["lo_90"]) < float(line["mu"]) < float(line["hi_90"]) for line in lines)
    with np.load(found.folder / "states.npz") as file:
        names = [name for name in file.files if name.startswith("layer_")]
        assert len(names) == 4 * changes.get("arch.depth", 1)
        assert {file[name].shape for name in names} == {sizes}
    if changes.get("noise") == "heteroscedastic":
        assert len({line["sd_noise"] for line in lines}) > 10


def test_rows_that_are_not_there_are_missing_ones(tmp_path: Path) -> None:
    whole, cut = (wave(tmp_path / f"{name}.csv") for name in ("whole", "cut"))
    kept = [line for line in cut.read_text().splitlines() if not line.endswith(",")]
    cut.write_text("\n".join(kept) + "\n")
    folder = trained(whole)
    smoothing.smooth(folder)
    notices: list[str] = []
    smoothing.smooth(folder, input=cut, output=tmp_path / "cut", notices=notices)
    want = rows(folder / "smoothed" / "outputs.csv")[4:]
    lines = rows(tmp_path / "cut" / "outputs.csv")
    assert [line["time"] for line in lines] == [line["time"] for line in want]
    assert [line["y"] for line in lines] == [line["y"] for line in want]
    assert notices == [
        "smoothing goes through 1 gap in time, which cuts series in training: 5 rows that are not "
        "in cut.csv count as missing"
    ]
    with np.load(tmp_path / "cut" / "states.npz") as file:
        assert file["row"].tolist() == [*range(10), *[-1] * 5, *range(10, 21)]


def test_an_input_beside_the_date_leaves_series_cut(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "when": hours(10) + hours(10, 15),
        "y": list(range(20)),
        "z": [0, 1] * 10,
    }
    folder = trained(write(tmp_path / "two.csv", columns))
    smoothing.smooth(folder)
    lines = rows(folder / "smoothed" / "outputs.csv")
    assert [line["slice"] for line in lines] == ["0"] * 10 + ["1"] * 10


def test_the_report_shows_the_series(tmp_path: Path) -> None:
    folder = trained(wave(tmp_path / "wave.csv"), **{"viz.enabled": True})
    assert "Smoothed series" not in (folder / "report.html").read_text()
    found = smoothing.smooth(folder)
    assert found.report == folder / "report.html"
    page = found.report.read_text()
    assert "Smoothed series" in page
    assert "30 values, of which 21 are observed" in page
    assert (folder / "figures" / "smoothed_1.png").stat().st_size > 1000
    assert "<svg" in (folder / "figures" / "smoothed_1.svg").read_text()


def test_where_there_is_nothing_to_smooth(tmp_path: Path, small: Path) -> None:
    path = wave(tmp_path / "wave.csv")
    lstm = {"arch": "lstm", "data.batch_sampling_mode": "independent"}
    with pytest.raises(UserError, match=r"arch: found 'lstm', which has no states that can be smo"):
        smoothing.smooth(trained(path, **lstm))
    labels = write(tmp_path / "labels.csv", {"when": hours(9), "y": list("abcbabacb")})
    changes = {"task": "classification", "data.batch_sampling_mode": "inference"}
    with pytest.raises(UserError, match="task: found 'classification', but series of numbers"):
        smoothing.check(settings(labels, **changes))
    layers = [{"kind": "reshape", "shape": [1, 2]}, {"kind": "slstm", "output_size": 2}]
    behind = {"kind": "lstm", "output_size": 2, "tracking": True}
    head = [{"kind": "flatten"}, {"kind": "linear", "output_size": 1}]
    smoothing.smooth(trained(path, arch={"kind": "sequential", "layers": [*layers, *head]}))
    with pytest.raises(UserError, match=r"arch: LSTM\(2,2\) behind the last SLSTM goes on from"):
        smoothing.smooth(
            trained(path, arch={"kind": "sequential", "layers": [*layers, behind, *head]})
        )
    empty = write(tmp_path / "empty.csv", {"when": hours(5), "y": [float("nan")] * 5})
    message = r"input: .*empty\.csv has no observed value of y, so that there is nothing to smooth"
    with pytest.raises(UserError, match=message):
        smoothing.smooth(small, input=empty, output=tmp_path / "out")
    without = write(tmp_path / "without.csv", {"y": [1, 2, 3]})
    with pytest.raises(UserError, match=r"input: .*no column 'when' for the times"):
        smoothing.smooth(small, input=without, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_to_write(tmp_path: Path, small: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match="output: must be given with input, as the folder 'smooth"):
        smoothing.smooth(small, input=tmp_path / "wave.csv")
    with pytest.raises(UserError, match="output: there is no folder"):
        smoothing.smooth(small, output=out / "deeper")
    smoothing.smooth(small, output=out)
    before = (out / "outputs.csv").read_bytes()
    with pytest.raises(UserError, match=r"outputs\.csv is there already; name another folder"):
        smoothing.smooth(small, output=out)
    smoothing.smooth(small, output=out, overwrite=True)
    assert (out / "outputs.csv").read_bytes() == before
    with pytest.raises(UserError, match="is there and is not a folder"):
        smoothing.smooth(small, output=out / "outputs.csv")


def test_data_that_have_changed(tmp_path: Path) -> None:
    path = wave(tmp_path / "wave.csv")
    folder = trained(path)
    path.write_text(path.read_text() + f"{hours(1, 30)[0]},0.5\n")
    with pytest.raises(UserError, match=r"data\.path: .* has changed since this run .* as input"):
        smoothing.smooth(folder)
    assert smoothing.smooth(folder, input=path, output=tmp_path / "out").facts["values"] == 31


def test_moments_that_are_not_finite(tmp_path: Path) -> None:
    folder = trained(wave(tmp_path / "wave.csv"))
    tensors, metadata = checkpoint.read(folder / "checkpoints" / "best.safetensors")
    tensors["member.0.slinear_2.bias.mu"][...] = np.nan
    checkpoint.write(tmp_path / "bad.safetensors", tensors, metadata)
    with pytest.raises(NumericalError, match="row 0: the smoothed moments are not finite, and so "):
        smoothing.smooth(folder, str(tmp_path / "bad.safetensors"))
    assert not (folder / "smoothed").exists()
