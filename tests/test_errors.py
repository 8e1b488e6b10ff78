"""Messages for those who mistype."""

from __future__ import annotations

import pytest

from tagi_cli.errors import nearest


@pytest.mark.parametrize("name", ["lstm", "LSTM", "ltsm", "Lstm"])
def test_the_nearest_name_is_found_in_any_case(name: str) -> None:
    assert nearest(name, ["mlp", "lstm", "cnn1d"]) == " Did you mean 'lstm'?"
    assert nearest(name, ["MLP", "LSTM", "CNN1d"]) == " Did you mean 'LSTM'?"


def test_nothing_near_is_no_hint() -> None:
    assert nearest("price", ["area", "rooms"]) == ""


def test_a_unit_in_brackets_may_be_left_out() -> None:
    columns = ["area (m²)", "Price (kEUR)", "temp [°C]", "price index"]
    assert nearest("price", columns) == " Did you mean 'Price (kEUR)'?"
    assert nearest("prise", columns) == " Did you mean 'Price (kEUR)'?"
    assert nearest("temp [K]", columns) == " Did you mean 'temp [°C]'?"
    assert nearest("area", ["area (m²)", "area"]) == " Did you mean 'area'?"
