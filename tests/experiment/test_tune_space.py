"""The space of a search: what may stand there, and the mistakes that are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagi_cli.config.arguments import parse
from tagi_cli.errors import UserError, UserErrors
from tagi_cli.experiment.sweeps.space import Choice, Range, check_space, dimensions, text_of

WHOLE = {"arch.width": True, "arch.gain": False}


def test_lists_are_choices_and_ranges_are_whole_where_the_option_is() -> None:
    found = dimensions(
        {
            "arch.width": {"low": 8, "high": 64, "log": True},
            "arch": {"gain": {"low": 1, "high": 2, "step": 0.5}},
            "noise": ["learned", None, 1e-05, True],
            "arch.layers.0.size": {"low": 1, "high": 3},
            "arch.layers.0.rate": {"low": 1, "high": 3.5},
        },
        WHOLE,
    )
    assert found == [
        Range("arch.width", 8, 64, None, True, True),
        Range("arch.gain", 1, 2, 0.5, False, False),
        Choice("noise", ("learned", "null", "1e-05", "true")),
        Range("arch.layers.0.size", 1, 3, None, False, True),
        Range("arch.layers.0.rate", 1, 3.5, None, False, False),
    ]


def test_numbers_are_short_and_inside_the_range() -> None:
    gain = Range("arch.gain", 0.1, 0.999999, None, False, False)
    assert gain.text(0.123456789) == "0.12346"
    assert gain.text(0.9999985) == "0.9999985"
    assert Range("arch.width", 8, 64, None, False, True).text(9.0) == "9"


@pytest.mark.parametrize(
    ("whole", "low", "high", "step", "last"),
    [
        (False, 0.1, 1, 0.37, 0.84),
        (False, 0.1, 2.0, 0.1, 2.0),
        (False, 0, 0.3, 0.1, 0.3),
        (True, 8, 30, 8, 24),
        (True, 8, 24, 8, 24),
    ],
)
def test_a_range_in_steps_ends_with_a_whole_step(
    whole: bool, low: float, high: float, step: float, last: float
) -> None:
    (found,) = dimensions(
        {"arch.width" if whole else "arch.gain": {"low": low, "high": high, "step": step}}, WHOLE
    )
    assert isinstance(found, Range)
    assert found.high == last
    assert found.probes()[1] == str(last)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "tune.space: must be set, as <option>: [a, b, c], or {low: 1, high: 100}"),
        ({"arch.width": []}, "tune.space.arch.width: found an empty list. Allowed: [a, b, c], or"),
        ({"arch.width": [1, 2, 1]}, "tune.space.arch.width: found 1 twice"),
        ({"arch.width": [8]}, "tune.space.arch.width: found a list of one value. Set arch.width=8"),
        ({"arch.width": 3}, "tune.space.arch.width: found 3. Allowed: [a, b, c], or {low:"),
        (
            {"arch.width": {"low": 1, "hihg": 3}},
            "tune.space.arch.width: unknown key 'hihg'. Did you mean 'high'? Allowed: low, high",
        ),
        ({"arch.width": {"lo": 1}}, "tune.space.arch.width: unknown key 'lo'. Did you mean 'low"),
        ({"arch.width": {"low": 1}}, "tune.space.arch.width.high: must be set"),
        ({"arch.width": {"low": 1, "high": "x"}}, "tune.space.arch.width.high: found 'x'. Allowed"),
        (
            {"arch.gain": {"low": 1, "high": float("inf")}},
            "tune.space.arch.gain.high: found inf. Allowed: a number",
        ),
        (
            {"arch.gain": {"low": float("nan"), "high": 1}},
            "tune.space.arch.gain.low: found nan. Allowed: a number",
        ),
        (
            {"arch.width": {"low": 0.5, "high": 3}},
            "tune.space.arch.width.low: found 0.5. Allowed: a whole number, as arch.width is",
        ),
        (
            {"arch.width": {"low": 9, "high": 3}},
            "tune.space.arch.width: found an empty range, as low 9 is above high 3",
        ),
        (
            {"arch.width": {"low": 3, "high": 3}},
            "tune.space.arch.width: found a range of one value. Set arch.width=3 instead",
        ),
        (
            {"arch.gain": {"low": 0, "high": 3, "log": True}},
            "tune.space.arch.gain.log: found low 0. Allowed with log: true: low above 0",
        ),
        ({"arch.gain": {"low": 1, "high": 3, "log": 1}}, "tune.space.arch.gain.log: found 1."),
        (
            {"arch.gain": {"low": 1, "high": 3, "log": True, "step": 1}},
            "tune.space.arch.gain.step: has no meaning with log: true",
        ),
        (
            {"arch.gain": {"low": 1, "high": 3, "step": 5}},
            "tune.space.arch.gain.step: found 5. Allowed: above 0, at most 2",
        ),
    ],
)
def test_faults(space: dict[str, Any], message: str) -> None:
    with pytest.raises(UserErrors) as caught:
        dimensions(space, WHOLE)
    assert caught.value.faults[0].startswith(message)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    )
)
def test_values_read_back_from_their_text(value: Any) -> None:
    text = text_of(value)
    if "\n" not in text and "\r" not in text:
        assert parse(f"key={text}").value == value


def test_all_values_are_tried_with_every_choice_of_the_others() -> None:
    tried: list[Sequence[str]] = []

    def compose(arguments: Sequence[str]) -> None:
        tried.append(arguments)
        if "noise=auto" in arguments:
            raise UserError("noise.decay: unknown option")
        if "arch.width=64" in arguments:
            raise UserErrors(["arch.width: found 64. Allowed: at most 60"])

    space = dimensions(
        {"arch.width": {"low": 8, "high": 64}, "noise": ["decay", "auto"]},
        WHOLE,
    )
    with pytest.raises(UserErrors) as caught:
        check_space(space, compose)
    assert caught.value.faults == [
        "tune.space, arch.width=64: arch.width: found 64. Allowed: at most 60",
        "tune.space, noise=auto: noise.decay: unknown option",
    ]
    assert list(tried[0]) == ["arch.width=8", "noise=decay"]


def test_a_fault_of_all_is_told_once() -> None:
    def compose(arguments: Sequence[str]) -> None:
        raise UserError("arch.wdth: unknown option")

    with pytest.raises(UserErrors) as caught:
        check_space(dimensions({"arch.wdth": [1, 2, 3]}, WHOLE), compose)
    assert caught.value.faults == ["tune.space: arch.wdth: unknown option"]
