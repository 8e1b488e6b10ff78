"""What installed packages add: found late, imported only where named, told of when broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_packages import Packages, packages

from tagi_cli import arch, nn, plugins
from tagi_cli.data import read_table
from tagi_cli.errors import UserError
from tagi_cli.experiment import extra_metrics
from tagi_cli.nn.composites import nodes

ARFF = "@relation r\n@attribute x numeric\n@attribute k {low, high}\n@data\n1.5,low\n2,high\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    folder = tmp_path / "site"
    folder.mkdir()
    with packages(folder, monkeypatch) as found:
        yield found


def sine(site: Packages, monkeypatch: pytest.MonkeyPatch) -> Any:
    site.add_example(monkeypatch)
    return nn.registry.find("sine", "layers.0")


def test_a_layer_joins_the_registry_when_it_is_asked_for(
    site: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sine" not in nn.registry
    kind = sine(site, monkeypatch)
    assert kind.summary == (
        "Sine of each unit, `sin(frequency z)`, with the exact moments of a Gaussian."
    )
    assert kind.plugin.source == "tagi-sine 0.1.0"
    assert "sine" in nn.registry
    assert "sine" not in nn.registry.own
    assert nodes.find("sine", "nodes.0").build(nodes["sine"].options(name="n")).frequency == 1
    assert plugins.loaded() == [
        {"group": plugins.LAYERS, "name": "sine", "package": "tagi-sine", "version": "0.1.0"}
    ]


@pytest.mark.parametrize("certain", [False, True])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_the_formulas_of_a_layer_run_among_kernels(
    site: Packages, monkeypatch: pytest.MonkeyPatch, kernels: str, certain: bool
) -> None:
    """Against Gauss-Hermite quadrature: mean, variance, and covariance with the input."""
    kind = sine(site, monkeypatch)
    from tagi_cli.backend import select

    rng = np.random.default_rng(0)
    mu = rng.normal(size=(7, 3))
    var = np.zeros((7, 3)) if certain else rng.uniform(0.01, 2, (7, 3))
    network = nn.Network(
        nn.Sequential(kind.build(kind.options(frequency=1.7))),
        (3,),
        rng=rng,
        backend=select("cpu", kernels, "float64"),
    )
    passes = network.run(mu, None if certain else var)
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    z = mu[..., None] + np.sqrt(var)[..., None] * points
    a = np.sin(1.7 * z)
    mean = a @ weights
    plan = passes.plan
    np.testing.assert_allclose(plan.output.mu, mean, rtol=1e-9)
    if certain:
        assert plan.output.var is None
        np.testing.assert_allclose(plan.output.jac, 1.7 * np.cos(1.7 * mu), rtol=1e-9)
        return
    np.testing.assert_allclose(plan.output.var, (a - mean[..., None]) ** 2 @ weights, rtol=1e-9)
    cov = ((a - mean[..., None]) * (z - mu[..., None])) @ weights
    np.testing.assert_allclose(plan.output.jac * var, cov, rtol=1e-9)


def test_an_architecture_builds_its_network(
    site: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_example(monkeypatch)
    kind = arch.registry.find("sine_mlp", "arch")
    layer = kind.build(kind.options(width=4, depth=2), (3,), 2)
    assert [inner.name for _, inner in layer.children()] == [
        "Linear", "Sine", "Linear", "Sine", "Linear",
    ]  # fmt: skip
    assert nn.output_shape(layer, (3,)) == (2,)


def test_a_data_source_reads_the_files_of_its_ending(
    site: Packages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "some.ARFF"
    file.write_text(ARFF)
    with pytest.raises(UserError, match=r"a file of type .arff\. Allowed: .csv.*\.npz, text also"):
        read_table(file)
    site.add_example(monkeypatch)
    table = read_table(file)
    assert table.columns == ("x", "k")
    assert table["x"].tolist() == [1.5, 2]
    assert table["k"].tolist() == ["low", "high"]
    file.write_text("no header")
    with pytest.raises(UserError, match=r"some.ARFF: the data source 'arff' of the package tagi-s"):
        read_table(file)
    other = tmp_path / "other.abc"
    other.write_text("")
    with pytest.raises(UserError, match=r"a file of type .abc\. Allowed: .*\.npz, .arff, text"):
        read_table(other)


def test_what_a_data_source_gives_is_a_mapping(site: Packages, tmp_path: Path) -> None:
    entries = {plugins.DATA_SOURCES: {"abc": "listed:read"}}
    site.add("listed", entries, listed="def read(path):\n    return [1]\n")
    (tmp_path / "a.abc").write_text("")
    with pytest.raises(UserError, match="TypeError: it gave a list and no mapping of columns"):
        read_table(tmp_path / "a.abc")


def test_metrics_are_functions_of_what_the_task_predicts(
    site: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert extra_metrics.faults(["sharp"], False) == [
        "metrics.0: no metric 'sharp'. Allowed: none, as no installed package brings metrics"
    ]
    site.add_example(monkeypatch)
    body = (
        "def sharp(labels, p):\n    return p.max(axis=1).mean()\n\n\ndef odd(a):\n    return 0.0\n"
    )
    entries = {plugins.METRICS: {"sharp": "own:sharp", "odd": "own:odd"}}
    site.add("own-metrics", entries, own=body)
    assert extra_metrics.faults(["interval_score_90"], False) == []
    assert extra_metrics.faults(["sharp"], True) == []
    assert extra_metrics.faults(["sharpe", "rmse"], True) == [
        "metrics.0: no metric 'sharpe'. Did you mean 'sharp'? Allowed: interval_score_90, odd, "
        "sharp",
        "metrics.1: 'rmse' is reported where the task has it; leave it out here",
    ]
    assert extra_metrics.faults(["sharp"], False) == [
        "metrics.0: 'sharp' is a metric of classes, but the task predicts real numbers. Leave it "
        "out"
    ]
    assert "is no function of (y, mu, var) or (labels, p)" in extra_metrics.faults(["odd"], True)[0]
    p = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert extra_metrics.values(["sharp"], np.array([0.0, 1.0]), p) == {"sharp": 0.625}
    # All observations in the middle: the score is the width of the intervals.
    y = np.zeros((3, 1))
    found = extra_metrics.values(["interval_score_90"], y, y[None], np.ones((1, 3, 1)))
    assert found["interval_score_90"] == pytest.approx(2 * 1.6448536, rel=1e-6)


@pytest.mark.parametrize(
    ("group", "value", "body", "message"),
    [
        (plugins.LAYERS, "bad:it", "import nowhere_to_be_found\n", "ModuleNotFoundError: No mod"),
        (plugins.LAYERS, "bad:it", "", "AttributeError: module 'bad' has no attribute 'it'"),
        (plugins.LAYERS, "bad:it", "it = 3\n", "TypeError: 3 is no subclass of tagi_cli.nn.Layer"),
        (
            plugins.LAYERS,
            "bad:It",
            "from tagi_cli import nn\n\n\nclass It(nn.Activation):\n    kind = 'that'\n",
            "ValueError: It.kind is 'that' and not 'it'",
        ),
        (
            plugins.LAYERS,
            "bad:It",
            "from tagi_cli import nn\n\n\nclass It(nn.Activation):\n    kind = 'it'\n\n"
            "    def __init__(self, size: int = 1) -> None:\n        super().__init__()\n",
            "ValueError: the docstring of It has no entry Args: size",
        ),
        (plugins.ARCHITECTURES, "bad:it", "it = 3\n", "TypeError: 3 is no dataclass of options"),
        (
            plugins.ARCHITECTURES,
            "bad:It",
            "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass It:\n    pass\n",
            "TypeError: It has no method build(input_shape, outputs)",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_package(
    site: Packages, group: str, value: str, body: str, message: str
) -> None:
    site.add("bad-plugins", {group: {"it": value}}, "2.1", bad=body)
    registry = nn.registry if group == plugins.LAYERS else arch.registry
    with pytest.raises(UserError) as error:
        registry.find("it", "arch.layers.0")
    word = plugins.GROUPS[group]
    assert str(error.value).startswith(
        f"arch.layers.0: the {word} 'it' of the package bad-plugins 2.1 (entry point {group}: it = "
        f"{value}) cannot be used: {message}"
    )
    assert plugins.loaded() == []
    assert registry.find("linear" if group == plugins.LAYERS else "mlp", "here")


def test_what_an_architecture_builds_is_a_layer(site: Packages) -> None:
    body = (
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass It:\n"
        "    def build(self, input_shape, outputs):\n        return 3\n"
    )
    site.add("bad-plugins", {plugins.ARCHITECTURES: {"it": "bad:It"}}, bad=body)
    kind = arch.registry.find("it", "arch")
    with pytest.raises(TypeError, match=r"It\.build gave 3, which is no nn.Layer"):
        kind.build(kind.options(), (1,), 1)


def test_names_that_clash_are_refused(site: Packages) -> None:
    one = {plugins.LAYERS: {"both": "nowhere:it", "linear": "nowhere:it"}}
    site.add("one", one)
    site.add("two", {plugins.LAYERS: {"both": "nowhere:it"}})
    with pytest.raises(UserError) as error:
        nn.registry.find("both", "arch.layers.0")
    several = "several packages bring a layer 'both': one 1.0, two 1.0. Uninstall all but one"
    assert str(error.value) == f"arch.layers.0: {several}"
    assert nn.registry.find("linear", "here").plugin is None
    found = {
        (p.name, p.package): plugins.clash(p, nn.registry.own)
        for p in plugins.installed(plugins.LAYERS)
    }
    assert found == {
        ("both", "one"): f"refused: {several}",
        ("both", "two"): f"refused: {several}",
        ("linear", "one"): "refused: tagi has a layer 'linear' of its own",
    }


def test_an_unknown_kind_is_told_those_of_plugins(
    site: Packages, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_example(monkeypatch)
    with pytest.raises(UserError, match=r"unknown kind 'sines'\. Did you mean 'sine'\?"):
        nn.registry.find("sines", "arch.layers.0")


def test_help_does_not_look_for_packages() -> None:
    script = (
        "import sys\nfrom tagi_cli.cli.main import main\ncode = main(['--help'])\n"
        "assert 'importlib.metadata' not in sys.modules\nsys.exit(code)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
