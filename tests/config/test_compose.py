"""Composing: who wins, what a choice does, and the faults of arguments."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from small_schema import (
    REGISTRIES,
    BoxOptions,
    ChainOptions,
    LinearOptions,
    ReluOptions,
    Settings,
    faults,
    settings,
)

from tagi_cli import config

HYDRA = (
    "not taken here. Allowed: hydra.mode=MULTIRUN, which is --multirun, and with it "
    "hydra/launcher=<name> and hydra.launcher.<option>=<value>"
)


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return f"config={path}"


def test_without_arguments_the_primary_config_chooses(configs: Path) -> None:
    composed = config.compose(Settings, REGISTRIES, [], configs)
    assert composed.tree == {"shape": {"kind": "box"}}
    assert composed.faults == ()
    assert composed.presets == ()


def test_a_preset_chooses_groups_and_sets_options(configs: Path) -> None:
    found = settings(configs, "config=quick")
    assert found.data.path == "/tea.csv"
    assert found.shape == ChainOptions(links=0.25)
    assert found.trainer.epochs == 3


@pytest.mark.parametrize(
    "argument", ["shape=chain", "shape.kind=chain", "shape={kind: chain}", "+shape=chain"]
)
def test_a_kind_is_chosen_in_any_spelling(configs: Path, argument: str) -> None:
    assert settings(configs, argument).shape == ChainOptions()


@pytest.mark.parametrize("text", ["shape: chain", "shape: {kind: chain}", "shape:\n  kind: chain"])
def test_a_file_chooses_a_kind_in_any_spelling(configs: Path, here: Path, text: str) -> None:
    assert settings(configs, write(here / "my.yaml", text)).shape == ChainOptions()


def test_a_file_needs_no_header_and_options_merge_over_its_kind(configs: Path, here: Path) -> None:
    text = "shape: {kind: chain, width: 40, layers: [relu]}\ntrainer: {stop: {patience: 5}}\n"
    found = settings(configs, write(here / "my.yaml", text), "shape.links=0.75")
    assert found.shape == ChainOptions(width=40, links=0.75, layers=(ReluOptions(),))
    assert found.trainer.stop.patience == 5
    assert found.trainer.stop.enabled


def test_the_command_line_wins_over_files_and_later_files_over_earlier(
    configs: Path, here: Path
) -> None:
    write(here / "a.yaml", "seed: 1\ntrainer: {epochs: 1, rule: site}\n")
    write(here / "b.yaml", "seed: 2\ntrainer: {epochs: 2}\n")
    found = settings(configs, "config=[a.yaml,b.yaml]", "seed=3")
    assert (found.seed, found.trainer.epochs, found.trainer.rule) == (3, 2, "site")
    assert settings(configs, "config=[b.yaml,a.yaml]").trainer.epochs == 1


def test_lists_replace(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "shape: {kind: chain, layers: [relu, relu]}\n")
    found = settings(configs, my, "shape.layers=[{kind: linear, size: 2}]")
    assert found.shape == ChainOptions(layers=(LinearOptions(2),))


def test_another_kind_drops_the_options_that_came_with_the_first(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "shape: {kind: chain, width: 40, links: 0.25}\n")
    assert settings(configs, my, "shape=box").shape == BoxOptions()
    assert settings(configs, my, "shape=chain").shape == ChainOptions(40, 0.25)
    write(here / "over.yaml", "shape: box\n")
    assert settings(configs, "config=[my.yaml,over.yaml]").shape == BoxOptions()


def test_options_given_without_a_kind_stay(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "shape: {width: 40}\n")
    assert settings(configs, my).shape == BoxOptions(40)
    assert settings(configs, my, "shape=chain").shape == ChainOptions(40)


def test_a_choice_lies_over_what_came_before_it(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "data: {path: /my.csv, targets: [y], batch_size: 3}\n")
    found = settings(configs, my, "data=rum").data
    assert (found.path, found.targets, found.batch_size) == ("/rum.csv", ("proof",), 3)
    assert settings(configs, "config=quick", "data=rum").data.targets == ("proof",)
    assert settings(configs, "data=rum", "data.targets=[x]").data.path == "/rum.csv"


def test_a_variant_on_disk_is_a_choice_of_its_kind(configs: Path, here: Path) -> None:
    assert settings(configs, "shape=wide").shape == BoxOptions(500)
    assert settings(configs, "shape=wide", "shape.width=3").shape == BoxOptions(3)
    my = write(here / "my.yaml", "shape: {kind: box, depth: 5}\n")
    assert settings(configs, my, "shape=wide").shape == BoxOptions(500, 5)


def test_a_file_builds_on_a_preset(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "defaults: [config: quick, data: rum]\ntrainer: {rule: site}\n")
    found = settings(configs, my)
    assert found.trainer.epochs == 3
    assert found.trainer.rule == "site"
    assert found.data.path == "/rum.csv"


def test_presets_in_folders_and_the_record_of_names(configs: Path) -> None:
    composed = config.compose(Settings, REGISTRIES, ["config=[quick,deep/one]"], configs)
    assert composed.presets == ("quick", "deep/one")
    (fault,) = faults(settings, configs, "config=[quick,deep/one]")
    assert fault.startswith("shape.depth: unknown option of shape kind 'chain'.")


def test_items_of_lists_and_deletions(configs: Path, here: Path) -> None:
    my = write(
        here / "my.yaml",
        "shape: {kind: chain, layers: [{kind: linear, size: 2}, relu]}\nseed: 5\n",
    )
    found = settings(configs, my, "shape.layers.0.size=9", "~shape.layers.1", "~seed", "~name")
    assert found.shape == ChainOptions(layers=(LinearOptions(9),))
    assert found.seed == 0


def test_a_missing_group_is_made_on_the_way(configs: Path, here: Path) -> None:
    my = write(here / "my.yaml", "trainer:\n  stop:\n")
    assert settings(configs, my, "trainer.stop.patience=2").trainer.stop.patience == 2
    assert settings(configs, "data={targets: [a], batch_size: 2}").data.batch_size == 2


@pytest.mark.parametrize("name", ["a,b.csv", "a=b.csv", "(1) [x] {y}.csv", "it's.csv", "Größe.csv"])
def test_an_existing_file_may_have_any_name(configs: Path, here: Path, name: str) -> None:
    (here / name).touch()
    assert settings(configs, f"data.path={name}").data.path == str(here / name)
    (here / name).with_suffix(".yaml").write_text("seed: 4")
    assert settings(configs, f"config={Path(name).with_suffix('.yaml')}").seed == 4


def test_text_outside_hydras_alphabet_is_text(configs: Path) -> None:
    assert settings(configs, "data.targets=Größe").data.targets == ("Größe",)
    assert settings(configs, "data.path=~/x.csv").data.path == str(Path.home() / "x.csv")
    assert settings(configs, "name='a, b'").name == "a, b"


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("Speed (m/s)", ("Speed (m/s)",)),
        ("Temp(°C)", ("Temp(°C)",)),
        ("[Speed (m/s),b*, größe]", ("Speed (m/s)", "b*", "größe")),
        ("[plain,2024]", ("plain", "2024")),
    ],
)
def test_names_with_units_need_no_quotes(
    configs: Path, text: str, targets: tuple[str, ...]
) -> None:
    assert settings(configs, "shape=box", f"data.targets={text}").data.targets == targets


def test_the_advice_on_quotes_is_for_items_of_a_list(configs: Path) -> None:
    (fault,) = faults(settings, configs, "shape=box", "data.targets=[a=b,c (d),e]")
    (argument,) = shlex.split(fault.partition("inside quotes: ")[2])
    assert settings(configs, "shape=box", argument).data.targets == ("a=b", "c (d)", "e")


@pytest.mark.parametrize("name", ["a, (b)", "it's [1]", 'a "b", c', "$5, `x`", "back\\slash (1)"])
def test_the_advice_on_quotes_gives_the_text(configs: Path, name: str) -> None:
    (fault,) = faults(settings, configs, "shape=box", f"name={name}")
    (argument,) = shlex.split(fault.partition("inside quotes: ")[2])
    assert settings(configs, "shape=box", argument).name == name


def test_files_count_from_here_in_config_and_in_their_paths(configs: Path, here: Path) -> None:
    (here / "sub").mkdir()
    write(here / "sub" / "my.yaml", "data: {path: x.csv}\n")
    assert settings(configs, "config=sub/my.yaml").data.path == str(here / "x.csv")
    assert settings(configs, "config=./sub/my.yaml").data.path == str(here / "x.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shape=bx"], "shape: unknown kind 'bx'. Did you mean 'box'? Allowed: box, chain, wide"),
        (["data=te"], "data: unknown option 'te'. Did you mean 'tea'? Allowed: rum, tea"),
        (["shape.kind=3"], "shape.kind: found 3. Allowed: box, chain"),
        (["shape=3"], "shape: found 3. Allowed: a mapping {kind: <name>, <options>}"),
        (["~shape"], "~shape: a group cannot be deleted; choose another kind"),
        (
            ["config=quik"],
            "config: unknown preset 'quik'. Did you mean 'quick'? Allowed: deep/one, quick, or the "
            "path of a .yaml file",
        ),
        (
            ["config=my"],
            "config: unknown preset 'my'. Did you mean ./my.yaml? Allowed: deep/one, quick, or the "
            "path of a .yaml file",
        ),
        (
            ["config={a: 1}"],
            "config: found {a: 1}. Allowed: a preset, or the path of a .yaml file",
        ),
        (
            ["config=quick", "config=my.yaml"],
            "config: given twice, as config=quick and config=my.yaml. To lay one file over another "
            "write config=[a,b]",
        ),
        (["config=run"], "config: run is a folder. Allowed: a preset, or a .yaml file"),
        (
            ["config=x.csv"],
            "config: x.csv is no .yaml file. Did you mean data.path=x.csv? Allowed: a preset, or a "
            ".yaml file",
        ),
        (["seed"], "seed: not understood. Allowed: key=value"),
        (["my.yaml"], "my.yaml: not understood. Did you mean config=my.yaml? Allowed: key=value"),
        (
            ["a b.csv"],
            "a b.csv: not understood. Did you mean 'data.path=a b.csv'? Allowed: key=value",
        ),
        (
            ["a.b.CSV.gz"],
            "a.b.CSV.gz: not understood. Did you mean data.path=a.b.CSV.gz? Allowed: key=value",
        ),
        (["="], "=: no name before the =. Allowed: key=value, without spaces"),
        (["seed=[1"], "seed: found [1, where a bracket is not closed"),
        (
            ["seed=" + "1" * 5000],
            f"seed: found '{'1' * 76}.... Take the quotes off. Allowed: whole number, at least 0",
        ),
        (
            ["name=a = (b)"],
            "name: found a = (b), which cannot be read. Text with one of , = ( ) [ ] { } : needs "
            "quotes inside quotes: \"name='a = (b)'\"",
        ),
        (["a b=1"], "a b=1: 'a b' is not the name of an option. Allowed: key=value"),
        (["seed@x=1"], "seed@x=1: packages (@) are not taken. Allowed: key=value"),
        (
            ["seed=1,2"],
            "seed: found several values, 1,2. To try each one add --multirun; for a list write "
            "seed=[1,2]; for text with a comma, \"seed='1,2'\"",
        ),
        (
            ["seed=interval(0,1)"],
            "seed: interval() has no end. Allowed: a,b,c, range() and choice()",
        ),
        (["shape=glob(*)"], "shape: glob() is not taken. Allowed: a,b,c or choice()"),
        (
            ["hydra.run.dir=/tmp"],
            f"hydra.run.dir: {HYDRA}",
        ),
        (
            ["hydra/launcher=joblib"],
            f"hydra/launcher: {HYDRA}",
        ),
        (["seed=1", "seed.x=2"], "seed.x: seed is 1, which has no options"),
        (
            ["shape=chain", "shape.layers=[relu]", "shape.layers.7=relu"],
            "shape.layers.7: '7' is not an item of a list of 1.",
        ),
        (
            ["+trainer.learning_rate=1"],
            "trainer.learning_rate: has no meaning here. Set shape.width.",
        ),
        (
            ["++trainer.epoks=1"],
            "trainer.epoks: unknown option. Did you mean 'epochs'? Allowed: epochs, seconds, rule, "
            "stop, resume",
        ),
    ],
)
def test_faults_of_arguments(configs: Path, here: Path, arguments: list[str], message: str) -> None:
    (here / "my.yaml").write_text("seed: 1")
    (here / "x.csv").write_text("a,b")
    (here / "run").mkdir()
    assert faults(settings, configs, *arguments) == [message]


def test_a_missing_file_names_the_nearest_and_a_run_folder_its_config(
    configs: Path, here: Path
) -> None:
    (here / "mine.yaml").write_text("seed: 1")
    (fault,) = faults(settings, configs, "config=./mien.yaml")
    assert fault == (
        f"config: there is no file {here / 'mien.yaml'}. Did you mean 'mine.yaml'? Allowed: a "
        "preset, or a .yaml file"
    )
    (here / "run").mkdir()
    (here / "run" / "config.yaml").touch()
    (fault,) = faults(settings, configs, "config=run")
    assert "Did you mean run/config.yaml?" in fault
    (fault,) = faults(settings, configs, "config=no/such/file.yml")
    assert "there is no file" in fault


def test_options_of_a_kind_that_is_not_there_are_no_faults_beside(
    configs: Path, here: Path
) -> None:
    write(here / "my.yaml", "shape: {kind: bax, corners: 3}\n")
    for words in (["config=my.yaml"], ["shape=bax", "shape.corners=3"]):
        (fault,) = faults(settings, configs, *words)
        assert fault.startswith(("shape: unknown kind 'bax'", f"{here}/my.yaml: shape: unknown"))


def test_faults_of_files_arguments_and_values_come_together(configs: Path, here: Path) -> None:
    write(here / "my.yaml", "seed: -1\nshape: {kind: bax}\n_target_: os.system\n")
    found = faults(settings, configs, "config=my.yaml", "name", "trainer.epochs=0")
    assert [fault.removeprefix(f"{here}/my.yaml: ").split(" ")[0] for fault in found] == [
        "name:",
        "_target_:",
        "shape:",
        "seed:",
        "trainer.epochs:",
    ]
