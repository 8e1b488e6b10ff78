"""The configs that are shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tagi_cli import config
from tagi_cli.backend.select import DEVICES, KERNELS, PRECISIONS, faults
from tagi_cli.cli.configuration import settings_from
from tagi_cli.cli.main import main
from tagi_cli.config.schema import options_of
from tagi_cli.experiment.settings import Settings, dump_settings, registries

CATALOGUE = config.Catalogue.shipped(registries())
PRESETS = CATALOGUE.files("config")
# Networks that are large even for a small data set.
SMALLER = {
    "cifar10/resnet18": ["arch.width=2", "data.limit=200", "data.batch_size=32"],
    "mnist/cnn": ["data.limit=300"],
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_composes_checks_and_names_the_run(name: str) -> None:
    settings = settings_from([f"config={name}"])
    assert settings.name == name.replace("/", "-")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["trainer.max_epochs=2", "ensemble.size=1", "viz.enabled=false"]
    few += SMALLER.get(name, [])
    assert main(["train", f"config={name}", *few]) == 0
    (summary,) = tmp_path.glob("outputs/*/*/summary.json")
    assert json.loads(summary.read_text())["status"] == "completed"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_opens_with_what_it_is_and_its_command(name: str) -> None:
    first, *rest = PRESETS[name].read_text().splitlines()
    assert first == "# @package _global_"
    assert rest[0].startswith("# ")
    assert f"#   tagi train config={name}" in rest


@pytest.mark.parametrize("group", [g for g in CATALOGUE.groups() if CATALOGUE.files(g)])
def test_every_option_of_a_group_on_disk_composes(group: str) -> None:
    for name in CATALOGUE.files(group):
        arguments = [f"{group}={name}", *([] if group == "data" else ["data=yacht"])]
        assert settings_from(arguments)
        assert CATALOGUE.summary(group, name)


def test_the_primary_config_chooses_a_kind_for_every_group_of_kinds() -> None:
    tree = config.compose(Settings, registries(), []).tree
    assert {group: tree[group]["kind"] for group in registries()} == {
        "task": "regression",
        "arch": "mlp",
        "noise": "auto",
        "tracker": "none",
    }


def test_choices_of_the_root_are_those_of_the_backend() -> None:
    options = {option.name: option.limits.choices for option in options_of(Settings)}
    # One of several GPUs has a number behind it, so that there is no list of all devices.
    assert options["device"] is None
    assert not any(faults(device, "auto", "float32") for device in (*DEVICES, "cuda:3"))
    assert options["kernels"] == KERNELS
    assert options["precision"] == PRECISIONS


def test_settings_survive_their_file(tmp_path: Path) -> None:
    layers = "arch.layers=[{kind: linear, output_size: 5},relu,{kind: linear, output_size: 1}]"
    settings = settings_from(["config=sine", "arch=sequential", layers, "noise=decay"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_settings(settings))
    assert config.load(Settings, registries(), path) == settings
    assert settings_from([f"config={path}"]) == settings


def test_the_name_is_that_of_the_preset_the_file_or_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("data: {path: houses.csv.gz}")
    assert settings_from(["data.path=a/houses.csv.gz"]).name == "houses"
    assert settings_from(["config=mine.yaml"]).name == "mine"
    assert settings_from(["config=[sine,mine.yaml]", "name=x"]).name == "x"
    assert settings_from(["data=yacht"]).name == "yacht"
    assert settings_from(["data.path=/.csv"]).name == "run"


@pytest.mark.parametrize("name", ["a/b", "..", ".", "'  '", "a\\\\b"])
def test_a_name_must_suit_a_folder(name: str) -> None:
    with pytest.raises(Exception, match="Allowed: text that can be the name of a folder"):
        settings_from(["config=sine", f"name={name}"])


@pytest.mark.parametrize("word", Settings.without_meaning)
def test_words_of_other_tools_are_refused_with_a_hint(word: str) -> None:
    with pytest.raises(Exception, match=rf"trainer.{word}: has no meaning here. [A-Z`]"):
        settings_from(["config=sine", f"+trainer.{word}=1"])


@pytest.mark.parametrize("value", Settings.other_words)
def test_values_of_other_tools_are_refused_with_a_hint(value: str) -> None:
    path, _, word = value.partition("=")
    told = re.escape(f"{path}: found '{word}'. {Settings.other_words[value]} Allowed: ")
    with pytest.raises(Exception, match=told):
        settings_from(["config=sine", value])


def test_what_is_hinted_at_is_accepted() -> None:
    """A change that a hint shows makes the option what it says, and it was not so before."""
    kinds = registries()

    def value(settings: Settings, path: str) -> object:
        group, _, name = path.partition(".")
        found = getattr(settings, group)
        return getattr(found, name) if name else kinds[group].of(found).name

    shown = [hint.split("`")[1] for hint in Settings.other_words.values() if "=" in hint]
    assert len(shown) == len(Settings.other_words) - 1
    for words in shown:
        path, _, word = words.partition("=")
        # Windows of segments come with their task.
        windows = ["data.in_chunk=[-3,0]", "data.split_method=slice-random"]
        beside = ["config=sine", "arch=lstm", *(windows if path != "task" else [])]
        assert value(settings_from([*beside, "task=regression"]), path) != word
        assert value(settings_from([*beside, words]), path) == word


def test_hints_name_options_that_exist() -> None:
    known = {path for path, _ in config.schema.walk(Settings, registries())}
    for hint in (*Settings.without_meaning.values(), *Settings.other_words.values()):
        for quoted in hint.split("`")[1::2]:
            path = quoted.partition("=")[0].partition(":")[0]
            assert path in {*known, "best", "checkpoint", "hydra/launcher"}, hint
