"""Registries of kinds, and registries that extend others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from tagi_cli.errors import UserError
from tagi_cli.options import Extension, Registry, option


@dataclass(frozen=True)
class Extra:
    """What every kind has besides."""

    name: str = option(doc="Name.")


@dataclass(frozen=True)
class Plain:
    """A kind with one option."""

    size: int = option(3, "Size.", minimum=1)


@dataclass(frozen=True)
class Late:
    """A kind registered later, with a check of its own."""

    size: int = option(doc="Size.")

    def faults(self) -> list[str]:
        return ["odd"] if self.size % 2 else []


def test_an_extension_has_the_kinds_of_its_base_present_and_to_come() -> None:
    base = Registry("thing")
    base.register("plain", Plain, lambda options: ("plain", options))
    extended = Extension("named", base, Extra)
    assert list(extended) == ["plain"]
    base.register("late", Late, lambda options: ("late", options))
    assert list(extended) == ["plain", "late"]
    assert len(extended) == 2
    kind = extended.find("plain", "here")
    assert [f.name for f in dataclasses.fields(kind.options)] == ["name", "size"]
    made = kind.options(name="x")
    assert (made.name, made.size) == ("x", 3)
    assert extended.base_of(made) == ("plain", Plain(3))
    assert kind.build(made) == ("plain", Plain(3))
    assert extended.of(made).name == "plain"
    assert kind.summary == "A kind with one option."
    limits = next(f for f in dataclasses.fields(kind.options) if f.name == "size").metadata
    assert limits["limits"].minimum == 1


def test_an_extension_keeps_checks_and_requirements() -> None:
    base = Registry("thing")
    base.register("late", Late, lambda options: options)
    options = Extension("named", base, Extra)["late"].options
    assert options(name="x", size=3).faults() == ["odd"]
    with pytest.raises(TypeError, match="missing"):
        options(name="x")


def test_an_unknown_kind_is_told() -> None:
    base = Registry("thing")
    base.register("plain", Plain, lambda options: options)
    extended = Extension("named", base, Extra)
    with pytest.raises(UserError, match=r"a\.b: unknown kind 'plan'\. Did you mean 'plain'"):
        extended.find("plan", "a.b")
    with pytest.raises(KeyError, match="not the options class of any named kind"):
        extended.of(Plain(3))


def test_a_late_kind_is_made_when_it_is_asked_for_and_once() -> None:
    made: list[str] = []

    def make() -> tuple[type[Late], object]:
        made.append("late")
        return Late, lambda options: ("late", options)

    base = Registry("thing")
    base.register_late("late", make)
    base.register("plain", Plain, lambda options: ("plain", options))
    extended = Extension("named", base, Extra)
    assert (list(base), base.own, len(base)) == (["late", "plain"], ("late", "plain"), 2)
    assert list(extended) == ["late", "plain"]
    assert base.of(Plain(3)).name == extended.of(extended["plain"].options(name="x")).name
    with pytest.raises(KeyError, match="not the options class"):
        base.of(Late(3))
    assert made == []
    assert base.find("late", "here").build(Late(3)) == ("late", Late(3))
    assert base.of(Late(3)).summary == "A kind registered later, with a check of its own."
    assert [f.name for f in dataclasses.fields(extended["late"].options)] == ["name", "size"]
    assert made == ["late"]
    with pytest.raises(ValueError, match="'late' is registered twice"):
        base.register_late("late", make)
