"""The front door: help, unknown verbs, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagi_cli.cli import main as front
from tagi_cli.cli.main import VERBS, WRITERS, load_verb, main
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.version import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb_with_its_summary(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    for verb in VERBS:
        assert f"  {verb} " in out
        assert load_verb(verb).HELP.strip().splitlines()[0] in out


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_helps_with_its_usage(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    own = capsys.readouterr().out
    assert main(["help", verb]) == 0
    assert capsys.readouterr().out == own
    assert f"usage: tagi {verb}" in own
    assert max(map(len, own.splitlines())) <= 100


def test_help_of_all_verbs_imports_nothing_heavy() -> None:
    probe = (
        "import sys; from tagi_cli.cli.main import VERBS, main\n"
        "codes = {main([verb, '-h']) for verb in VERBS}\n"
        "heavy = {'numpy', 'hydra', 'omegaconf', 'rich', 'yaml'} & set(sys.modules)\n"
        "sys.exit(str(heavy or codes - {0} or 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stderr == "0\n"


def test_composing_a_config_imports_nothing_that_computes_or_draws() -> None:
    """SciPy, the packages of extras and what draws take longer than all the rest."""
    probe = (
        "import contextlib, io, sys; from tagi_cli.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    code = main(['train', '--cfg', 'job', 'config=quickstart'])\n"
        "heavy = {'scipy', 'rich', 'matplotlib', 'polars', 'optuna', 'joblib', 'submitit', 'ray',\n"
        "    'mpi4py', 'cupy', 'mlflow', 'wandb', 'tensorboardX', 'PIL', 'pandas', 'torch'}\n"
        "sys.exit(str(heavy & set(sys.modules) or code))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stderr == "0\n"


def test_composing_a_config_reads_nothing_of_hydras_own_groups() -> None:
    """Their texts are full of references, which take longer to parse than the config itself."""
    probe = (
        "import contextlib, io, sys; from tagi_cli.cli.main import main\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, of: event == 'open' and opened.append(str(of[0])))\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['train', '--cfg', 'job', 'config=quickstart'])\n"
        "yaml = [path for path in opened if path.endswith('.yaml')]\n"
        "sys.exit(str([path for path in yaml if '/hydra/conf/' in path] or len(yaml) > 1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stderr == "True\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tagi {__version__}\n"


def test_an_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarin", "config=quickstart"]) == 2
    assert capsys.readouterr().err == (
        f"tagi: unknown verb 'tarin'. Did you mean 'train'? Allowed: {', '.join(VERBS)}\n"
    )


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make every verb raise an exception."""

    def install(error: BaseException) -> None:
        def run(arguments: list[str]) -> int:
            raise error

        monkeypatch.setattr(front, "load_verb", lambda name: SimpleNamespace(HELP="", run=run))

    return install


def test_a_mistake_ends_with_2_and_its_message_alone(
    verb: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(UserError("data.path: missing"))
    assert main(["train"]) == 2
    assert capsys.readouterr().err == "tagi train: data.path: missing\n"
    verb(UserErrors(["a: wrong", "b: wrong"]))
    assert main(["eval"]) == 2
    assert capsys.readouterr().err == "tagi eval: 2 faults:\n- a: wrong\n- b: wrong\n"


def test_a_bug_ends_with_1_and_a_traceback(
    verb: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(ZeroDivisionError("of all things"))
    assert main(["train"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: of all things" in err
    assert f"this is a bug in tagi {__version__}" in err


def test_an_interruption_ends_with_130(
    verb: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(KeyboardInterrupt())
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "tagi train: interrupted\n"


def test_sigterm_is_an_interruption_whatever_is_at_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(arguments: list[str]) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(front, "load_verb", lambda name: SimpleNamespace(HELP="", run=run))
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "tagi train: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_network_too_large_for_the_memory_is_the_users_matter(
    verb: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(MemoryError("Unable to allocate 45 GiB"))
    assert main(["train"]) == 2
    assert capsys.readouterr().err == (
        "tagi train: out of memory (Unable to allocate 45 GiB). Use a smaller network or batch\n"
    )


def test_names_that_the_terminal_cannot_show_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "größe.csv").write_text("größe,y\n" + "1,2\n3,4\n5,7\n", encoding="utf-8")
    words = ["check", "data.path=größe.csv", "data.out_components=y", "kernels=numpy"]
    done = subprocess.run(
        [sys.executable, "-m", "tagi_cli.cli.main", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"gr??e -> y" in done.stdout


def test_a_closed_pipe_is_no_fault() -> None:
    command = f"{sys.executable} -m tagi_cli.cli.main ls data | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@pytest.mark.parametrize("verb", WRITERS)
def test_what_writes_is_not_done_by_several_ranks(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load_verb(verb), "run", lambda words: 0)
    assert main([verb]) == 0
    monkeypatch.setenv("PMI_SIZE", "3")
    told = []
    for rank in range(3):
        monkeypatch.setenv("PMI_RANK", str(rank))
        assert main([verb]) == 2
        told.append(capsys.readouterr().err)
    assert told[0].startswith(f"tagi {verb}: a launcher has started 3 processes")
    assert told[1:] == ["", ""]
    assert main([verb, "--help"]) == 0


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("fit", "'train'"),
        ("list", "'ls'"),
        ("version", "--version"),
        ("a,b.csv", "tagi train data.path=a,b.csv"),
        ("my.yaml seed=1", "tagi train config=my.yaml seed=1"),
        ("data.path=my.csv", "tagi train data.path=my.csv"),
    ],
)
def test_a_verb_that_is_missing_or_called_otherwise(
    capsys: pytest.CaptureFixture[str], line: str, meant: str
) -> None:
    assert main(line.split()) == 2
    name = line.split()[0]
    assert capsys.readouterr().err == (
        f"tagi: unknown verb '{name}'. Did you mean {meant}? Allowed: {', '.join(VERBS)}\n"
    )


def test_the_overview_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
