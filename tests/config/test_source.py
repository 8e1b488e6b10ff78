"""A user's file is data: what of it is refused, and how an unreadable one is answered."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from small_schema import faults, settings


def told(configs: Path, text: str | bytes) -> list[str]:
    """The faults of a file `my.yaml`, without its path."""
    path = Path("my.yaml").absolute()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [
        fault.removeprefix(f"{path}: ") for fault in faults(settings, configs, "config=my.yaml")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "data: {_target_: os.system}",
        "_target_: os.system",
        "shape: {kind: chain, layers: [{kind: relu, _target_: os.system}]}",
        "trainer: {stop: {(): os.system}}",
        "hydra: {launcher: {_target_: os.system}}",
        "data: {_partial_: os.system}",
        "hydra: {sweeper: {_target_: os.system}}",
    ],
)
def test_a_file_cannot_name_code(configs: Path, here: Path, text: str) -> None:
    (fault,) = told(configs, text)
    assert fault.endswith(
        "found 'os.system'. A config is data and cannot name code; choose by `kind`"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("hydra: {run: {dir: /tmp}}", "hydra.run"),
        ("hydra: {job: {chdir: true}}", "hydra.job"),
        ("hydra: {searchpath: ['file:///tmp']}", "hydra.searchpath"),
        ("hydra: {sweeper: {max_batch_size: 2}}", "hydra.sweeper"),
        ("hydra: {launcher: {backend: loky}}", "hydra.launcher.backend"),
        ("hydra: {launcher: {verbose: true}}", "hydra.launcher.verbose"),
        ("hydra: {launcher: joblib}", "hydra.launcher"),
        ("hydra: MULTIRUN", "hydra"),
    ],
)
def test_of_hydras_keys_only_the_sweep_is_taken(
    configs: Path, here: Path, text: str, key: str
) -> None:
    assert told(configs, text) == [
        f"{key} is not taken from a config file. Allowed: hydra.mode, hydra.sweeper.params, and "
        "plain numbers in hydra.launcher"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydra: {mode: FAST}", "hydra.mode: found 'FAST'. Allowed: RUN, MULTIRUN"),
        (
            "hydra: {sweeper: {params: [1]}}",
            "hydra.sweeper.params: found [1]. Allowed: a mapping, e.g. {arch.width: '16,32'}",
        ),
        (
            "hydra: {sweeper: {params: {seed: [1, 2]}}}",
            "hydra.sweeper.params.seed: found [1, 2]. Allowed: text such as '16,32,64', "
            "'range(0,3)' or 'choice(a,b)'",
        ),
        (
            "defaults: [override /hydra/launcher: joblib]",
            "defaults: hydra/launcher is not taken from a config file",
        ),
        ("defaults: [hydra: x]", "defaults: hydra is not taken from a config file"),
        (
            "defaults: [override /shap: box]",
            "defaults: unknown group 'shap'. Did you mean 'shape'?",
        ),
        (
            "defaults: [quick]",
            "defaults: found 'quick'. Allowed: `override /<group>: <option>`, `config: <preset>`, "
            "`_self_`",
        ),
        (
            "defaults: [/shape@data: box]",
            "defaults: found {/shape@data: 'box'}. Allowed: `override /<group>: <option>`, "
            "`config: <preset>`, `_self_`",
        ),
        (
            "defaults: [/shape: bx]",
            "shape: unknown kind 'bx'. Did you mean 'box'? Allowed: box, chain, wide",
        ),
        ("defaults: [config: my.yaml]", "builds on itself"),
        ("", "is empty. Allowed: a mapping of options"),
        ("# only a comment\n", "is empty. Allowed: a mapping of options"),
        ("[1, 2]", "found a list. Allowed: a mapping of options"),
        (b"\xff\xfe\x00", "cannot be read ('utf-8' codec can't decode byte 0xff in position 0"),
        ("seed: [1\n", "line 2, column 1: not valid YAML: expected ',' or ']'"),
        ("seed: 1\nseed: 2\n", "line 2, column 1: not valid YAML: found duplicate key seed"),
        (
            "a: &a [1, 1]\n"
            + "".join(f"{n}: &{n} [*{m}, *{m}]\n" for m, n in pairwise("abcdefghijklmnopqrst")),
            "its aliases (*) stand for more than 100000 values",
        ),
        ("data: &a {of: [1, *a]}", "its aliases (*) stand for more than 100000 values, or for"),
        ("seed: !!python/name:os.system x", "not valid YAML: could not determine a constructor"),
        (
            "seed: 1\nunknown: 2",
            "unknown: unknown option. Allowed: name, seed, data, shape, trainer",
        ),
        ("shape: {kind: [box]}", "shape.kind: found ['box']. Allowed: the name of a kind"),
    ],
)
def test_faults_of_files(configs: Path, here: Path, text: str, message: str) -> None:
    (fault,) = told(configs, text)
    assert message in fault


def test_presets_are_held_to_the_same_rule(configs: Path) -> None:
    (configs / "config" / "bad.yaml").write_text("hydra: {run: {dir: /tmp}}")
    (fault,) = faults(settings, configs, "config=bad")
    assert "hydra.run is not taken" in fault


def test_a_number_like_1e_minus_3_is_a_number(configs: Path, here: Path) -> None:
    Path("my.yaml").write_text("trainer: {seconds: 1e-3}")
    assert settings(configs, "config=my.yaml").trainer.seconds == 1e-3


def test_a_file_that_only_describes_a_sweep_composes(configs: Path, here: Path) -> None:
    Path("my.yaml").write_text(
        "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2'}}, launcher: {a: {n_jobs: 2}}}\n"
        "tune: {trials: 3}"
    )
    assert settings(configs, "config=my.yaml").seed == 0


def test_aliases_stand_for_what_they_name(configs: Path, here: Path) -> None:
    Path("my.yaml").write_text("trainer: {epochs: &n 7}\nseed: *n\nname: 'a & b * c'\n")
    found = settings(configs, "config=my.yaml")
    assert (found.trainer.epochs, found.seed, found.name) == (7, 7, "a & b * c")
