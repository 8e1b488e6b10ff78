"""Words that are no `key=value`: what is said of them, and of those that a shell has cut apart."""

from __future__ import annotations

import pytest

from tagi_cli.config.words import read


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["data.path=my.csv", "data.out_components=price", "(kEUR)"],
            "(kEUR): not understood. Allowed: key=value; a value with spaces needs quotes: "
            "'data.out_components=price (kEUR)'",
        ),
        (
            ["data.path=a", "b", "c.csv", "seed=1"],
            "b c.csv: not understood. Allowed: key=value; a value with spaces needs quotes: "
            "'data.path=a b c.csv'",
        ),
        (
            ["data.path", "my.csv"],
            "data.path my.csv: not understood. Did you mean data.path=my.csv? Allowed: key=value, "
            "without spaces",
        ),
        (
            ["config", "my.yaml", "seed=1"],
            "config my.yaml: not understood. Did you mean config=my.yaml? Allowed: key=value, "
            "without spaces",
        ),
        (
            ["seed=1", "data.path", "=", "a b.csv"],
            "data.path = a b.csv: not understood. Did you mean 'data.path=a b.csv'? Allowed: "
            "key=value, without spaces",
        ),
        (
            ["data.path", "=my.csv"],
            "data.path =my.csv: not understood. Did you mean data.path=my.csv? Allowed: key=value, "
            "without spaces",
        ),
        (
            ["data.path=", "my.csv"],
            "data.path= my.csv: not understood. Did you mean data.path=my.csv? Allowed: key=value, "
            "without spaces",
        ),
        (["quick"], "quick: not understood. Did you mean config=quick? Allowed: key=value"),
        (["help"], "help: not understood. Did you mean --help? Allowed: key=value"),
        (
            ["config=quick", "my.csv"],
            "my.csv: not understood. Did you mean data.path=my.csv? Allowed: key=value",
        ),
        (
            ["seed=1", "arch.width"],
            "arch.width: not understood. Allowed: key=value",
        ),
    ],
)
def test_one_fault_says_what_was_meant(words: list[str], message: str) -> None:
    assert read(words, ("quick",))[1] == [message]


def test_what_can_be_read_is_read_beside_faults() -> None:
    found, faults = read(["seed=1", "help", "arch.width=3", "~noise.sigma_v", "="])
    assert [(argument.key, argument.value) for argument in found] == [
        ("seed", 1),
        ("arch.width", 3),
        ("noise.sigma_v", None),
    ]
    assert len(faults) == 2
