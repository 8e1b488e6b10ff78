"""The stand-in has the names, arguments and defaults of `objax.nn`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tagi_cli import objax
from tagi_cli.objax.constants import ConvPadding
from tagi_cli.objax.random import DEFAULT_GENERATOR

FACTS = Path(__file__).with_name("objax_nn.txt")

WORDS = {
    "ConvPadding": ConvPadding,
    "DEFAULT_GENERATOR": DEFAULT_GENERATOR,
    "MAX": sys.maxsize,
    "kaiming_normal": objax.nn.kaiming_normal,
    "xavier_normal": objax.nn.xavier_normal,
}

# What there is besides: keyword-only arguments, and these.
OURS = {"Dropout": ["mode"]}

INITIALISERS = [
    "gain_leaky_relu", "kaiming_normal_gain", "kaiming_normal", "kaiming_truncated_normal",
    "truncated_normal", "xavier_normal_gain", "xavier_normal", "xavier_truncated_normal",
]  # fmt: skip


def facts() -> Iterator[tuple[str, str, inspect.Signature]]:
    """Class or function, method or nothing, and signature."""
    owner = ""
    for line in FACTS.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, _, arguments = line.strip().partition("(")
        scope: dict[str, Any] = dict(WORDS)
        exec(f"def f({arguments}: pass", scope)
        signature = inspect.signature(scope["f"])
        if line.startswith(" "):
            yield owner, name, signature
        else:
            owner = name
            yield owner, "", signature


def arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Arguments that may be given by position."""
    return [
        p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY
    ]


@pytest.mark.parametrize(("owner", "method", "want"), list(facts()))
def test_signatures(owner: str, method: str, want: inspect.Signature) -> None:
    target = getattr(objax.nn, owner)
    found = arguments(getattr(target, method))[1:] if method else arguments(target)
    wanted = list(want.parameters.values())
    assert [p.name for p in found[: len(wanted)]] == [p.name for p in wanted]
    assert [p.default for p in found[: len(wanted)]] == [p.default for p in wanted]
    more = [p.name for p in found[len(wanted) :]]
    assert more == ([] if method else OURS.get(owner, []))


@pytest.mark.parametrize("name", INITIALISERS)
def test_initialisers_are_in_their_module_too(name: str) -> None:
    assert getattr(objax.nn.init, name) is getattr(objax.nn, name)
