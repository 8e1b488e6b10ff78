"""Mistaken configs end with exit code 2 and a message that names the place, however mistaken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tagi_cli.cli.main import main
from tagi_cli.config.schema import Option, arms, walk
from tagi_cli.experiment.settings import Settings, registries

from .exploring import DEPTHS, damaged, explore

CHOSEN = {"task": "regression", "arch": "mlp", "noise": "auto", "tracker": "none"}
OPTIONS = {
    path: option
    for path, option in walk(Settings, registries(), CHOSEN)
    if path not in registries() and path != "distributed"
}
NUMBERS = {
    path: option
    for path, option in OPTIONS.items()
    if {*arms(option.type)} & {int, float} and str not in arms(option.type)
}
LEAVES = [p for p in OPTIONS if not any(other.startswith(f"{p}.") for other in OPTIONS)]


def tree_of(path: str, value: Any) -> dict[str, Any]:
    """A config of one option."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def beyond(option: Option) -> list[float]:
    """Numbers out of the range of an option."""
    limits = option.limits
    found = [bound - 1 for bound in (limits.minimum, limits.above) if bound is not None]
    found += [bound + 1 for bound in (limits.maximum, limits.below) if bound is not None]
    return found + [bound for bound in (limits.above, limits.below) if bound is not None]


@st.composite
def mistakes(draw: st.DrawFn) -> tuple[str, Any]:
    """The path of an option and a value that it cannot have."""
    way = draw(st.sampled_from(["name", "type", "range", "choice"]))
    if way == "name":
        *group, name = draw(st.sampled_from(LEAVES)).split(".")
        place = draw(st.integers(0, len(name) - 1))
        wrong = name[:place] + draw(st.sampled_from(["", "_q"])) + name[place + 1 :]
        path = ".".join([*group, wrong])
        known = path in OPTIONS or path in registries() or not wrong
        return (f"{path}zz" if known else path), draw(st.sampled_from([1, True, "x", [2]]))
    if way == "type":
        path = draw(st.sampled_from(sorted(NUMBERS)))
        wrong = draw(st.sampled_from(["x", "1.5.2", [[1]], {"a": 1}, "[", "", "\u00e9\n"]))
        return path, wrong
    if way == "range":
        path = draw(st.sampled_from([p for p, o in NUMBERS.items() if beyond(o)]))
        wrong = draw(st.sampled_from(beyond(NUMBERS[path])))
        return path, int(wrong) if int in arms(NUMBERS[path].type) else wrong
    path = draw(st.sampled_from([p for p, o in OPTIONS.items() if o.limits.choices]))
    choice = str(draw(st.sampled_from(OPTIONS[path].limits.choices)))
    return path, draw(st.sampled_from([choice + "x", choice[:-1] + "_", {choice: 1}]))


@pytest.mark.parametrize("deep", DEPTHS)
def test_what_no_option_takes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deep: bool,
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(mistake: tuple[str, Any], in_file: bool) -> None:
        path, value = mistake
        words = [f"{path}={json.dumps(value, ensure_ascii=False)}"]
        if in_file:
            Path("my.yaml").write_text(json.dumps(tree_of(path, value)))
            words = ["config=my.yaml"]
        code = main(["train", "--cfg", "job", "data.name=yacht", *words])
        err = capsys.readouterr().err
        assert code == 2, err
        assert path in err, err

    explore(check, 8, 50, deep, mistake=mistakes(), in_file=st.booleans())


SEED = b"""\
# a comment
task: {kind: classification, head: hrc}
data:
  name: moons
  split_portions: [0.6, 0.2, 0.2]
arch:
  kind: sequential
  layers: [{kind: linear, output_size: 4}, relu, {kind: linear, output_size: 2}]
trainer: &t {max_epochs: 1e2, early_stopping: {patience: 3}}
name: "a ${data.name} \\u00e9"
hydra: {mode: RUN}
"""


@pytest.mark.parametrize("deep", DEPTHS)
def test_damaged_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deep: bool,
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(data: bytes) -> None:
        Path("my.yaml").write_bytes(data)
        code = main(["train", "--cfg", "job", "config=my.yaml"])
        err = capsys.readouterr().err
        assert code in (0, 2), err
        assert bool(err.strip()) == (code == 2)

    explore(check, 6, 40, deep, data=damaged(SEED))


@pytest.mark.parametrize("deep", DEPTHS)
def test_words_on_the_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    deep: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    pieces = ["data", "name", "trainer", "arch", "=", ".", "+", "++", "~", "/", "@", "[", "]", "{",
              "}", ",", "'", '"', "$", "${", "\\", " ", "\n", "null", "1", "range(", ")", "mlp",
              "config", "hydra", "!", ":", "\u00e9", "\0", "-m", "override "]  # fmt: skip
    word = st.lists(st.sampled_from(pieces), min_size=1, max_size=6).map("".join) | st.text(
        max_size=8
    )

    def check(words: list[str]) -> None:
        code = main(["train", "--cfg", "job", "data.name=yacht", *words])
        err = capsys.readouterr().err
        assert code in (0, 2), err
        assert code == 0 or err.strip()

    explore(check, 8, 50, deep, words=st.lists(word, min_size=1, max_size=2))
