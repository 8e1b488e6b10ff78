"""The validator: what it accepts, and every message of a fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from small_schema import (
    REGISTRIES,
    BoxOptions,
    ChainOptions,
    DataOptions,
    LinearOptions,
    ReluOptions,
    Settings,
    checked,
    faults,
)

from tagi_cli import config
from tagi_cli.options import option


def fault(tree: dict[str, Any]) -> str:
    (message,) = faults(checked, tree)
    return message


def test_an_empty_tree_gives_the_defaults_of_every_group() -> None:
    assert checked({}) == Settings(shape=BoxOptions())


@pytest.mark.parametrize(
    ("tree", "path", "value"),
    [
        ({"trainer": {"seconds": 3}}, "trainer.seconds", 3.0),
        ({"trainer": {"seconds": None}}, "trainer.seconds", None),
        ({"trainer": {"seconds": "none"}}, "trainer.seconds", None),
        ({"trainer": {"stop": {"patience": 3}}}, "trainer.stop.patience", 3),
        ({"trainer": {"rule": "none"}}, "trainer.rule", "none"),
        ({"trainer": {"rule": None}}, "trainer.rule", "none"),
        ({"data": {"targets": "price"}}, "data.targets", ("price",)),
        ({"data": {"targets": ["b", "a"]}}, "data.targets", ("b", "a")),
        ({"data": {"targets": [2024, "x"]}}, "data.targets", ("2024", "x")),
        ({"data": {"targets": 7}}, "data.targets", ("7",)),
        ({"data": {"portions": [1, 0]}}, "data.portions", (1.0, 0.0)),
        ({"data": {"chunk": [-3, 0]}}, "data.chunk", (-3, 0)),
        ({"data": {"length": "auto"}}, "data.length", "auto"),
        ({"data": {"length": 12}}, "data.length", 12),
        ({"name": 2024}, "name", "2024"),
        ({"name": "None"}, "name", None),
    ],
)
def test_values_take_the_declared_type(tree: dict[str, Any], path: str, value: object) -> None:
    found: Any = checked(tree)
    for key in path.split("."):
        found = getattr(found, key)
    assert found == value
    assert type(found) is type(value)


def test_a_number_stays_of_its_own_type_in_a_union() -> None:
    @dataclass(frozen=True)
    class Options:
        either: float | int | str = option(0, "")
        word: Literal["auto", 1] = option("auto", "")

    assert type(config.check(Options, {}, {"either": 3}).either) is int
    assert type(config.check(Options, {}, {"either": 3.5}).either) is float
    assert config.check(Options, {}, {"either": "x", "word": 1}) == Options("x", 1)
    assert "word: found true. Allowed: auto or 1" in faults(
        config.check, Options, {}, {"word": True}
    )


def test_options_without_a_range_and_of_any_type_are_passed_on() -> None:
    @dataclass(frozen=True)
    class Options:
        anything: Any = option(None, "")
        table: dict[str, float] = option(None, "")

    made = config.check(Options, {}, {"anything": [1, {"a": None}], "table": {"a": 1}})
    assert made == Options([1, {"a": None}], {"a": 1.0})
    assert faults(config.check, Options, {}, {"table": 3}) == ["table: found 3. Allowed: mapping"]


def test_paths_become_absolute_and_count_from_here(here: Path) -> None:
    found = checked({"data": {"path": "a/b.csv"}, "trainer": {"resume": "~/run"}})
    assert found.data.path == str(here / "a" / "b.csv")
    assert found.trainer.resume == str(Path.home() / "run")


def test_kinds_become_objects_of_their_options_class() -> None:
    shape = {"kind": "chain", "layers": [{"kind": "linear", "size": 3}, "relu"]}
    assert checked({"shape": shape}).shape == ChainOptions(layers=(LinearOptions(3), ReluOptions()))
    assert checked({"shape": "chain"}).shape == ChainOptions()
    assert checked({"shape": {"kind": "chain", "layers": "relu"}}).shape.layers == (ReluOptions(),)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"seed": -1}, "seed: found -1. Allowed: whole number, at least 0"),
        ({"seed": 1.0}, "seed: found 1.0. Allowed: whole number, at least 0"),
        ({"seed": True}, "seed: found true. Allowed: whole number, at least 0"),
        ({"seed": None}, "seed: found null. Allowed: whole number, at least 0"),
        ({"seed": "3"}, "seed: found '3'. Take the quotes off. Allowed: whole number, at least 0"),
        (
            {"trainer": {"seconds": float("nan")}},
            "trainer.seconds: found nan. It must be a finite number. Allowed: number or null, "
            "above 0",
        ),
        (
            {"trainer": {"seconds": float("inf")}},
            "trainer.seconds: found inf. It must be a finite number. Allowed: number or null, "
            "above 0",
        ),
        (
            {"trainer": {"rule": "sit"}},
            "trainer.rule: found 'sit'. Did you mean 'site'? Allowed: one of sum, site, none",
        ),
        ({"trainer": {"rule": 3}}, "trainer.rule: found 3. Allowed: one of sum, site, none"),
        (
            {"trainer": {"stop": {"enabled": "yes"}}},
            "trainer.stop.enabled: found 'yes'. Allowed: true or false",
        ),
        (
            {"trainer": {"stop": 5}},
            "trainer.stop: found 5. Allowed: a mapping of options, enabled, patience",
        ),
        (
            {"trainer": {"stop": False}},
            "trainer.stop: found false. Did you mean 'trainer.stop.enabled=false'? Allowed: a "
            "mapping of options, enabled, patience",
        ),
        (
            {"trainer": None},
            "trainer: found null. Allowed: a mapping of options, epochs, seconds, rule, stop, "
            "resume",
        ),
        (
            {"name": False},
            "name: found false. Put quotes round it if the text is meant. Allowed: text or null",
        ),
        (
            {"data": {"targets": [1.5]}},
            "data.targets: found [1.5]. Put quotes round it if the text is meant. "
            "Allowed: list of text",
        ),
        ({"data": {"targets": None}}, "data.targets: found null. Allowed: list of text"),
        (
            {"data": {"targets": {"a": 1}}},
            "data.targets: found {a: 1}. Allowed: list of text",
        ),
        (
            {"data": {"chunk": [1, 2, 3]}},
            "data.chunk: found [1, 2, 3]. It has 3 items. Allowed: list of 2 whole numbers",
        ),
        (
            {"data": {"portions": [2, -1]}},
            "data.portions: found [2, -1]. Allowed: list of numbers, at least 0 and at most 1",
        ),
        ({"data": {"path": ""}}, "data.path: found ''. Allowed: path or null"),
        ({"data": {"portions": [0.5, 0.4]}}, "data.portions: [0.5, 0.4] must add up to 1"),
        (
            {"trainer": {"epoch": 3}},
            "trainer.epoch: unknown option. Did you mean 'epochs'? Allowed: epochs, seconds, rule, "
            "stop, resume",
        ),
        (
            {"batch_size": 3},
            "batch_size: unknown option. Did you mean 'data.batch_size'? Allowed: name, seed, "
            "data, shape, trainer",
        ),
        (
            {"portion": 3},
            "portion: unknown option. Did you mean 'data.portions'? Allowed: name, seed, data, "
            "shape, trainer",
        ),
        (
            {"trainer.epochs": 3},
            "trainer.epochs: unknown option. Write it nested: trainer: {epochs: ...}. Allowed: "
            "name, seed, data, shape, trainer",
        ),
        (
            {"trainer": {"learning_rate": 0.1}},
            "trainer.learning_rate: has no meaning here. Set shape.width.",
        ),
        (
            {"trainer": {"epochs": "???"}},
            "trainer.epochs: must be set. Allowed: whole number, at least 1",
        ),
        ({"shape": None}, "shape: found null. Allowed: a mapping {kind: <name>, <options>}"),
        ({"shape": {"width": 3}}, "shape.kind: must be set. Allowed: box, chain"),
        ({"shape": {"kind": 3}}, "shape.kind: found 3. Allowed: box, chain"),
        (
            {"shape": {"kind": "bx"}},
            "shape: unknown kind 'bx'. Did you mean 'box'? Allowed: box, chain",
        ),
        (
            {"shape": {"kind": "box", "wdith": 3}},
            "shape.wdith: unknown option of shape kind 'box'. Did you mean 'width'? Allowed: "
            "width, depth",
        ),
        (
            {"shape": {"kind": "box", "links": 0.5}},
            "shape.links: unknown option of shape kind 'box'. It belongs to kind chain. Allowed: "
            "width, depth",
        ),
        (
            {"shape": {"kind": "chain", "layers": [{"kind": "relu", "size": 3}]}},
            "shape.layers.0.size: unknown option of layer kind 'relu'. It belongs to kind linear. "
            "It has no options.",
        ),
        (
            {"shape": {"kind": "chain", "layers": ["relu", {"kind": "linear"}]}},
            "shape.layers.1.size: must be set. Allowed: whole number, at least 1",
        ),
        (
            {"shape": {"kind": "chain", "layers": ["relo"]}},
            "shape.layers.0: unknown kind 'relo'. Did you mean 'relu'? Allowed: linear, relu",
        ),
        (
            {"shape": {"kind": "chain", "layers": [3]}},
            "shape.layers.0: found 3. Allowed: a mapping {kind: <name>, <options>}",
        ),
    ],
)
def test_a_fault_says_where_what_and_what_is_allowed(tree: dict[str, Any], message: str) -> None:
    assert fault(tree) == message


def test_long_values_are_cut_in_messages() -> None:
    assert "..." in fault({"trainer": {"rule": "x" * 500}})
    assert len(fault({"trainer": {"rule": "x" * 500}})) < 200


def test_all_faults_are_told_at_once_and_each_only_once() -> None:
    tree = {"seed": -1, "trainer": {"epochs": 0, "x": 1}, "shape": {"kind": "box", "depth": -1}}
    composed = ("earlier", "earlier")
    found = faults(config.check, Settings, REGISTRIES, tree, composed)
    assert [message.partition(":")[0] for message in found] == [
        "earlier",
        "seed",
        "shape.depth",
        "trainer.x",
        "trainer.epochs",
    ]


def test_what_is_missing_is_no_fault_of_its_own_where_reading_failed() -> None:
    for tree in ({}, {"shape": {"kind": "box"}, "data": {"portions": [0.5]}}):
        assert faults(config.check, Settings, REGISTRIES, tree, ["unreadable"]) == ["unreadable"]
    assert faults(config.check, Settings, REGISTRIES, {}) == [
        "shape.kind: must be set. Allowed: box, chain"
    ]


def test_a_group_can_be_checked_by_itself() -> None:
    assert config.check(DataOptions, {}, {"targets": "y"}, where="data").targets == ("y",)
    (message,) = faults(config.check, DataOptions, {}, {"size": 0}, (), "data")
    assert message.startswith("data.size: unknown option.")
