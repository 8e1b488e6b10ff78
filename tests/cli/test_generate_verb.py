"""`tagi generate`: trajectories against the moments of the process they are drawn from."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tagi_cli.cli.main import main

from .conftest import Tagi

# y_t = 0.8 y_{t-1} + 3 + noise of sd 0.5, about a mean of 15.
SLOPE, LEVEL, SD = 0.8, 3.0, 0.5


@pytest.fixture(scope="module")
def ar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on steps of an autoregressive series, with the value before as a column of its own.

    The steps begin anywhere, so that values before and behind have other means and spreads.
    """
    folder = tmp_path_factory.mktemp("ar")
    rng = np.random.default_rng(0)
    before = rng.normal(30, 8, 3000)
    y = SLOPE * before + LEVEL + SD * rng.normal(size=3000)
    lines = [f"{a!r},{b!r},{0!r}" for a, b in zip(before.tolist(), y.tolist(), strict=True)]
    (folder / "ar.csv").write_text("\n".join(["before,y,still", *lines]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = [
            "train", "data.path=ar.csv", "data.out_components=[y]", "kernels=numpy",
            "data.in_components=[before]", "ensemble.size=1", "trainer.max_epochs=4",
            "viz.enabled=false", "trainer.update_rule=information", "arch=latent_regression",
            "+arch.inputs={past: {columns: [before], latents: 1}}",
            "+arch.outputs={now: {columns: [y], latents: 1}}",
        ]  # fmt: skip
        assert main(words) == 0
    (run,) = folder.glob("outputs/ar/*")
    return run


def write(path: Path, steps: int, first: str = "20") -> None:
    path.write_text("before,other\n" + f"{first},1\n" + ",1\n" * (steps - 1))


def test_trajectories_are_those_of_the_process(tagi: Tagi, ar: Path, here: Path) -> None:
    write(here / "in.csv", 12)
    words = ("generate", f"run={ar}", "input=in.csv", "r_map=now:past", "samples=600")
    answer = tagi(*words, "output=out.csv")
    assert (answer.code, answer.out) == (0, "out.csv\n")
    with (here / "out.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    y = np.array([float(line["y"]) for line in lines]).reshape(600, 12)
    steps = np.arange(1, 13)
    mean = 15 + (20 - 15) * SLOPE**steps
    sd = SD * np.sqrt((1 - SLOPE ** (2 * steps)) / (1 - SLOPE**2))
    np.testing.assert_allclose(y.mean(axis=0), mean, atol=0.3)
    np.testing.assert_allclose(y.std(axis=0), sd, rtol=0.15)
    assert tagi(*words, "output=again.csv").code == 0
    assert (here / "again.csv").read_text() == (here / "out.csv").read_text()
    assert tagi(*words, "output=other.csv", "seed=1").code == 0
    assert (here / "other.csv").read_text() != (here / "out.csv").read_text()


def test_parameters_are_drawn_or_taken_as_they_are(tagi: Tagi, ar: Path, here: Path) -> None:
    write(here / "in.csv", 5)
    drawn = set()
    for mode in ("posterior", "plugin", "marginal"):
        words = ("generate", f"run={ar}", "input=in.csv", "r_map=now:past", f"mode={mode}")
        assert tagi(*words, "output=out.csv", "overwrite=true").code == 0
        drawn.add((here / "out.csv").read_text())
    assert len(drawn) == 3


@pytest.mark.parametrize(
    ("first", "more", "message"),
    [
        (
            "",
            ["r_map=now:past"],
            "input: in.csv, row 2, column 'before' is empty, and there is no step before. Allowed: "
            "numbers there",
        ),
        (
            "20",
            [],
            "input: in.csv, row 3, column 'before' is empty, and no output group is mapped to "
            "'past'. Allowed: numbers, or r_map=<output group>:past",
        ),
        ("20", ["r_map=nw:past"], "r_map: no output group 'nw'. Did you mean 'now'? Allowed: now"),
        ("20", ["r_map=now:x"], "r_map: no input group 'x'. Allowed: past"),
        ("20", ["r_map=now"], "r_map: found 'now'. Allowed: <output group>:<input group>"),
        ("20", ["mode=mean"], "mode: found 'mean'. Allowed: posterior, plugin, marginal"),
        ("20", ["samples=0"], "samples: found '0'. Allowed: a whole number, at least 1"),
        ("20", ["overwrite=1"], "overwrite: found '1'. Allowed: true or false"),
    ],
)
def test_each_mistake_has_a_message(
    tagi: Tagi, ar: Path, here: Path, first: str, more: list[str], message: str
) -> None:
    write(here / "in.csv", 3, first)
    answer = tagi("generate", f"run={ar}", "input=in.csv", "output=out.csv", *more)
    assert answer.code == 2
    assert answer.err == f"tagi generate: {message}\n"
    assert not (here / "out.csv").exists()


def test_series_without_networks_of_their_own_are_refused(tagi: Tagi, here: Path) -> None:
    rng = np.random.default_rng(2)
    lines = [f"{'ab'[i % 2]},{rng.normal()!r},{rng.normal()!r}" for i in range(60)]
    (here / "two.csv").write_text("\n".join(["who,x,y", *lines]) + "\n")
    words = [
        "train", "data.path=two.csv", "data.out_components=[y]", "data.instance=who",
        "kernels=numpy", "ensemble.size=1", "trainer.max_epochs=1", "viz.enabled=false",
        "arch=latent_regression", "+arch.inputs={in: {columns: [x], latents: 1}}",
        "+arch.outputs={out: {columns: [y], latents: 1}}",
    ]  # fmt: skip
    assert main(words) == 0
    (run,) = here.glob("outputs/two/*")
    answer = tagi("generate", f"run={run}", "input=two.csv", "output=o.csv")
    assert answer.code == 2
    assert "one network for the series in column 'who', and generate goes on in one" in answer.err


def lagged(here: Path, groups: str, chunk: str, name: str) -> Path:
    """A run on the process's own past, in windows, with a second input column."""
    rng = np.random.default_rng(1)
    y = [15.0]
    for _ in range(1500):
        y.append(SLOPE * y[-1] + LEVEL + SD * rng.normal())
    lines = [f"{value!r},{rng.normal()!r}" for value in y]
    (here / "lag.csv").write_text("\n".join(["y,z", *lines]) + "\n")
    words = [
        "train", "data.path=lag.csv", "data.out_components=[y]", "data.in_components=[y,z]",
        f"data.in_chunk={chunk}", "data.padding_method=none", f"name={name}", "kernels=numpy",
        "ensemble.size=1", "trainer.max_epochs=3", "viz.enabled=false",
        "trainer.update_rule=information", "arch=latent_regression", f"+arch.inputs={groups}",
        "+arch.outputs={now: {columns: [y], latents: 1}}",
    ]  # fmt: skip
    assert main([*words, "arch.m=identity"]) == 0
    (run,) = here.glob(f"outputs/{name}/*")
    return run


def test_a_lag_of_one_goes_on_from_the_column_itself(tagi: Tagi, here: Path) -> None:
    run = lagged(here, "{past: {columns: [y], latents: 1, lag: 1}}", "[-1,-1]", "one")
    (here / "in.csv").write_text("y,z\n20,0\n" + ",0\n" * 8)
    words = ("generate", f"run={run}", "input=in.csv", "output=o.csv", "r_map=now:past")
    assert tagi(*words, "samples=400").code == 0
    with (here / "o.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    # Row 0 is given; row 1 is the first that has a row before it.
    assert [int(line["row"]) for line in lines[:8]] == list(range(1, 9))
    y = np.array([float(line["y"]) for line in lines]).reshape(400, 8)
    np.testing.assert_allclose(y.mean(axis=0), 15 + 5 * SLOPE ** np.arange(1, 9), atol=0.4)
    (here / "in.csv").write_text("y,z\n20,0\n")
    answer = tagi(*words, "overwrite=true")
    assert answer.code == 2
    assert "input: found 1 rows. Allowed: at least 2" in answer.err


def test_only_one_step_back_and_equal_sizes_are_fed(tagi: Tagi, here: Path) -> None:
    groups = "{far: {columns: [y, z], latents: 1, lag: 2}}"
    run = lagged(here, groups, "[-2,-1]", "two")
    (here / "in.csv").write_text("y,z\n" + "1,0\n" * 4)
    words = ("generate", f"run={run}", "input=in.csv", "output=o.csv", "r_map=now:far")
    answer = tagi(*words)
    assert answer.code == 2
    assert "r_map: now:far are groups of 1 and 2 variables" in answer.err
    assert "r_map: far lies 2 rows back" in answer.err
