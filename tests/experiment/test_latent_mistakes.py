"""Mistakes in configs of a latent regression: one clear message each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from latent_runs import trained, write_groups

from tagi_cli.errors import UserError

Y, A = "arch__outputs__y", "arch__inputs__a"
FOUR = {"kind": "layers", "layers": [{"kind": "linear", "output_size": 4}]}
EXACT: list[tuple[dict[str, Any], str]] = [
    (
        {"arch__direct": [["b", "y"]]},
        "arch.direct.0: found [b, y], of 3 and 4 variables. Allowed: groups of one size",
    ),
    (
        {f"{Y}__latents": 3, "arch__m": FOUR},
        "arch.m: gives 4 latents, but arch.outputs has 3 (y: 3). Allowed: 3",
    ),
    (
        {f"{Y}__s": [{"kind": "linear", "output_size": 3}]},
        "arch.outputs.y.s: gives 3 values for 4 columns. Allowed: 4",
    ),
    (
        {"arch__scale_spread": 0.1},
        "arch.scale_spread: has no meaning beside init 'tagi'. Allowed: to leave it out, or init: "
        "janelia",
    ),
    (
        {"arch__noise_range": [0.2, 0.1], "arch__init": "janelia"},
        "arch.noise_range: found [0.2, 0.1]. Allowed: the lower end first",
    ),
    ({"arch__send_size": 17}, "arch.send_size: found 17. Allowed: 1 to data.batch_size, 16"),
    ({"arch__direct": [["c", "y"]]}, "arch.direct.0: no input group 'c'. Allowed: a, b"),
    (
        {"arch__direct": [["a", "yy"]]},
        "arch.direct.0: no output group 'yy'. Did you mean 'y'? Allowed: y",
    ),
    (
        {f"{A}__columns": ["a0", "q*"]},
        "arch.inputs.a.columns: no input 'q*'. Columns: a0, a1, a2, a3, b0, b1, b2",
    ),
    (
        {f"{Y}__columns": ["y0", "y9"]},
        "arch.outputs.y.columns: no target 'y9'. Columns: y0, y1, y2, y3",
    ),
    (
        {"data__out_components": ["y0", "yy"]},
        "data.out_components: groups.csv has no column 'yy'. Columns: a0, a1, a2, a3, b0, b1, b2, "
        "y0, y1, y2, y3",
    ),
]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_groups(tmp_path_factory.mktemp("groups") / "groups.csv")


@pytest.mark.parametrize(("changes", "message"), EXACT)
def test_what_does_not_fit_together_is_named(
    table: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        trained(table, tmp_path, **changes)
    assert str(caught.value) == message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n", r"arch.inputs.a.p.path: .* has 1 lines of 2 numbers. Allowed: 4 lines of 1"),
        ("a\nb\n", r"arch.inputs.a.p.path: .*Allowed: numbers, no header"),
        ("1\nnan\n1\n1\n", "not finite"),
        (None, r"arch.inputs.a.p.path: [^:]*p.csv: no such file. Allowed: a CSV file of numbers$"),
    ],
)
def test_what_is_given_must_fit(
    table: Path, tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "p.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        trained(table, tmp_path, **{f"{A}__p": {"source": "given", "path": str(path)}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch__direct": [["b", "y"]]}, r"arch.direct.0: found \[b, y\], of 3 and 4 variables"),
        ({"arch__direct": [["c", "y"]]}, r"arch.direct.0: no input group 'c'.*Allowed: a, b"),
        ({"arch__direct": [["a", "z"]]}, r"arch.direct.0: no output group 'z'"),
        ({"arch__direct": [["a", "y"], ["a", "y"]]}, r"arch.direct.1: .* stands there already"),
        ({f"{A}__columns": ["q*"]}, r"arch.inputs.a.columns: no input 'q\*'"),
        ({f"{Y}__columns": ["y0", "y9"]}, r"arch.outputs.y.columns: no target 'y9'"),
        ({f"{Y}__columns": ["y0"]}, r"arch.outputs: the target 'y1' is in no group"),
        (
            {"arch__outputs__z": {"columns": ["y0"], "latents": 1}},
            r"the target 'y0' is in the groups y, z",
        ),
        ({"arch__send_size": 17}, r"arch.send_size: found 17. Allowed: 1 to data.batch_size, 16"),
        (
            {f"{Y}__latents": 3, "arch__m": "identity"},
            r"arch.m: gives 2 latents, but arch.outputs has 3",
        ),
        (
            {"arch__m": {"kind": "select", "latents": [0, 2]}},
            r"arch.m: found latent 2. Allowed: 0 to 1",
        ),
        (
            {"arch__m": {"kind": "per_group", "layers": ["relu"]}},
            "arch.m: found 1 layers for 2 groups of latents. Allowed: 2",
        ),
        ({"arch__inputs": {}}, r"arch.inputs: the mapping is empty"),
        ({f"{A}__columns": []}, r"arch.inputs.a.columns: the list is empty"),
        ({f"{A}__p": {"source": "none"}}, r"arch.inputs.a.p.source: found .none.*learn, given"),
        ({f"{A}__p": {"source": "given"}}, r"arch.inputs.a.p.path: found null beside source"),
        ({f"{A}__p": {"sd": 1}}, r"arch.inputs.a.p.sd: has no meaning beside source 'learn'"),
        ({"arch__inputs__a__size": 3}, r"arch.inputs.a.size: unknown option"),
        ({"noise": {"kind": "heteroscedastic"}}, r"noise: .*Allowed: auto, learned, constant"),
        ({"task": "classification", "data__out_components": ["y0"]}, r"Allowed: task=regression"),
        (
            {"arch__p_shrinkage": "ard", "arch__l1_p_lambda": 1},
            r"arch.l1_p_lambda: contradicts p_shrinkage",
        ),
        ({"data__seed": 1, "data__batch_size": 9999}, r"data.batch_size: found 9999"),
    ],
)
def test_each_mistake_has_a_message(
    table: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trained(table, tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_inputs_in_no_group_are_told(table: Path, tmp_path: Path) -> None:
    folder = trained(table, tmp_path, **{f"{A}__columns": ["a0", "a2"]})
    log = (folder / "train.log").read_text()
    assert "note: arch.inputs: in no group, so not looked at: a1, a3\n" in log
