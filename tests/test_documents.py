"""What the documents promise: links that lead, commands and configs that work, true messages."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_packages import EXAMPLE, Packages, packages

from tagi_cli import config, nn
from tagi_cli.cli.main import VERBS, main
from tagi_cli.config.schema import walk
from tagi_cli.experiment.settings import Settings, registries

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("*/README.md")])
USERS_PAGES = sorted(DOCS.rglob("*.md"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

ELSEWHERE = {
    "performance.md": "needs a GPU, and measures for minutes",
    "scaling.md": "below, with mpiexec",
    "objax.md": "tests/objax/test_objax_document.py",
    "theory/pytagi.md": "part of a script; tests/pytagi has them whole",
}
"""Pages whose commands run in another test, and why."""

SHOWN = {
    "start.md": "installs, as the first line of the readme does, which the gate runs",
    "plugins.md": "installs, as below, but from the copy",
    "sweeps.md": "needs Slurm, or Ray; tests/experiment/test_launchers.py",
    "faq.md": "commands and their answers, below",
}
"""Pages with commands that are shown (`console`) and not run as they stand, and why."""

INSTALLS = re.compile(r"^pip install .*$", re.MULTILINE)


def blocks(page: Path, kind: str) -> list[str]:
    """The texts of the page that are set as code of a kind, in their order."""
    return [text for word, text in FENCE.findall(page.read_text()) if word == kind]


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


RUNNABLE = [
    name_of(page)
    for page in USERS_PAGES
    if (blocks(page, "sh") or blocks(page, "python")) and name_of(page) not in ELSEWHERE
]
CONFIGS = [(name_of(page), text) for page in USERS_PAGES for text in blocks(page, "yaml")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    inside = [link for link in links if "://" not in link]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # what was called otherwise once
    folders = "tagi_cli|tests|kernels|benchmarks|configs|docs"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text())
    made = "benchmarks/results/"  # by what the page describes
    lost = [name for name in named if not (ROOT / name).exists() and not name.startswith(made)]
    assert lost == []


def test_the_site_lists_every_page() -> None:
    def listed(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, dict):
            entry = list(entry.values())
        if isinstance(entry, list):
            for item in entry:
                yield from listed(item)

    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    added = {"benchmarks.md", "contributing.md", "changelog.md"}
    assert sorted({*listed(nav)} - added) == sorted(map(name_of, USERS_PAGES))


def test_the_reference_of_python_names_every_layer() -> None:
    text = (DOCS / "api" / "nn.md").read_text()
    kinds = {kind.name for kind in nn.registry.values()}
    layers = {type_.__name__ for type_ in subclasses(nn.Layer) if vars(type_).get("kind") in kinds}
    own = [name for name in sorted(layers) if getattr(nn, name, None) is not None]
    assert len(own) > 40
    assert [name for name in own if f"::: tagi_cli.nn.{name}\n" not in text] == []


def subclasses(type_: type) -> Iterator[type]:
    for below in type_.__subclasses__():
        yield below
        yield from subclasses(below)


def test_the_readme_sets_up_in_two_lines() -> None:
    lines = [
        line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("python3")
    ]
    words = [shlex.split(line) for line in lines]
    assert [line[-1] for line in words] == ["config=quickstart", ".venv/bin/pytest"]
    assert all(line[:4] == ["python3", "-m", "venv", ".venv"] for line in words)


def test_every_verb_has_its_place_in_the_documents() -> None:
    text = "\n".join(page.read_text() for page in USERS_PAGES)
    assert [verb for verb in VERBS if not re.search(rf"tagi {verb}\b", text)] == []
    table = re.findall(r"^\| (`.*?) \|", (DOCS / "guide.md").read_text(), re.MULTILINE)
    listed = {word.strip("`") for cell in table for word in cell.split(", ")}
    assert set(VERBS) <= listed


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    (tmp_path / "site").mkdir()
    with packages(tmp_path / "site", monkeypatch) as found:
        yield found


@pytest.mark.parametrize(
    ("page", "text"), CONFIGS, ids=[f"{page}-{i}" for i, (page, _) in enumerate(CONFIGS)]
)
def test_the_configs_in_the_documents_are_sound(
    site: Packages, monkeypatch: pytest.MonkeyPatch, page: str, text: str
) -> None:
    site.add_example(monkeypatch)
    monkeypatch.chdir(site.folder)
    Path("page.yaml").write_text(text)
    kinds = registries()
    # What a config leaves open is for the command line.
    source = [] if re.search(r"^data:.*\b(path|name):", text, re.S | re.M) else ["data.name=sine"]
    composed = config.compose(Settings, kinds, ["config=page.yaml", *source])
    config.check(Settings, kinds, composed.tree, composed.faults)


def test_every_command_is_run_or_has_its_reason() -> None:
    command = re.compile(r"^(\$ )?(tagi|pip|python3?|make|mpiexec|pytest) ", re.MULTILINE)
    for page in USERS_PAGES:
        for kind, text in FENCE.findall(page.read_text()):
            if kind not in ("sh", "python", "console"):
                lines = text.splitlines()
                assert not any(command.match(line) and "=..." not in line for line in lines), page
    assert {name_of(page) for page in USERS_PAGES if blocks(page, "console")} == set(SHOWN)
    scripts = {name_of(page) for page in USERS_PAGES if blocks(page, "sh") + blocks(page, "python")}
    assert scripts >= set(ELSEWHERE)


INLINE = [
    (page, code)
    for page in PAGES
    if page.name != "CHANGELOG.md"
    for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", page.read_text()))
]


def test_options_named_in_passing_exist() -> None:
    known = {path for path, _ in walk(Settings, registries())}
    groups = {path.split(".")[0] for path in known if "." in path}
    named = [
        (page.name, key)
        for page, code in INLINE
        for key in re.findall(
            r"(?:^|\s)'?([a-z_]+(?:\.[a-z_0-9]+)+)(?==|:)", f"{code}{'=' * (' ' not in code)}"
        )
        if key.split(".")[0] in groups and page.name != "architecture.md"  # has Python's names
    ]
    assert len(named) > 200
    within = {path for path in known if "." in path}  # mappings and lists go on below
    lost = [
        (page, key)
        for page, key in named
        if not key.endswith((".py", ".txt", ".csv", ".json", ".yaml"))
        and not any(key == path or key.startswith(f"{path}.") for path in within)
    ]
    assert lost == []


def test_commands_named_in_passing_exist() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    seen = set()
    for page, code in INLINE:
        found = re.match(r"(tagi|make|pytest|python) (?:\w+=\S+ of \w+> |\w+=\S+ )*(\S+)", code)
        if found is None:
            continue
        program, word = found.groups()
        seen.add(program)
        if program == "tagi":
            assert word in (*VERBS, "<verb>", "--help") or "=" in word, (page.name, code)
        elif program == "make":
            assert word in targets, (page.name, code)
        else:
            assert (ROOT / word).exists() or not re.search(r"[/.]", word), (page.name, code)
    assert seen == {"tagi", "make", "pytest", "python"}


def messages() -> Iterator[tuple[str, str]]:
    """Command lines in the FAQ, and what it says that they answer."""
    for text in blocks(DOCS / "faq.md", "console"):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, answer = part.partition("\n")
            yield line, answer


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the scripts of the FAQ make."""
    folder = tmp_path_factory.mktemp("faq")
    run("\n".join(blocks(DOCS / "faq.md", "sh")), folder)
    return folder


@pytest.mark.parametrize(("line", "answer"), list(messages()), ids=[line for line, _ in messages()])
def test_the_messages_of_the_faq_are_those_of_the_program(
    asked: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    answer: str,
) -> None:
    monkeypatch.chdir(asked)
    program, *words = shlex.split(line)
    assert program == "tagi"
    assert main(words) == 2
    pattern = ".*".join(map(re.escape, answer.split("...")))
    assert re.fullmatch(pattern, capsys.readouterr().err), line


def test_the_page_of_plugins_shows_the_example_as_it_is() -> None:
    page = DOCS / "plugins.md"
    modules = [file.read_text() for file in (EXAMPLE / "tagi_sine").glob("*.py")]
    for text in blocks(page, "python"):
        assert any(text in module for module in modules), text
    (toml,) = blocks(page, "toml")
    assert toml in (EXAMPLE / "pyproject.toml").read_text()


def test_the_pages_for_those_who_come_name_what_they_know() -> None:
    known = (ROOT / "tagi_cli" / "pytagi" / "nn" / "__init__.py").read_text()
    classes = set(re.findall(r" as (\w+)$", known, re.MULTILINE))
    buffers = {"BaseDeltaStates", "BaseHiddenStates", "BaseLayer"}  # told by what they are for
    assert len(classes) > 25
    text = (DOCS / "migration-pytagi.md").read_text()
    assert [name for name in sorted(classes - buffers) if f"`{name}" not in text] == []
    hinted = {*Settings.without_meaning} - {*OTHERS_WORDS}
    text = (DOCS / "migration-knowit.md").read_text()
    assert [word for word in sorted(hinted) if f"`{word}" not in text] == []


OTHERS_WORDS = (
    "file", "target", "targets", "features", "model", "lr", "optimizer", "momentum",
    "weight_decay", "gradient_clip", "arch_args", "launcher", "stateful",
)  # fmt: skip
"""Words without a meaning here that are not KnowIt's, or no option of its own."""


def run(script: str, folder: Path) -> None:
    """Run a shell script in a folder, where `tagi` and `python` are those of the tests."""
    tools = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUNNABLE)
def test_the_snippets_of_a_page_run_from_top_to_bottom(tmp_path: Path, page: str) -> None:
    """Lines of Python first, all in one script, then those of the shell."""
    for text in blocks(DOCS / page, "yaml"):  # those that begin with their name are files
        if named := re.match(r"# (\w+\.yaml)\n", text):
            (tmp_path / named[1]).write_text(text)
    shell = INSTALLS.sub("", "\n".join(blocks(DOCS / page, "sh")))
    if page == "plugins.md":  # its Python is that of the package
        words = ["python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        words += ["--no-build-isolation", "--target", "site", str(EXAMPLE)]
        run(f'{shlex.join(words)}\nexport PYTHONPATH="$PWD/site:{ROOT}"\n{shell}', tmp_path)
        return
    (tmp_path / "snippets.py").write_text("\n".join(blocks(DOCS / page, "python")))
    run(f"python -W error snippets.py; rm snippets.py\n{shell}", tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_lines_of_the_readme_run(tmp_path: Path) -> None:
    """Those that install are the gate's; `<run>` and `<sweep>` are the newest folders there."""
    lines = "\n".join(blocks(ROOT / "README.md", "sh"))
    lines = re.sub(r"^python3 -m venv .*$", "", lines, flags=re.MULTILINE)
    lines = re.sub(r"(outputs/\w+)/<\w+>", r'"$(ls -d \1/* | tail -n 1)"', lines)
    table = blocks(DOCS / "guide.md", "sh")[0]
    python = blocks(ROOT / "README.md", "python")[0]
    python = python.replace('"outputs/houses/<run>"', "sys.argv[1]")
    (tmp_path / "snippet.py").write_text(
        'import sys\n\nX = {"area": [100], "rooms": [4], "heating": ["gas"]}\n' + python
    )
    script = (
        f'{table}\ncp houses.csv new.csv\n{lines}\npython snippet.py "$(ls -d outputs/houses/*)"'
    )
    run(script, tmp_path)


@pytest.mark.mpi
@pytest.mark.timeout(600)
def test_the_lines_for_several_processes_run(tmp_path: Path) -> None:
    lines = "\n".join(blocks(DOCS / "scaling.md", "sh"))
    run(INSTALLS.sub("", lines), tmp_path)
