"""Options of `task: forecasting` and of the group `forecast`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tagi_cli.data.options import DataOptions
from tagi_cli.options import option


@dataclass(frozen=True)
class ForecastingOptions:
    """The next values of series, from their last ones; see the group `forecast`."""


@dataclass(frozen=True)
class ForecastOptions:
    """How far to look ahead, and how."""

    horizon: int = option(
        1,
        "Rows to forecast. The last so many of each series are the test part, and what can be "
        "spared before them the validation part.",
        minimum=1,
    )
    season: int | None = option(
        None,
        "Rows in a season, such as 24 hours, 12 months or 4 quarters. Forecasts are compared with "
        "what was one season before, and errors are scaled by it (MASE). null: the last value.",
        minimum=1,
    )
    mode: str = option(
        "direct",
        "direct: one network predicts all steps at once, `data.out_chunk` is [1, horizon]; "
        "recursive: one step, [1, 1], and its prediction is fed back for the next.",
        choices=("direct", "recursive"),
    )
    feedback: str = option(
        "moments",
        "What is fed back beyond the last step that is predicted at once. moments: mean and "
        "variance, as if the values fed back were independent; trajectories: values drawn from "
        "what is predicted, many times over.",
        choices=("moments", "trajectories"),
    )
    samples: int = option(
        100, "Trajectories of each series, shared among the networks of the ensemble.", minimum=1
    )

    def data(self, options: DataOptions) -> DataOptions:
        """The options of `data` for this forecast."""
        if self.mode == "direct" or options.out_chunk is not None:
            return options
        return replace(options, out_chunk=(1, 1))

    def remarks(self, targets: tuple[int, int]) -> list[str]:
        """Options that were set and have no effect, for the rows that are predicted at once."""
        found = []
        default = ForecastOptions()
        if targets[1] >= self.horizon and self.feedback != default.feedback:
            found.append(
                f"forecast.feedback has no effect on the test part, whose {self.horizon} steps are "
                "predicted at once; it has on `tagi predict` with a longer horizon"
            )
        if self.feedback != "trajectories" and self.samples != default.samples:
            found.append("forecast.samples has no effect beside forecast.feedback=moments")
        return found


def faults(forecast: ForecastOptions, options: DataOptions) -> list[str]:
    """What stands between a forecast and the options of `data`, one message each."""
    found = []
    inputs, targets = options.in_chunk, options.out_chunk
    if isinstance(inputs, tuple) and inputs[1] != 0:
        found.append(
            f"data.in_chunk: found {list(inputs)}; a forecast sees a series up to its last row. "
            f"Allowed: auto, null, or two rows of which the last is 0"
        )
    if targets is not None and (targets[0] != 1 or targets[1] > forecast.horizon):
        found.append(
            f"data.out_chunk: found {list(targets)}; a forecast begins with the next row, and "
            f"forecast.horizon is {forecast.horizon}. Allowed: null, or [1, k] with k at most that"
        )
    return found
