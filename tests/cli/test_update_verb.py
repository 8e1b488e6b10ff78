"""`tagi update`: from a command line to a run that goes on from another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Tagi


def test_new_rows_make_a_run_of_their_own(tagi: Tagi, here: Path, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    answer = tagi("update", f"run={finished}", "data.path=my.csv", "name=more")
    assert answer.code == 0
    assert "split: 60 train (in order)" in answer.out
    assert "prequential: rmse" in answer.out
    (made,) = (here / "outputs" / "more").iterdir()
    environment = json.loads((made / "environment.json").read_text())
    assert environment["parent"]["run"] == str(finished)
    assert environment["command"] == f"tagi update run={finished} data.path=my.csv name=more"
    report = (made / "report.html").read_text()
    assert f'goes on from</td><td class="text"><code>{finished}</code>' in report
    assert ">prequential<" in report
    assert "NLL along the rows" in report
    assert "NLL by epoch" not in report
    after = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    assert {p for p in after if p.name != ".lock"} == {p for p in before if p.name != ".lock"}
    # It is a run as any other.
    assert tagi("predict", f"run={made}", "input=my.csv", "output=-").code == 0
    assert tagi("update", f"run={made}", "data.path=my.csv", "name=most").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "run: must be given once, as run=<run folder>"),
        (("run=",), "run: must be given once"),
        (("run=RUN",), "data.path: must be given"),
        (
            ("RUN", "new.csv"),
            "RUN new.csv: not understood. Did you mean run=RUN data.path=new.csv? Allowed: key=v",
        ),
        (
            ("run=RUN", "input=new.csv"),
            "input: unknown. Did you mean 'data.path'? Allowed: run=..., data.path=...",
        ),
        (("run=RUN", "data.path=my.csv", "config=quickstart"), "config, trainer.parent: come from"),
        (("run=RUN", "data.path=none.csv"), "none.csv: no such file"),
        (("run=RUN", "data.path=my.csv", "arch.width=9"), "arch.width: cannot differ"),
        (("run=none", "data.path=my.csv"), "run folder 'none' does not exist"),
    ],
)
def test_mistakes(tagi: Tagi, finished: Path, words: tuple[str, ...], message: str) -> None:
    answer = tagi("update", *(word.replace("RUN", str(finished)) for word in words))
    assert answer.code == 2
    assert message.replace("RUN", str(finished)) in answer.err


def test_check_says_whether_it_would_start(tagi: Tagi, finished: Path, here: Path) -> None:
    words = (f"config={finished}/config.yaml", f"trainer.parent={finished}", "trainer.online=true")
    answer = tagi("check", *words, "data.path=my.csv")
    assert answer.code == 0
    assert "60 train, 0 valid, 0 test rows" in answer.out
    (here / "other.csv").write_text("a,y\n1,2\n")
    answer = tagi("check", *words, "data.path=other.csv")
    assert answer.code == 2
    assert "no column for the input b" in answer.err
    online = tagi("check", "data.path=my.csv", "data.out_components=y", "trainer.online=true")
    assert "54 train, 0 valid, 6 test rows" in online.out


def test_other_units_are_remarked(tagi: Tagi, finished: Path, here: Path) -> None:
    header, *rows = (here / "my.csv").read_text().splitlines()
    first = header.split(",")[0]
    scaled = [f"{1000 * float(row.partition(',')[0])},{row.partition(',')[2]}" for row in rows]
    (here / "milli.csv").write_text("\n".join([header, *scaled]) + "\n")
    told = f"note: column '{first}': its mean, "
    for words in (
        ("predict", f"run={finished}", "input=milli.csv", "output=out.csv"),
        ("eval", f"run={finished}", "data.path=milli.csv"),
        ("update", f"run={finished}", "data.path=milli.csv", "name=milli"),
    ):
        answer = tagi(*words)
        assert answer.code == 0
        assert told in answer.out + answer.err
    assert told not in tagi("eval", f"run={finished}", "data.path=my.csv").err
