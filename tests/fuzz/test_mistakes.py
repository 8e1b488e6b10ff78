"""Mistaken configs end with exit code 2 and one message that names each place, however mistaken."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tagi_cli import config
from tagi_cli.cli.main import main
from tagi_cli.config.schema import Option, arms, is_group, named_group, options_of
from tagi_cli.experiment.settings import Settings, dump_settings, registries

from .drawing import Tree
from .exploring import DEPTHS, damaged, explore

KINDS = registries()
Told = Callable[[list[str]], tuple[int, str, str]]


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Told:
    """Exit code, output and errors of showing the config of words, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def tell(words: list[str]) -> tuple[int, str, str]:
        code = main(["train", "--cfg", "job", *words])
        return code, *capsys.readouterr()

    return tell


def faults_in(code: int, out: str, err: str) -> list[str]:
    """The faults that one message tells, and nothing else beside it."""
    assert (code, out) == (2, ""), err
    head, *rest = err.splitlines()
    assert head.startswith("tagi train: "), err
    several = re.fullmatch(r"tagi train: (\d+) faults:", head)
    if several is None:
        return [err.removeprefix("tagi train: ").strip()]
    found = "\n".join(rest).removeprefix("- ").split("\n- ")
    assert len(found) == int(several[1]), err
    return found


def check_shown(out: str) -> None:
    """What is shown is a whole config: read again, it is the same to the letter."""
    path = Path("shown.yaml")
    path.write_text(out)
    settings = config.load(Settings, KINDS, path)
    assert dump_settings(settings) == out


@dataclass(frozen=True)
class Step:
    """A group on the way to an option; of a kind, and the item of a list, where it is one."""

    key: str
    kind: str | None = None
    listed: bool = False


@dataclass(frozen=True)
class Mistake:
    """What is wrong at the end of a way."""

    steps: tuple[Step, ...]
    name: str
    value: Any
    says: str

    @property
    def path(self) -> str:
        """Where it is, in the words of messages."""
        keys = [f"{step.key}.0" if step.listed else step.key for step in self.steps]
        return ".".join([*keys, self.name])

    @property
    def tree(self) -> Tree:
        """A config with nothing but the mistake."""
        tree: Any = {self.name: self.value}
        for step in reversed(self.steps):
            tree = tree if step.kind is None else {"kind": step.kind, **tree}
            tree = {step.key: [tree] if step.listed else tree}
        return dict(tree)

    @property
    def words(self) -> list[str] | None:
        """The same on the command line; None where an option is inside a list."""
        if any(step.listed for step in self.steps):
            return None
        kinds = [
            f"{'.'.join(s.key for s in self.steps[: i + 1])}{'.kind' if i else ''}={step.kind}"
            for i, step in enumerate(self.steps)
            if step.kind is not None
        ]
        return [*kinds, f"{self.path}={as_word(self.value)}"]


def as_word(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_word(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def beyond(option: Option) -> list[float]:
    """Numbers out of the range of an option."""
    limits = option.limits
    found = [bound - 1 for bound in (limits.minimum, limits.above) if bound is not None]
    found += [bound + 1 for bound in (limits.maximum, limits.below) if bound is not None]
    return found + [bound for bound in (limits.above, limits.below) if bound is not None]


def wrong_values(option: Option) -> list[Any]:
    """Values that an option cannot have, by its type and limits."""
    members, limits = {*arms(option.type)} - {type(None)}, option.limits
    if limits.kinds is not None:
        return [7, "no_such_kind", {"kind": "no_such_kind"}]
    if any(is_group(member) or named_group(member) for member in members):
        return [7, "x"] if len(members) == 1 else []
    if limits.choices is not None:
        choice = str(limits.choices[0])
        return [f"{choice}x", f"{choice[:-1]}_", {choice: 1}]
    lists = [member for member in members if typing.get_origin(member) in (list, tuple)]
    mapping = any(typing.get_origin(member) is dict for member in members)
    if mapping:
        return [] if str in members else [7, [1]]
    if lists:
        numbers = {int, float} & {*typing.get_args(lists[0])}
        items = [[["x"]], [[{"a": 1}]], *([[bound]] for bound in beyond(option))]
        return [{"a": 1}, *(item for (item,) in items if numbers)]
    if {int, float} & members and str not in members:
        numbers = [int(bound) if int in members else bound for bound in beyond(option)]
        return ["x", "1.5.2", [[1]], {"a": 1}, "[", "\u00e9\n", *numbers]
    return [{"a": 1}] + [7, "x"] * (members == {bool})


@st.composite
def mistakes(draw: st.DrawFn, cls: type = Settings, steps: tuple[Step, ...] = ()) -> Mistake:
    """Any option of any kind, however deep, and what it cannot be; or one that there is not."""
    options = [option for option in options_of(cls) if option.name != "resume"]
    if (steps and draw(st.integers(0, 5)) == 0) or not options:
        known = [option.name for option in options]
        name = draw(st.sampled_from([f"{one}_q" for one in known] + ["no_such_option"]))
        return Mistake(steps, name, draw(st.sampled_from([1, True, "x", [2]])), "unknown option")
    option = draw(st.sampled_from(options))
    registry = option.limits.kinds or (None if steps else KINDS.get(option.name))
    groups = [group for arm in arms(option.type) for group in (arm, named_group(arm))
              if group is not None and is_group(group)]  # fmt: skip
    if len(steps) < 4 and registry is not None and draw(st.integers(0, 3)):
        kind = draw(st.sampled_from(sorted(registry)))
        listed = any(typing.get_origin(arm) in (list, tuple) for arm in arms(option.type))
        step = Step(option.name, kind, listed)
        return draw(mistakes(registry[kind].options, (*steps, step)))
    if len(steps) < 4 and groups and draw(st.integers(0, 3)):
        more = () if is_group(next(iter({*arms(option.type)} - {type(None)}))) else (Step("g"),)
        return draw(mistakes(groups[0], (*steps, Step(option.name), *more)))
    values = wrong_values(option) if steps or option.name not in KINDS else ["no_such_kind", [7]]
    if not values or (not steps and option.name == "data"):  # which has the set's name in it
        return draw(mistakes(cls, steps))
    return Mistake(steps, option.name, draw(st.sampled_from(values)), "llowed")


def root(mistake: Mistake) -> str:
    """The group that a mistake is in."""
    return next(iter(mistake.tree))


@pytest.mark.parametrize("deep", DEPTHS)
def test_what_no_option_takes(told: Told, deep: bool) -> None:
    """Each of several mistakes is told by itself, with its place; in a file, or as words."""

    def check(made: list[Mistake], in_file: bool) -> None:
        words = [words for mistake in made if (words := mistake.words) is not None]
        if in_file or len(words) < len(made):
            tree = {key: value for mistake in made for key, value in mistake.tree.items()}
            Path("my.yaml").write_text(json.dumps(tree))
            given = ["config=my.yaml"]
        else:
            given = [word for several in words for word in several]
        # A kind lacks what it must be told, and that is told, too.
        told_of = faults_in(*told(["data.name=yacht", *given]))
        found = [fault for fault in told_of if "must be set" not in fault]
        assert len(found) == len(made), told_of
        for mistake in made:
            (fault,) = (fault for fault in found if fault.startswith(mistake.path))
            assert mistake.says in fault

    several = st.lists(mistakes(), min_size=1, max_size=3, unique_by=root)
    explore(check, 8, 50, deep, made=several, in_file=st.booleans())


SEED = b"""\
# a comment
task: {kind: classification, head: hrc}
data:
  name: moons
  split_portions: [0.6, 0.2, 0.2]
arch:
  kind: sequential
  layers: [{kind: linear, output_size: 4}, relu, {kind: linear, output_size: 2}]
trainer: &t {max_epochs: 100, cap: 1e1, early_stopping: {patience: 3}}
name: "a ${data.name} \\u00e9"
hydra: {mode: RUN}
"""


@pytest.mark.parametrize("deep", DEPTHS)
def test_damaged_files(told: Told, deep: bool) -> None:
    """Either it is still a config, or what is wrong with it is told, and of which file."""

    def check(data: bytes) -> None:
        Path("my.yaml").write_bytes(data)
        code, out, err = told(["config=my.yaml"])
        if code == 0:
            check_shown(out)
        else:
            assert data != SEED, err
            assert all(faults_in(code, out, err))

    check(SEED)
    explore(check, 6, 40, deep, data=damaged(SEED))


@pytest.mark.parametrize("deep", DEPTHS)
def test_words_on_the_command_line(told: Told, deep: bool) -> None:
    """Whatever a word is, it is understood, or quoted in the fault that it is."""
    pieces = ["data", "name", "trainer", "arch", "=", ".", "+", "++", "~", "/", "@", "[", "]", "{",
              "}", ",", "'", '"', "$", "${", "\\", " ", "\n", "null", "1", "range(", ")", "mlp",
              "config", "hydra", "!", ":", "\u00e9", "\0", "-m", "override "]  # fmt: skip
    word = st.lists(st.sampled_from(pieces), min_size=1, max_size=6).map("".join) | st.text(
        max_size=8
    )

    def check(words: list[str]) -> None:
        code, out, err = told(["data.name=yacht", *words])
        if code == 0:
            check_shown(out)
            return
        found = faults_in(code, out, err)
        assert any(word[:4] in fault for word in words for fault in found), found

    explore(check, 8, 50, deep, words=st.lists(word, min_size=1, max_size=2))
