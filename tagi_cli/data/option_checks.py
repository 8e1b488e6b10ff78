"""What options of `data:` say against each other, and what says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tagi_cli.data.options import DataOptions

_OF_WINDOWS = (
    "padding_method",
    "min_in_portion",
    "min_slice",
    "time_delta",
    "split_gap",
    "scaling_by",
    "reference",
    "stride",
    "batch_sampling_mode",
    "slide_stride",
)
"""Options that have an effect on windows alone."""


def contradictions(options: DataOptions) -> list[str]:
    """Faults that no single option shows, one message each; needs no data."""
    found = []
    if options.path is None and options.name is None:
        found.append(
            "data.path: no data given. Set data.path to a file (and data.out_components to the "
            "column to predict), or data.name to a bundled set; config=quickstart is an example"
        )
    portions = list(options.shares())
    if len(portions) != 3 or abs(sum(portions) - 1) > 1e-6:
        found.append(
            f"data.split_portions: {portions} must be three numbers (train, valid, test) that "
            "add up to 1"
        )
    elif portions[0] == 0:
        found.append(
            f"data.split_portions: {portions} leaves the training part empty; its portion must "
            "be above 0"
        )
    if options.split_column is not None and options.split_method != "auto":
        found.append(
            f"data.split_method: '{options.split_method}' contradicts data.split_column: "
            f"'{options.split_column}'; give one of them"
        )
    if options.split_method == "gal" and options.limit is not None:
        found.append(
            f"data.limit: {options.limit} contradicts data.split_method: 'gal', which is defined "
            "on all rows; leave data.limit null"
        )
    return found + _contradictions_of_windows(options)


def _contradictions_of_windows(options: DataOptions) -> list[str]:
    found = []
    for name in ("in_chunk", "out_chunk"):
        chunk = getattr(options, name)
        if isinstance(chunk, tuple) and chunk[0] > chunk[1]:
            found.append(
                f"data.{name}: {list(chunk)} ends before it begins; the first row comes first"
            )
    method = options.split_method
    whole = method.startswith(("instance-", "slice-"))
    if options.padding_method == "wrap" and not whole:
        found.append(
            "data.padding_method: 'wrap' shows the end of a slice before its beginning, so "
            "each slice must lie in one part. Allowed with data.split_method: instance-random, "
            "instance-chronological, slice-random, slice-chronological"
        )
    if options.padding_method == "constant" and options.scaling_by == "window":
        found.append(
            "data.padding_method: 'constant' contradicts data.scaling_by: 'window', where each "
            "window has a zero of its own. Allowed: auto, edge, reflect, symmetric, none"
        )
    if options.scaling_by == "instance" and method.startswith("instance-"):
        found.append(
            f"data.scaling_by: 'instance' contradicts data.split_method: '{method}', which "
            "leaves the series of other parts without training rows. Allowed: column, window"
        )
    if options.stride not in ("auto", 1) and options.in_order:
        found.append(
            f"data.stride: {options.stride} contradicts data.batch_sampling_mode: "
            f"'{options.batch_sampling_mode}', in which windows follow one another. Set "
            "data.slide_stride instead"
        )
    return found


def faults_in_use(
    options: DataOptions,
    *,
    horizon: int | None = None,
    variable_length: bool = False,
    classify: bool = False,
) -> list[str]:
    """Faults that depend on the task, one message each.

    Args:
        options: what the user asked for.
        horizon: of a forecast.
        variable_length: whether the task learns segments of any length.
        classify: whether the target is a label.
    """
    windowed = options.windowed(horizon, variable_length)
    found = []
    rows_only = {"missing": ("drop",), "split_method": ("gal",)}
    windows_only = {
        "missing": ("split", "ffill"),
        "split_method": ("slice-random", "slice-chronological"),
    }
    for name, words in (rows_only if windowed else windows_only).items():
        value = getattr(options, name)
        if value in words:
            where = "in a table without windows" if windowed else "in windows (data.in_chunk)"
            hint = " Set data.missing to 'split'." if value == "drop" else ""
            found.append(f"data.{name}: '{value}' has a meaning only {where}.{hint}")
    targets = options.targets_chunk(horizon)
    if horizon is not None and not (targets[0] >= 1 and targets[1] <= horizon):
        found.append(
            f"data.out_chunk: {list(targets)} is no part of the next {horizon} rows, which are "
            f"forecast.horizon. Allowed: between 1 and {horizon}"
        )
    if classify and targets[0] < targets[1]:
        found.append(f"data.out_chunk: {list(targets)}; a label is that of one row, [k, k]")
    if options.reference in ("last", "seasonal"):
        if options.scaling_by != "window":
            found.append(
                f"data.reference: '{options.reference}' is for windows scaled by themselves. "
                "Allowed: auto, none, or data.scaling_by=window"
            )
        elif not options.predicts_later(horizon):
            found.append(
                f"data.reference: '{options.reference}' needs targets after the inputs, such as "
                "data.in_chunk [-23, 0] and data.out_chunk [1, 8]. Allowed: auto, none"
            )
    if variable_length:
        for name in ("in_chunk", "out_chunk"):
            if getattr(options, name) not in (None, (0, 0)):
                found.append(
                    f"data.{name}: {list(getattr(options, name))} has no meaning in task "
                    "vl_regression, whose windows are whole segments. Allowed: null; see "
                    "data.variable_sequence_length_limit"
                )
    return found


def remarks(
    options: DataOptions, horizon: int | None = None, variable_length: bool = False
) -> list[str]:
    """Options that were set and have no effect beside the others, one message each.

    Args:
        options: what the user asked for.
        horizon: of a forecast.
        variable_length: whether the task learns segments of any length.
    """
    windowed = options.windowed(horizon, variable_length)
    forecast = horizon is not None and options.split_method == "auto"
    given = options.split_column is not None or options.split_method == "gal"
    idle: dict[str, str] = {}
    if given or (forecast and options.split_column is None):
        beside = "a split column or data.split_method=gal" if given else "forecast.horizon"
        idle["split_portions"] = f"beside {beside}"
    else:
        idle["valid_portion"] = "beside data.split_portions"
    if options.split_method != "gal":
        idle["split_index"] = "beside a split that is not data.split_method=gal"
    if not variable_length:
        idle["variable_sequence_length_limit"] = "on any task but vl_regression"
    idle["image"] = "on a table"
    if not windowed:
        idle |= dict.fromkeys(_OF_WINDOWS, "without windows (data.in_chunk)")
        if not options.in_order:
            # Rows of a plain table are independent, whether that was said or not.
            del idle["batch_sampling_mode"]
    elif not options.in_order:
        idle["slide_stride"] = "beside data.batch_sampling_mode: independent"
    unset = type(options)()
    return [
        f"data.{name} has no effect {beside}"
        for name, beside in idle.items()
        if getattr(options, name) != getattr(unset, name)
    ]
