"""Latent regression has janelia_core's names, arguments and defaults, in that order."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.arch import latent_regression

FACTS = Path(__file__).with_name("janelia_latent_regression.txt")

# Arguments that the original takes as well, but does not document, and one of ours.
MORE = {"parameters": ["recurse", "return_shared_m_params", "returned_shared_m_params"],
        "generate": ["mode", "rng"]}  # fmt: skip


def facts() -> Iterator[tuple[str, str, inspect.Signature]]:
    """Class, method or nothing, and signature."""
    owner = ""
    for line in FACTS.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, _, arguments = line.strip().partition("(")
        scope: dict[str, Any] = {}
        exec(f"def f({arguments}: pass", scope)
        if not line.startswith(" "):
            owner, name = name, ""
        yield owner, name, inspect.signature(scope["f"])


@pytest.mark.parametrize(("owner", "method", "want"), list(facts()))
def test_signatures(owner: str, method: str, want: inspect.Signature) -> None:
    target = getattr(latent_regression, owner)
    signature = inspect.signature(getattr(target, method) if method else target)
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    found = [p for p in signature.parameters.values() if p.kind not in kinds and p.name != "self"]
    wanted = list(want.parameters.values())
    assert [p.name for p in found[: len(wanted)]] == [p.name for p in wanted]
    assert [p.default for p in found[: len(wanted)]] == [p.default for p in wanted]
    assert [p.name for p in found[len(wanted) :]] == MORE.get(method, [])


def test_flags_of_what_learns() -> None:
    """Attributes that scripts set."""
    model = latent_regression.LatentRegModel(
        [2], [2], [1], [1], latent_regression.group_maps.identity(), [None], True, True, True,
        direct_pairs=[(0, 0)],
    )  # fmt: skip
    for role in ("p", "u", "scales", "offsets", "direct_mappings", "psi"):
        assert getattr(model, f"{role}_trainable") == [True]
