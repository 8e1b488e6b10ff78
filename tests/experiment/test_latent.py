"""`arch: latent_regression` from settings to a run folder, against truth and closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from latent_runs import TREE, UNITS, Small, metrics_of, settings, trained, write_groups

from tagi_cli import config, nn
from tagi_cli.arch.latent.options import LatentRegressionOptions
from tagi_cli.arch.latent.subspaces import principal_angles
from tagi_cli.data.bundled.latent import synthetic_truth
from tagi_cli.errors import UserError
from tagi_cli.experiment import run
from tagi_cli.experiment.evaluation import evaluate, predict
from tagi_cli.experiment.latent import findings as latent_findings
from tagi_cli.experiment.model import Model, Moments
from tagi_cli.experiment.profile import profile
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.experiment.tasks import load_data
from tagi_cli.latent_truth import draw

from .conftest import merged, rows


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_groups(tmp_path_factory.mktemp("groups") / "groups.csv")


@pytest.mark.parametrize("batch", [1, 16, 64])
def test_the_preset_recovers_what_its_data_were_drawn_from(batch: int, tmp_path: Path) -> None:
    arch = {
        "kind": "latent_regression",
        "inputs": {"a": {"columns": "a*", "latents": 2}, "b": {"columns": "b*", "latents": 1}},
        "outputs": {"y": {"columns": "y*", "latents": 3, "scales": {"source": "learn"}}},
        "direct": [["a", "y"]],
    }
    changes = {"arch": arch, "data.name": "latent_synthetic", "data.seed": 2, "seed": 2}
    changes |= {"data.batch_size": batch, "kernels": "auto", "trainer.max_epochs": 6}
    made = config.check(
        Settings, registries(), merged(TREE, {"data.out_components": [], **changes})
    )
    folder = run.train(made, "tagi train", tmp_path)
    test, truth = metrics_of(folder), synthetic_truth(2)
    assert test["noise_floor"] == pytest.approx(np.sqrt(np.mean(truth.psi[0])))
    assert test["rmse"] < 1.02 * test["noise_floor"]
    assert test["max_angle_deg"] < 3
    assert 0.88 <= test["coverage_90"] <= 0.92
    model = Model.load(folder)
    found = latent_findings.findings(made.arch, model.encoder, model.learners[0])
    assert np.median(found.psi["y"]) == pytest.approx(np.median(truth.psi[0]), rel=0.05)
    angles = [principal_angles(a, b) for a, b in zip(found.spaces.values(), truth.p, strict=False)]
    assert max(a.max() for a in angles) <= test["max_angle_deg"] + 1e-9
    # Rows that were learnt six times count once in the standard deviations.
    (_, _, mean, sd) = found.couplings["a", "y"]
    assert 0.7 < np.sqrt(np.mean(((mean - truth.c[0]) / sd) ** 2)) < 1.8


def test_findings_are_in_the_units_of_the_data(table: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"arch__direct": [["a", "y"]], "trainer__max_epochs": 20}
    folder = trained(table, tmp_path, **changes)
    _, _, truth = draw(Small(), 500, 3)
    model = Model.load(folder)
    found = latent_findings.findings(model.settings.arch, model.encoder, model.learners[0])
    assert found.inputs == {"a": ("a0", "a1", "a2", "a3"), "b": ("b0", "b1", "b2")}
    coupling = found.couplings["a", "y"].mean * UNITS / 5
    np.testing.assert_allclose(coupling, truth.c[0], atol=0.1)
    assert np.median(found.psi["y"] / (25 * truth.psi[0])) == pytest.approx(1, abs=0.15)
    for name, true in {
        "p.a": truth.p[0] / UNITS[:, None],
        "p.b": truth.p[1],
        "u.y": truth.u[0],
    }.items():
        assert principal_angles(found.spaces[name], true).max() < 12, name
    # u m p' in standard deviations; the inputs that the data are drawn from have unit variance.
    for g, name in enumerate("ab"):
        way = 5 * truth.u[0] @ truth.m[:, [g]] @ truth.p[g].T / model.encoder.scale_y[:, None]
        true = np.linalg.svd(way, compute_uv=False)
        np.testing.assert_allclose(found.singular[name, "y"], true[:1], rtol=0.12)


def test_couplings_do_not_count_as_a_way_through_latents(table: Path, tmp_path: Path) -> None:
    """However strong they are, singular values stay those of u m p'."""
    folder = trained(table, tmp_path, arch__direct=[["a", "y"]], arch__m="identity")
    model = Model.load(folder)
    member = latent_findings.network_of(model.learners[0])
    (p, other), (u,) = member.model.moments("p"), member.model.moments("u")
    assert p is not None
    assert other is not None
    assert u is not None
    for coupling in (0.0, 0.7, -40.0):
        member.model.assign(direct_mappings=[np.full(4, coupling)])
        found = latent_findings.findings(model.settings.arch, model.encoder, member)
        for name, k, modes in (("a", 0, p.mu), ("b", 1, other.mu)):
            want = np.linalg.norm(u.mu[:, k]) * np.linalg.norm(modes)
            np.testing.assert_allclose(found.singular[name, "y"], [want], rtol=1e-4)


def test_a_linear_map_without_couplings_is_reduced_rank_regression(tmp_path: Path) -> None:
    """The oracle: least squares on the training rows, cut to the leading directions of its fit."""
    rng = np.random.default_rng(7)
    x, u = rng.normal(size=(4000, 12)) * rng.uniform(0.5, 3, 12), rng.normal(size=(3, 8))
    y = 2 + x @ rng.normal(size=(12, 3)) @ u + rng.normal(size=(4000, 8))
    names = ",".join([*(f"a{j}" for j in range(12)), *(f"y{j}" for j in range(8))])
    path = tmp_path / "linear.csv"
    np.savetxt(path, np.hstack([x, y]), delimiter=",", header=names, comments="")
    changes: dict[str, Any] = {
        "arch__inputs": {"a": {"columns": ["a*"], "latents": 3}},
        f"{Y}__latents": 3,
        "arch__m": "linear",
        "trainer__max_epochs": 8,
        "precision": "float64",
    }
    folder = trained(path, tmp_path, **changes)
    dataset = load_data(settings(path, **changes))
    train, test = dataset.train.rows, dataset.test.rows
    middle, center, scale = x[train].mean(axis=0), y[train].mean(axis=0), y[train].std(axis=0)
    coefficients = np.linalg.lstsq(x[train] - middle, (y[train] - center) / scale, rcond=None)[0]
    right = np.linalg.svd((x[train] - middle) @ coefficients, full_matrices=False)[2][:3]
    want = (x[test] - middle) @ coefficients @ right.T @ right * scale + center
    found = Model.load(folder).predict(x[test])
    assert isinstance(found, Moments)
    errors = [np.sqrt(np.mean((mean - y[test]) ** 2)) for mean in (found.mean, want)]
    assert abs(errors[0] / errors[1] - 1) < 0.01
    assert np.sqrt(np.mean((found.mean - want) ** 2)) < 0.03 * want.std()


def test_a_run_predicts_is_scored_and_reports(table: Path, tmp_path: Path) -> None:
    folder = trained(table, tmp_path, viz__enabled=True, arch__direct=[["a", "y"]])
    assert evaluate(folder).metrics["rmse"] == pytest.approx(metrics_of(folder)["rmse"], rel=1e-9)
    written = predict(folder, table, tmp_path / "out.csv")
    found = rows(written)
    assert len(found) == 500 * 4
    assert [line["component"] for line in found[:4]] == ["y0", "y1", "y2", "y3"]
    page = (folder / "report.html").read_text()
    for word in ("Latents", "Singular values", "Error variances", "Direct couplings"):
        assert word in page
    assert (folder / "figures" / "latent_3_space.svg").is_file()


def test_targets_keep_their_order_whatever_the_groups(table: Path, tmp_path: Path) -> None:
    outputs = {
        "late": {"columns": ["y3", "y1"], "latents": 2},
        "early": {"columns": ["y2", "y0"], "latents": 2},
    }
    maps = {"kind": "layers", "layers": [{"kind": "linear", "output_size": 4}]}
    folder = trained(table, tmp_path, arch__outputs=outputs, arch__m=maps, trainer__max_epochs=8)
    components = metrics_of(folder)["components"]
    assert list(components) == ["y0", "y1", "y2", "y3"]
    # In a wrong order they would be below zero.
    assert min(metrics["r2"] for metrics in components.values()) > 0.15


def test_a_group_may_see_earlier_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, u = rng.normal(size=(400, 2)), np.array([[1.0, -2.0], [0.5, 1.0]])
    y = np.vstack([np.zeros((2, 2)), a[:-2] @ u]) + 0.1 * rng.normal(size=(400, 2))
    path = tmp_path / "late.csv"
    names = "t,a0,a1,y0,y1"
    values = np.hstack([np.arange(400)[:, None], a, y])
    np.savetxt(path, values, delimiter=",", header=names, comments="")
    changes: dict[str, Any] = {
        "data__time": "t",
        "data__in_components": ["a*"],
        "data__in_chunk": [-2, 0],
        "arch__outputs": {"y": {"columns": ["y*"], "latents": 2}},
        "trainer__max_epochs": 8,
    }
    r2 = {}
    for lag in (1, 2):
        group = {"a": {"columns": ["a*"], "latents": 2, "lag": lag}}
        r2[lag] = metrics_of(trained(path, tmp_path, arch__inputs=group, **changes))["r2"]
    assert r2[2] > 0.95
    assert r2[1] < 0.2
    group = {"a": {"columns": ["a*"], "latents": 2, "lag": 3}}
    with pytest.raises(UserError, match=r"arch.inputs.a.lag: found 3.*Allowed: 0 to 2"):
        trained(path, tmp_path, arch__inputs=group, **changes)


Y, A = "arch__outputs__y", "arch__inputs__a"
CHANGED: dict[str, Any] = {
    "arch__m": "identity",
    "arch__direct": [["a", "y"]],
    "arch__init": "janelia",
    "arch__gain_mean": 2.0,
    "arch__gain_weight": 0.5,
    "arch__restarts": 2,
    "arch__damping": "full",
    "arch__p_shrinkage": {"kind": "ard", "by": "column"},
    "arch__u_shrinkage": {"kind": "lasso", "rate": 20},
    "arch__l1_p_lambda": 0.1,
    "arch__l1_u_lambda": 0.1,
    f"{Y}__s": ["mixture_tanh"],
    f"{Y}__scales": {"source": "learn"},
    f"{Y}__offsets": {"source": "learn"},
    f"{Y}__u": {"train": False},
    f"{A}__p": {"train": False},
    f"{A}__columns": ["a0", "a1"],
    f"{A}__latents": 2,
    "noise": {"kind": "constant", "sigma_v": 0.4},
    "trainer__update_rule": "capped",
}


@pytest.fixture(scope="module")
def plain(table: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The NLL of the run with nothing changed."""
    nll: float = metrics_of(trained(table, tmp_path_factory.mktemp("plain")))["nll"]
    return nll


@pytest.mark.parametrize("option", CHANGED)
def test_changing_an_option_changes_the_outcome(
    table: Path, tmp_path: Path, plain: float, option: str
) -> None:
    changes = {option: CHANGED[option]}
    if f"{A}__latents" in changes:
        changes["arch__m"] = "linear"
    assert metrics_of(trained(table, tmp_path, **changes))["nll"] != plain


def test_the_ranges_of_the_original_initial_values_make_a_difference(
    table: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"arch__init": "janelia", f"{Y}__scales": {"source": "learn"}}
    found = [
        metrics_of(trained(table, tmp_path, **given, **more))["nll"]
        for more in ({}, {"arch__scale_spread": 0.5}, {"arch__noise_range": [0.5, 0.9]})
    ]
    assert len(set(found)) == 3


def test_the_prior_of_relevances_makes_a_difference(table: Path, tmp_path: Path) -> None:
    ard = {"kind": "ard"}
    found = [
        metrics_of(trained(table, tmp_path, arch__p_shrinkage=ard | more))["nll"]
        for more in ({}, {"shape": 5.0}, {"rate": 5.0})
    ]
    assert len(set(found)) == 3


def test_predictions_with_other_parameters(table: Path, tmp_path: Path) -> None:
    """A checkpoint of CSV files in which a tensor was replaced is `cond_forward`."""
    folder = trained(table, tmp_path, checkpoint__csv=True)
    x = np.random.default_rng(1).normal(size=(5, 7))
    model = latent_findings.network_of(Model.load(folder).learners[0]).model
    (want,) = model.cond_forward(np.split(x, [4], axis=1), p=[np.full((4, 1), 0.5), None])
    tensors = folder / "checkpoints" / "csv"
    for moment, value in (("mu", 0.5), ("var", 0.0)):
        path = tensors / f"member.0.p0.weight.{moment}.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(",".join([str(value)] * 4) for _ in lines) + "\n")
    changed = latent_findings.network_of(Model.load(folder, str(tensors)).learners[0])
    np.testing.assert_allclose(changed.predict(x).mu, want, rtol=1e-5)


def test_couplings_are_given_and_kept(table: Path, tmp_path: Path) -> None:
    c = np.array([0.5, -1.0, 0.0, 2.0])
    np.savetxt(tmp_path / "c.csv", c)
    given = {"source": "given", "path": str(tmp_path / "c.csv")}
    couplings = f"{Y}__couplings"

    def moments(more: dict[str, Any]) -> nn.Moments:
        folder = trained(table, tmp_path, arch__direct=[["a", "y"]], **{couplings: {"a": more}})
        model = latent_findings.network_of(Model.load(folder).learners[0]).model
        (found,) = model.moments("direct_mappings")
        assert found is not None
        return found

    certain = moments(given)
    np.testing.assert_allclose(certain.mu, c)
    assert not certain.var.any()
    learnt = moments(given | {"sd": 0.4})
    assert (np.abs(learnt.mu - c) > 1e-3).all()
    assert (learnt.var < 0.16).all()
    kept = moments(given | {"sd": 0.4, "train": False})
    np.testing.assert_allclose(kept.mu, c)
    np.testing.assert_allclose(kept.var, 0.16)
    drawn = moments({"train": False})
    np.testing.assert_allclose(drawn.var, 0.25)
    np.savetxt(tmp_path / "c.csv", c[:3])
    with pytest.raises(UserError, match=r"outputs.y.couplings.a.path: .*3 lines of 1.*4 lines"):
        moments(given)
    with pytest.raises(UserError, match=r"outputs.y.couplings.b: \[b, y\] is no pair.*Allowed: a"):
        trained(table, tmp_path, arch__direct=[["a", "y"]], **{couplings: {"b": {}}})


def test_direct_spread_and_l1_convention_make_a_difference(table: Path, tmp_path: Path) -> None:
    pairs: dict[str, Any] = {"arch__direct": [["a", "y"]], "arch__l1_u_lambda": 0.1}
    found = [
        metrics_of(trained(table, tmp_path, **pairs, **more))["nll"]
        for more in ({}, {"arch__direct_spread": 0.4}, {"arch__l1_convention": "docs"})
    ]
    assert len(set(found)) == 3


def test_chunks_change_nothing(table: Path, tmp_path: Path, plain: float) -> None:
    found = metrics_of(trained(table, tmp_path, arch__send_size=5))["nll"]
    assert found == pytest.approx(plain, rel=1e-5)


def test_given_parameters_are_taken_and_kept(table: Path, tmp_path: Path) -> None:
    p = np.array([[1.0], [0.0], [0.5], [0.0]])
    np.savetxt(tmp_path / "p.csv", p, delimiter=",")
    given = {"source": "given", "path": str(tmp_path / "p.csv")}
    folder = trained(table, tmp_path, **{f"{A}__p": given})
    model = latent_findings.network_of(Model.load(folder).learners[0]).model
    (found, _) = model.moments("p")
    assert found is not None
    np.testing.assert_allclose(found.mu, p)
    assert not found.var.any()
    folder = trained(table, tmp_path, **{f"{A}__p": given | {"sd": 0.3}})
    model = latent_findings.network_of(Model.load(folder).learners[0]).model
    (learnt, _) = model.moments("p")
    assert learnt is not None
    assert (learnt.mu != p).all()
    assert (learnt.var < 0.09).all()


def test_penalties_are_explained(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(table, tmp_path, arch__l1_p_lambda=0.24)
    # 400 rows, a mean of 4 entries.
    assert "Laplace prior of rate 24 for 400 rows" in capsys.readouterr().err


def test_there_is_no_profile_of_its_steps(table: Path) -> None:
    made = settings(table)
    with pytest.raises(UserError, match="no profile"):
        profile(made, load_data(made))


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_run_is_continued_to_the_bit(table: Path, tmp_path: Path, restarts: int) -> None:
    changes: dict[str, Any] = {
        "arch__restarts": restarts,
        "arch__u_shrinkage": "ard",
        "data__split_portions": [0.6, 0.2, 0.2],
    }
    whole = trained(table, tmp_path / "whole", trainer__max_epochs=4, **changes)
    part = trained(table, tmp_path / "part", trainer__max_epochs=2, **changes)
    again = settings(table, trainer__max_epochs=4, trainer__resume=str(part), **changes)
    assert metrics_of(run.train(again, "tagi train")) == metrics_of(whole)


def test_every_group_option_is_listed() -> None:
    text = config.reference(Settings, registries())
    assert "arch.inputs.<name>.lag" in text
    assert LatentRegressionOptions.__doc__ is not None
