"""What is done with a finished run, in the words of the command line."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tagi_cli.cli.main import main


@dataclass(frozen=True)
class Verb:
    """Words after `tagi`; `{run}`, `{data}` and `{new}` stand for paths.

    Attributes:
        words: the command line.
        always: whether any finished run lets itself be treated so.
        then: what makes sense after it.
    """

    words: tuple[str, ...]
    always: bool = False
    then: tuple[Verb, ...] = field(default=())


def verb(line: str, *then: Verb, always: bool = False) -> Verb:
    """A verb from one line."""
    return Verb(tuple(line.split()), always, then)


VERBS = {
    "eval": [
        verb("eval run={run} split=train"),
        verb("eval run={run} split=valid"),
        verb("eval run={run} checkpoint=last"),
        verb("eval run={run} data.path={data}"),
        verb("eval run={run} data.path={data} ood.path={data}"),
    ],
    "predict": [
        verb("predict run={run} input={data} output={new}.csv"),
        verb("predict run={run} input={data} output={new}.csv checkpoint=last"),
        verb("predict run={run} input={other} output={new}.csv"),
        verb("predict run={run} horizon=3"),
        verb("predict run={run} horizon=30 input={data} output={new}.csv"),
        verb("predict run={run} horizon=1 input={other} output={new}.csv"),
    ],
    "explain": [
        verb("explain run={run} split=train"),
        verb("explain run={run} input={data} rows=5 method=derivative"),
        verb("explain run={run} input={data} rows=0 method=covariance output={new}"),
        verb("explain run={run} split=train target=0.5"),
        verb("explain run={run} split=train target=1e9 start=0 output={new}"),
    ],
    "smooth": [
        verb("smooth run={run}"),
        verb("smooth run={run} input={data} output={new}"),
        verb("smooth run={run} input={other} output={new} checkpoint=last"),
    ],
    "update": [
        verb("update run={run} data.path={data}"),
        verb("update run={run} data.path={other} data.batch_size=1"),
        verb("update run={run} data.path={other} trainer.update_rule=site"),
    ],
    "resume": [
        verb("train trainer.resume={run}", always=True),
        verb("train trainer.resume={run} trainer.max_epochs=4"),
    ],
    "convert": [
        verb(
            "convert {run} {new}",
            verb("convert {new} {new}.safetensors", always=True),
            verb("predict run={run} input={data} output={new}.csv checkpoint={new}"),
            always=True,
        ),
        verb(
            "convert {run} {new}.bin format=pytagi member=0",
            verb("convert {new}.bin {new}.safetensors format=pytagi run={run} member=0"),
        ),
        verb("convert {run} {new} format=pytagi_csv member=0"),
    ],
    "report": [verb("report run={run}", always=True)],
    "show": [verb("show run={run}", always=True)],
    "compare": [verb("compare {run} {run} output={new}.html", always=True)],
    "project": [
        verb("project run={run} output={new}.csv"),
        verb("project run={run} output={new}.csv input={data}"),
    ],
    "angles": [verb("angles {run} {run}")],
    "train again": [verb("train config={run}/config.yaml", always=True)],
}


@st.composite
def uses(draw: st.DrawFn) -> list[Verb]:
    """Up to two verbs."""
    names = draw(st.lists(st.sampled_from(sorted(VERBS)), max_size=2, unique=True))
    return [draw(st.sampled_from(VERBS[name])) for name in names]


def say(words: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()
