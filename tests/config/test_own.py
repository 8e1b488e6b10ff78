"""Presets as files of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagi_cli import config
from tagi_cli.config.source import read_yaml
from tagi_cli.experiment.settings import Settings, registries

KINDS = registries()
PRESETS = config.Catalogue.shipped(KINDS).files("config")


@pytest.mark.parametrize("name", PRESETS)
def test_a_copy_of_each_preset_is_plain_and_composes_to_the_same(name: str, here: Path) -> None:
    Path("mine.yaml").write_text(config.own_copy(name, PRESETS[name], "mine.yaml"))
    text = Path("mine.yaml").read_text()
    for word in ("@package", "override", "_self_", f"config={name}"):
        assert word not in text
    preset = read_yaml(PRESETS[name])
    chosen = [
        str(*choice).split("/")[-1] for choice in preset.get("defaults", []) if choice != "_self_"
    ]
    assert ("defaults" in text) == any(group in preset for group in chosen)
    assert "tagi train config=mine.yaml" in text
    composed = [
        config.compose(Settings, KINDS, [f"config={file}"]) for file in (name, "./mine.yaml")
    ]
    assert not composed[0].faults
    assert composed[0].tree == composed[1].tree


PRESET = """# @package _global_
# One line about it.
#
#   tagi train config=a/b, and not config=a/b-c
defaults:
  - config: base
  - override /shape: box
  - override /data: toy
  - _self_

seed: 1 # of its own
data:
  limit: 3
"""

COPY = """# One line about it.
#
#   tagi train 'config=my own.yaml', and not config=a/b-c
defaults:
  - config: base
  - data: toy
shape: box

seed: 1 # of its own
data:
  limit: 3
"""


def test_what_has_no_plain_form_stays_in_the_list(tmp_path: Path) -> None:
    source = tmp_path / "b.yaml"
    source.write_text(PRESET)
    assert config.own_copy("a/b", source, "my own.yaml") == COPY
    source.write_text("# @package _global_\n\nseed: 1\n")
    assert config.own_copy("a/b", source, "c.yaml") == "seed: 1\n"
