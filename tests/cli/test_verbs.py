"""The verbs other than train: what they print, and their mistakes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tagi_cli.cli.table import show_table
from tagi_cli.experiment import doctor
from tagi_cli.experiment import profile as profiling

Tagi = Callable[..., Any]


def test_eval_prints_metrics_as_json(tagi: Tagi, finished: Path) -> None:
    answer = tagi("eval", f"run={finished}")
    found = json.loads(answer.out)
    summary = json.loads((finished / "summary.json").read_text())
    assert found == {"of": "test", "rows": 6, **summary["test"]}
    assert json.loads(tagi("eval", f"run={finished}", "split=valid").out)["of"] == "valid"
    answer = tagi("eval", f"run={finished}", "data.path=my.csv", "checkpoint=last")
    assert json.loads(answer.out)["rows"] == 60


def test_eval_of_a_single_row_is_json_too(tagi: Tagi, finished: Path) -> None:
    """One row has no spread that r2 could be of."""
    header, row = Path("my.csv").read_text().splitlines()[:2]
    Path("one.csv").write_text(f"{header}\n{row}\n")
    answer = tagi("eval", f"run={finished}", "data.path=one.csv")
    found = json.loads(answer.out, parse_constant=pytest.fail)
    assert (found["rows"], found["r2"]) == (1, None)
    assert found["rmse"] > 0


def test_predict_writes_a_table_and_never_over_another(tagi: Tagi, finished: Path) -> None:
    words = ("predict", f"run={finished}", "input=my.csv", "output=p.csv")
    assert tagi(*words).out == "p.csv\n"
    with open("p.csv") as file:
        assert len(list(csv.DictReader(file))) == 60
    answer = tagi(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "is there already" in answer.err
    assert tagi(*words, "overwrite=true").code == 0


def test_predict_never_writes_over_what_it_reads(tagi: Tagi, finished: Path) -> None:
    rows = Path("my.csv").read_bytes()
    Path("link.csv").symlink_to("my.csv")
    for output in ("my.csv", "link.csv"):
        words = (f"run={finished}", "input=my.csv", f"output={output}", "overwrite=true")
        answer = tagi("predict", *words)
        assert answer.code == 2
        assert answer.err == f"tagi predict: output: {output} is the input; name another file\n"
    assert Path("my.csv").read_bytes() == rows


def test_show_adds_up(tagi: Tagi, finished: Path) -> None:
    # 2 inputs, two hidden layers of 3, 1 output and its noise, with biases: 9 + 12 + 8.
    for words in (
        [f"run={finished}"],
        ["data.path=my.csv", "data.out_components=y", "arch.width=3", "kernels=numpy"],
    ):
        answer = tagi("show", *words)
        assert answer.code == 0
        assert "parameters of one: 29 (a mean and a variance each)" in answer.out
        assert answer.out.count("Linear(") == 3
    assert not Path("outputs").exists()


def test_profile_shows_layers_totals_and_ceilings(
    tagi: Tagi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling.profile, "__kwdefaults__", {"seconds": 0.0})
    words = ("data.path=my.csv", "data.out_components=y", "arch.width=3", "kernels=numpy")
    answer = tagi("profile", *words)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line.split()[0] for line in lines[1:9]] == [
        "linear_0", "relu_1", "linear_2", "relu_3", "linear_4", "even_exp_5", "update", "rest",
    ]  # fmt: skip
    assert lines[1].split()[1] == "Linear(2,3)"
    for word in ("whole step:", "not accounted for:", "GFLOP/s for matrix products", "NumPy"):
        assert word in answer.out
    assert not Path("outputs").exists()
    answer = tagi("profile", *words, "arch.wdth=4")
    assert answer.code == 2
    assert "Did you mean 'width'" in answer.err
    answer = tagi("profile", "run=x")
    assert (answer.code, answer.out) == (2, "")
    layers = "arch.layers=[{kind: linear, output_size: 4}]"
    answer = tagi("profile", "data=yacht", "arch=sequential", layers, "kernels=numpy")
    assert "the last layer gives 4 units" in answer.err


def test_options_without_effect_are_remarked(tagi: Tagi) -> None:
    words = ("data.path=my.csv", "data.out_components=y", "kernels=numpy", "arch.width=3")
    idle = ("trainer.update_rule=site", "trainer.cap=1", "data.split_index=3")
    notes = [
        "note: trainer.cap has no effect beside trainer.update_rule=site",
        "note: data.split_index has no effect beside a split that is not data.split_method=gal",
    ]
    assert tagi("check", *words, *idle).out.splitlines()[:2] == notes
    short = ("trainer.max_epochs=1", "ensemble.size=1", "viz.enabled=false")
    assert "\n".join(notes) in tagi("train", *words, *idle, *short).out


def test_check_says_what_it_found_and_writes_nothing(tagi: Tagi) -> None:
    answer = tagi("check", "data.path=my.csv", "data.out_components=y", "kernels=numpy")
    assert answer.code == 0
    assert "data: my, 42 train, 12 valid, 6 test rows; a, b -> y" in answer.out
    assert answer.out.endswith("no fault found\n")
    assert [path.name for path in Path().iterdir()] == ["my.csv"]


def test_check_lists_faults_of_options_files_and_columns_together(tagi: Tagi) -> None:
    answer = tagi("check", "data.path=my.csv", "data.out_components=z", "seed=-1", "arch.wdth=3")
    assert answer.code == 2
    assert answer.err.startswith("tagi check: 3 faults:\n")
    assert "'z'" in answer.err
    answer = tagi("check", "data.path=no.csv", "seed=-1")
    assert "no.csv: no such file" in answer.err
    assert "seed: found -1" in answer.err
    answer = tagi("check", "data.path=no.csv", "data.batch_size=0")
    assert answer.err.startswith("tagi check: data.batch_size: found 0.")


def test_check_goes_through_the_jobs_of_a_sweep(tagi: Tagi) -> None:
    words = ("check", "-m", "data.path=my.csv", "data.out_components=y", "kernels=numpy")
    answer = tagi(*words, "arch.width=3,-1", "seed=0,-1")
    assert answer.err == (
        "tagi check: 4 faults:\n"
        "- arch.width=3 seed=-1: seed: found -1. Allowed: whole number, at least 0\n"
        "- arch.width=-1 seed=0: arch.width: found -1. Allowed: whole number, at least 1\n"
        "- arch.width=-1 seed=-1: seed: found -1. Allowed: whole number, at least 0\n"
        "- arch.width=-1 seed=-1: arch.width: found -1. Allowed: whole number, at least 1\n"
    )
    assert tagi(*words, "arch.width=3,4").out == "2 jobs\nno fault found\n"
    assert "data.limit=1: " in tagi(*words, "data.limit=1,9").err


def test_check_names_a_few_of_many_columns(tagi: Tagi) -> None:
    names = [f"c{i}" for i in range(20)]
    rows = [names, *([str(i * j) for j in range(20)] for i in range(30))]
    Path("wide.csv").write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    answer = tagi("check", "data.path=wide.csv", "data.out_components=c19", "kernels=numpy")
    assert "; c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, ... (7 more) -> c19" in answer.out


def test_check_shows_the_first_layer_all_rows(tagi: Tagi) -> None:
    """An id that only a row of the test part has; scaled columns are none at all."""
    part = ["train"] * 20 + ["valid"] * 5 + ["test"] * 5
    rows = [f"{i % 5 if part[i] != 'test' else 7},{part[i]},{i}" for i in range(30)]
    Path("ids.csv").write_text("\n".join(["id,part,y", *rows]), encoding="utf-8")
    words = ["data.path=ids.csv", "data.out_components=y", "data.split_column=part"]
    words += ["arch=sequential", "kernels=numpy"]
    layers = "arch.layers=[{{kind: embedding, num_embeddings: {}, embedding_dim: 2}}, "
    layers += "{{kind: linear, output_size: 1}}]"
    small, large = layers.format(7), layers.format(8)
    fault = "Embedding(7,2): id 7: ids are whole numbers from 0 to 6"
    assert fault in tagi("check", *words, "data.scaling_method=none", small).err
    assert "no fault found" in tagi("check", *words, "data.scaling_method=none", large).out
    for verb in ("check", "train"):
        answer = tagi(verb, *words, large)
        assert (answer.code, "data.scaling_method=none" in answer.err) == (2, True)


def test_check_fits_layers_together(tagi: Tagi) -> None:
    layers = "arch.layers=[{kind: linear, output_size: 4}]"
    answer = tagi("check", "data=yacht", "arch=sequential", layers, "kernels=numpy")
    assert answer.code == 2
    assert "arch.layers: the last layer gives 4 units" in answer.err


def test_check_of_a_run_to_resume(tagi: Tagi, finished: Path) -> None:
    resume = f"trainer.resume={finished}"
    assert tagi("check", resume, "trainer.max_epochs=9").code == 0
    answer = tagi("check", resume, "arch.width=9")
    assert answer.code == 2
    assert "arch.width: cannot change while a run is continued" in answer.err
    assert "holds a model only" in tagi("check", resume, "checkpoint=best").err


def test_ls_shows_presets_groups_kinds_and_options(tagi: Tagi) -> None:
    out = tagi("ls").out
    for word in ("quickstart", "mlp, ", "seed", "leaky_relu"):
        assert word in out
    assert "quickstart  " in tagi("ls", "config").out
    assert "Multilayer perceptron" in tagi("ls", "arch").out
    out = tagi("ls", "arch.mlp").out
    assert "  arch.width: whole number, at least 1; default 100\n      Units of each" in out
    out = tagi("ls", "data").out
    assert "yacht  " in out
    assert "  data.split_column: text or null; default null" in out
    assert "trainer.early_stopping.patience" in tagi("ls", "trainer").out
    assert "relu " in tagi("ls", "layer").out
    assert "output_size: whole number, at least 1; required" in tagi("ls", "layer.linear").out
    assert tagi("ls", "layer.relu").out == "  no options\n"


def test_cp_makes_a_file_of_ones_own(tagi: Tagi) -> None:
    assert tagi("cp", "quickstart", "mine.yaml").out == "tagi train config=mine.yaml\n"
    text = Path("mine.yaml").read_text()
    assert text.startswith("# Learn the resistance of sailing yachts")
    assert "\ndata: yacht\n" in text
    assert "#   tagi train config=mine.yaml\n" in text
    assert "quickstart" not in text
    Path("folder").mkdir()
    assert tagi("cp", "sine", "folder").code == 0
    assert Path("folder/sine.yaml").is_file()
    assert tagi("cp", "sine", "a b.yaml").out == "tagi train 'config=a b.yaml'\n"


def test_report_is_written_again(tagi: Tagi, finished: Path) -> None:
    assert tagi("report", f"run={finished}").out == f"{finished / 'report.html'}\n"


def test_convert_there_and_back(tagi: Tagi, finished: Path) -> None:
    assert tagi("convert", str(finished), "csv").out == "csv\n"
    assert tagi("convert", "csv", "back.safetensors").code == 0
    assert Path("back.safetensors").is_file()


def test_convert_to_pytagi_and_back(tagi: Tagi, finished: Path) -> None:
    assert tagi("convert", str(finished), "net.bin", "format=pytagi").out == "net.bin\n"
    answer = tagi("convert", "net.bin", "n.safetensors", "format=pytagi", f"run={finished}")
    assert answer.out == "n.safetensors\n"
    lines = tagi("convert", str(finished), "net", "format=pytagi_csv", "member=0").out.split()
    assert lines == [f"net_{part}.csv" for part in ("1_mw", "2_Sw", "3_mb", "4_Sb")]
    answer = tagi("eval", f"run={finished}", "checkpoint=n.safetensors")
    assert json.loads(answer.out) == json.loads(tagi("eval", f"run={finished}").out)
    answer = tagi("convert", str(finished), "other.bin", "format=pytagi", "member=1")
    assert answer.err.endswith("has one network. Allowed: 0\n")


def test_doctor_prints_findings_and_tells_illness_by_its_code(
    tagi: Tagi, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [doctor.Finding("kernels", "NumPy"), doctor.Finding("outputs", "full", False)]
    monkeypatch.setattr(doctor, "examine", lambda: findings[:1])
    assert tagi("doctor") == (0, "kernels  NumPy\n", "")
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert tagi("doctor") == (1, "kernels  NumPy\n! outputs  full\n", "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("eval", "run: must be given, as run=..."),
        ("eval rn=x run=y", "rn: unknown. Did you mean 'run'? Allowed: run=..., split=..., "),
        ("eval run", "2 faults:\n- run: not understood. Allowed: run=..., "),
        ("eval run=", "run: found nothing after ="),
        ("eval run=a run=b", "run: given twice, a and b"),
        (
            "eval run=nowhere split=test data.path=my.csv",
            "split: contradicts data.path, which is scored as a whole; give one of them",
        ),
        ("eval run=nowhere", "run folder 'nowhere' does not exist"),
        ("eval .", ".: not understood. Did you mean run=.? Allowed: run=..., "),
        ("eval run=a input=b.csv", "input: unknown. Did you mean 'data.path'? Allowed: run=..., "),
        (
            "predict . b.csv",
            "2 faults:\n- . b.csv: not understood. Did you mean run=. input=b.csv? Allowed: run="
            "..., input=..., output=..., checkpoint=..., overwrite=...\n- output: must be gi",
        ),
        (
            "predict run=a data.path=b.csv c.csv d",
            "3 faults:\n- c.csv d: not understood. Did you mean input=c.csv? Allowed: run=..., "
            "input=..., output=..., checkpoint=..., overwrite=...\n- data.path: unknown. Did you "
            "mean 'input'? Allowed: run=..., ",
        ),
        ("predict run=a", "input, output: must be given, as input=... output=..."),
        (
            "predict a b",
            "2 faults:\n- a b: not understood. Allowed: run=..., input=..., output=..., checkpoint="
            "..., overwrite=...\n- run, input, output: must be given, as run=... input=... out",
        ),
        (
            "predict run=a input=b output=c overwrite=yes",
            "overwrite: found 'yes'. Allowed: true or false",
        ),
        ("show run=nowhere", "run folder 'nowhere' does not exist"),
        ("show run=nowhere seed=1", "seed: unknown. Allowed: run=..."),
        ("ls archs", "unknown group 'archs'. Did you mean 'arch'? Allowed: config, task, "),
        (
            "ls conv2d",
            "unknown group 'conv2d'. Did you mean 'layer.conv2d'? Allowed: config, task, ",
        ),
        ("ls arch.mpl", "arch: unknown kind 'mpl'. Did you mean 'mlp'? Allowed: "),
        ("ls data.yacht", "'data' has no kinds. Allowed: task, arch, noise"),
        ("ls a b", "found 2 words. Allowed: [group]"),
        ("ls --all", "--all: unknown option. Allowed: group, --help"),
        ("cp quickstart", "found 1 word. Allowed: <preset> <file.yaml>"),
        ("cp quikstart a.yaml", "unknown preset 'quikstart'. Did you mean 'quickstart'? Allowed: "),
        ("cp quickstart my.csv", "my.csv: found '.csv'. Allowed: a name that ends in .yaml"),
        ("cp quickstart old.yaml", "old.yaml: is there already; nothing is overwritten"),
        (
            "cp quickstart no/such/a.yaml",
            "no/such/a.yaml: cannot be written: there is no folder no/such",
        ),
        ("compare", "found no folder. Allowed: <folder>... [sort=<column>] [output=<file>]"),
        ("compare nowhere", "folder 'nowhere' does not exist"),
        (
            "compare --all",
            "--all: unknown option. Allowed: sort=..., output=..., figure=..., --select best, to=",
        ),
        ("compare . output=old.yaml", "output: old.yaml is there already; nothing is overwritten"),
        ("report run=nowhere", "run folder 'nowhere' does not exist"),
        ("convert a", "found 1 word. Allowed: <source> <target>"),
        ("convert a b run=c", "run: only for pytagi's files; give format=pytagi or "),
        ("convert a b format=pytagi", "run: must be given, as run=<run folder>"),
        ("convert a b format=pytagi member=x", "member: found 'x'. Allowed: the number of a "),
        ("convert a b fromat=pytagi", "fromat: unknown. Did you mean 'format'?"),
        ("doctor now", "found 1 word. Allowed: none"),
        ("completion fish", "found 'fish'. Allowed: bash"),
        ("completion bsh", "found 'bsh'. Did you mean 'bash'? Allowed: bash"),
    ],
)
def test_mistakes_end_with_2_and_say_what_is_allowed(tagi: Tagi, line: str, message: str) -> None:
    Path("old.yaml").write_text("seed: 1")
    answer = tagi(*line.split())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"tagi {line.split()[0]}: {message}")


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("check config={}", "config: "),
        ("check config=./{}.yaml", "config: "),
        ("check data.path={}.csv", "data.path: "),
        ("train trainer.resume={}", ""),
        ("train config=sine name={}", "name: found "),
        ("eval run={}", ""),
        ("eval {}", ""),
        ("show run={}", ""),
        ("predict run=a input=b output={}.csv", ""),
        ("cp sine {}.yaml", ""),
        ("compare {}", ""),
        ("compare . output={}.csv", ""),
        ("report run={}", ""),
        ("convert {} a", ""),
        ("convert a {}", ""),
    ],
)
def test_names_longer_than_a_file_can_have(tagi: Tagi, line: str, where: str) -> None:
    answer = tagi(*line.format("a" * 1000).split())
    assert (answer.code, answer.out) == (2, "")
    text = answer.err.removeprefix(f"tagi {line.split()[0]}: ")
    assert text.startswith(where)
    assert ("Allowed: " if where.startswith("name") else "File name too long") in text


def test_tables_are_aligned_rounded_and_never_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    rows = [["x" * 200, 1, 0.123456, None], ["b", 23, -1e-9, "c"]]
    monkeypatch.setenv("NO_COLOR", "1")
    show_table(["name", "n", "value", "rest"], rows)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["x" * 200, "1", "0.1235", "-"]
    assert lines[2].split() == ["b", "23", "-1e-09", "c"]
    assert lines[1].index(" 1 ") == lines[2].index("23 ")
    monkeypatch.delenv("NO_COLOR")
    show_table(["name"], [])
    assert capsys.readouterr().out == "\033[1mname\033[0m\n"
