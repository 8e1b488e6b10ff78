"""The generated reference, and what there is to choose from."""

from __future__ import annotations

from pathlib import Path

from small_schema import REGISTRIES, Settings

from tagi_cli import config
from tagi_cli.config.schema import is_group, nested_registries, walk


def test_the_reference_names_every_option_with_its_facts(configs: Path) -> None:
    text = config.reference(Settings, REGISTRIES, configs)
    for line in (
        "| `seed` | whole number | `0` | at least 0 | Seed. |",
        "| `data.path` | path or null | `null` |  | File. |",
        "| `data.chunk` | list of 2 whole numbers | `[0, 0]` |  | Delays. |",
        "| `shape.links` | number | `0.5` | above 0 and below 1 | Links. |",
        "| `trainer.stop.patience` | whole number | `20` | at least 1 | Epochs. |",
        "| `trainer.rule` | text | `sum` | one of sum, site, none | Rule. |",
        "| `size` | whole number | required | at least 1 | Units. |",
        "Default: `shape: box`.",
        "### `shape: chain`",
        "### `kind: relu`",
        # A group that may be null has its options in a table of its own.
        "| `shape.knot` | mapping or null | `null` |  | The knots, if any. Options: "
        "[`knot`](#knot). |",
        "## `knot`",
        "| `turns` | whole number | `2` | at least 1 | Turns. |",
    ):
        assert line in text.splitlines()
    leaves = [path for path, option in walk(Settings, REGISTRIES) if not is_group(option.type)]
    missing = [path for path in leaves if f"`{path}`" not in text]
    assert missing == ["shape.knot.turns"]


def test_walk_gives_the_options_of_the_chosen_kinds() -> None:
    paths = [path for path, _ in walk(Settings, REGISTRIES, {"shape": "box"})]
    assert "shape.depth" in paths
    assert "shape.links" not in paths
    assert "shape.links" in [path for path, _ in walk(Settings, REGISTRIES)]
    assert not [p for p, _ in walk(Settings, REGISTRIES, {"shape": "?"}) if p.startswith("shape.")]


def test_registries_inside_lists_are_found() -> None:
    assert list(nested_registries(Settings, REGISTRIES)) == ["layer"]


def test_the_catalogue_joins_files_and_kinds(configs: Path) -> None:
    catalogue = config.Catalogue(REGISTRIES, configs)
    assert catalogue.groups() == ["shape", "data"]
    assert catalogue.options("shape") == ["box", "chain", "wide"]
    assert catalogue.options("config") == ["deep/one", "quick"]
    assert catalogue.summary("config", "quick") == "A quick one."
    assert catalogue.summary("shape", "wide") == "A wide box."
    assert catalogue.summary("shape", "chain") == "A chain of layers."
