"""90 % intervals hold 87 to 93 % of the test values, or what chance allows, or reports warn."""

from __future__ import annotations

import pytest

from tagi_cli.experiment.report.account import Account
from tagi_cli.experiment.report.forecasts import ACCOUNT as FORECASTS
from tagi_cli.experiment.report.regression import ACCOUNT


@pytest.mark.parametrize(
    ("share", "observed", "words"),
    [
        (0.869, 100_000, "too narrow"),
        (0.871, 100_000, "as promised"),
        (0.929, 100_000, "as promised"),
        (0.931, 100_000, "too wide"),
        # Of 20 values that are held with probability 0.9, 15 to 20 are in 95 of 100 cases.
        (14 / 20, 20, "too narrow"),
        (15 / 20, 20, "as promised"),
        (20 / 20, 20, "as promised"),
        (50 / 50, 50, "too wide"),
    ],
)
@pytest.mark.parametrize("account", [ACCOUNT, FORECASTS])
def test_what_coverage_is_remarked(
    account: Account, share: float, observed: int, words: str
) -> None:
    text = account.verdict("test", {"coverage_90": share}, [{"name": "y", "observed": observed}])
    assert words in text
    assert ("alarm" in text) == (words != "as promised")


@pytest.mark.parametrize("wrong", [0, 1, 9])
def test_outputs_that_are_not_drawn_keep_the_promise_too(wrong: int) -> None:
    components = {f"y{k}": {"coverage_90": 0.5 if 3 <= k < 3 + wrong else 0.9} for k in range(15)}
    drawn = [{"name": f"y{k}", "observed": 500} for k in range(3)]
    text = ACCOUNT.verdict("test", {"components": components}, drawn)
    assert f"Of the 12 outputs that are not drawn, {wrong} hold" in text
    assert ("alarm" in text) == (wrong > 0)
    assert text.count("50.0 %") == min(wrong, 5)
    assert ("…" in text) == (wrong > 5)
