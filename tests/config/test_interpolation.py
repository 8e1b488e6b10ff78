"""`${...}`: references to other options, and the one place where the environment may enter."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_schema import BoxOptions, Settings, faults, settings

from tagi_cli import config
from tagi_cli.errors import UserError, UserErrors


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", "/from/${seed}/env")
    monkeypatch.delenv("UNSET", raising=False)


def composed(configs: Path, text: str, *arguments: str) -> object:
    Path("my.yaml").write_text(text)
    return settings(configs, "config=my.yaml", *arguments)


def test_a_reference_keeps_the_type_and_may_be_part_of_text(configs: Path, here: Path) -> None:
    text = "seed: 7\nname: run-${seed}-${shape.kind}\nshape: {width: '${seed}'}\n"
    found = composed(configs, text)
    assert (found.name, found.shape) == ("run-7-box", BoxOptions(7))


def test_a_reference_may_lead_to_a_default_a_chain_and_an_item(configs: Path, here: Path) -> None:
    text = (
        "name: ${data.targets.1}\ndata: {targets: [a, '${shape.kind}'], "
        "batch_size: '${trainer.stop.patience}'}\nshape: {depth: '${shape.width}'}\n"
    )
    found = composed(configs, text)
    assert (found.name, found.data.batch_size, found.shape.depth) == ("box", 20, 100)


def test_the_command_line_changes_what_a_reference_gives(configs: Path, here: Path) -> None:
    assert composed(configs, "shape: {width: '${seed}'}", "seed=5").shape.width == 5
    assert composed(configs, "seed: 3", "shape.width=${seed}").shape.width == 3


def test_the_environment_enters_where_it_may_and_is_not_read_twice(
    configs: Path, here: Path
) -> None:
    found = composed(configs, "data: {path: '${oc.env:FOLDER}/${name}.csv'}\nname: tea")
    assert found.data.path == "/from/${seed}/env/tea.csv"
    found = composed(configs, "data: {path: '${oc.env:UNSET, /else}'}")
    assert found.data.path == "/else"


def test_what_is_revealed_late_is_kept_as_a_reference(
    configs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "reveal_late", ("name",), raising=False)
    found = composed(configs, "seed: 3\nname: 'http://${oc.env:FOLDER}/${seed}'")
    assert found.name == "http://${oc.env:FOLDER}/3"
    assert config.reveal(found.name) == "http:///from/${seed}/env/3"
    assert config.reveal("${oc.env:UNSET, x}") == "x"
    with pytest.raises(UserError, match="the environment variable UNSET is not set"):
        config.reveal("${oc.env:UNSET}")
    with pytest.raises(UserErrors, match="name: the environment variable UNSET is not set"):
        composed(configs, "name: ${oc.env:UNSET}")
    with pytest.raises(UserErrors, match="refers to name, which reads the environment"):
        composed(configs, "name: ${oc.env:FOLDER}\ndata: {targets: ['${name}']}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: ${oc.env:FOLDER}",
            "name: found '${oc.env:FOLDER}'. The environment is read only in data.path, so that no "
            "secret lands in config.yaml",
        ),
        (
            "data: {path: '${oc.env:UNSET}'}",
            "data.path: the environment variable UNSET is not set",
        ),
        (
            "data: {path: '${oc.env:FOLDER}'}\nname: ${data.path}",
            "name: refers to data.path, which reads the environment; that may be a secret",
        ),
        (
            "data: {path: '${oc.env:FOLDER}', targets: ['${name}']}\nname: ${data.path}",
            "name: refers to data.path, which reads the environment; that may be a secret",
        ),
        (
            "data: {path: '${oc.env:FOLDER}'}\nshape: '${data}'",
            "shape: unknown kind '${data}'. Allowed: box, chain, wide",
        ),
        (
            "data: {path: '${oc.env:FOLDER}'}\nname: x${data}",
            "name: refers to data, which reads the environment; that may be a secret",
        ),
        ("name: ${nme}", "name: refers to nme, which is not set"),
        ("name: ${shape.links}", "name: refers to shape.links, which is not set"),
        ("name: ${name}", "name: refers to itself: name -> name"),
        ("seed: ${shape.width}\nshape: {width: '${seed}'}", "refers to itself:"),
        (
            "name: ${oc.decode:'1'}",
            "name: found '${oc.decode:'1'}'. Allowed: references to other options, such as ${seed}",
        ),
        (
            "name: ${now:%Y}",
            "name: found '${now:%Y}'. Allowed: references to other options, such as ${seed}",
        ),
        (
            "data: {path: '${oc.env:${name}}'}",
            "data.path: found '${oc.env:${name}}'. Allowed: references to other options",
        ),
        ("name: ${.seed}", "name: found '${.seed}'. Allowed: references to other options"),
    ],
)
def test_faults(configs: Path, here: Path, text: str, message: str) -> None:
    Path("my.yaml").write_text(text)
    found = faults(settings, configs, "config=my.yaml")
    assert any(message in fault for fault in found), found


def test_no_fault_shows_what_the_environment_holds(
    configs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDER", "hunter2")
    Path("my.yaml").write_text("data: {path: '${oc.env:FOLDER}'}\nname: ${data.path}\nseed: -1")
    assert "hunter2" not in str(faults(settings, configs, "config=my.yaml"))
