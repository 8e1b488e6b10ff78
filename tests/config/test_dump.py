"""What is dumped composes, and loads, to the same settings."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_schema import (
    FILES,
    REGISTRIES,
    BoxOptions,
    ChainOptions,
    DataOptions,
    LinearOptions,
    ReluOptions,
    Settings,
    StopOptions,
    TrainerOptions,
)
from small_schema import settings as composed

from tagi_cli import config
from tagi_cli.errors import UserError

# Text as YAML holds it: no control characters, no references.
texts = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1)
    | st.sampled_from(
        ["1e3", "null", "on", "0x1F", "~", "1_000", "a: b", "- c", "# d", " e ", "???"]
    )
).filter(lambda text: "${" not in text and text not in ("null", "none", "None", "???"))
floats = st.floats(min_value=1e-300, max_value=1e300)
layers = st.builds(LinearOptions, st.integers(1, 9), st.booleans()) | st.builds(ReluOptions)
shapes = st.builds(BoxOptions, st.integers(1, 9), st.integers(0, 9)) | st.builds(
    ChainOptions,
    st.integers(1, 9),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.lists(layers).map(tuple),
)
anything = st.builds(
    Settings,
    name=st.none() | texts,
    seed=st.integers(0, 2**60),
    data=st.builds(
        DataOptions,
        path=st.none() | texts.map(lambda text: f"/{text.replace('/', '')}"),
        targets=st.lists(texts).map(tuple),
        length=st.integers() | texts,
    ),
    shape=shapes,
    trainer=st.builds(
        TrainerOptions,
        seconds=st.none() | floats,
        rule=st.sampled_from(["sum", "site", "none"]),
        stop=st.builds(StopOptions, st.booleans(), st.integers(1, 9)),
    ),
)


@given(anything)
def test_load_gives_back_what_dump_was_given(given: Settings) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(config.dump(given, REGISTRIES), encoding="utf-8")
        assert config.load(Settings, REGISTRIES, path) == given


@given(anything)
@settings(max_examples=15)
def test_composing_gives_back_what_dump_was_given(given: Settings) -> None:
    with TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        path = Path(folder) / "dumped.yaml"
        path.write_text(config.dump(given, REGISTRIES), encoding="utf-8")
        assert composed(Path(folder), f"config={path}") == given


def test_dump_records_kinds_and_every_option(configs: Path) -> None:
    text = config.dump(composed(configs, "shape=chain", "shape.layers=relu"), REGISTRIES)
    assert "shape:\n  kind: chain\n  width: 7\n" in text
    assert "  - kind: relu\n" in text
    assert "  stop:\n    enabled: true\n" in text


def test_another_kind_can_be_chosen_over_a_dumped_config(configs: Path, here: Path) -> None:
    Path("old.yaml").write_text(config.dump(Settings(shape=ChainOptions(links=0.25)), REGISTRIES))
    assert composed(configs, "config=old.yaml", "shape=box").shape == BoxOptions()


def test_load_says_what_is_wrong(here: Path) -> None:
    with pytest.raises(UserError, match=r"old.yaml: cannot be read"):
        config.load(Settings, REGISTRIES, "old.yaml")
    Path("old.yaml").write_text("shape: {kind: box}\nseed: x")
    with pytest.raises(UserError, match=r"^old\.yaml: seed: found 'x'"):
        config.load(Settings, REGISTRIES, "old.yaml")
