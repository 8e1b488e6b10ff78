"""The space of a search: which options vary, and how."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tagi_cli.config.convert import shown
from tagi_cli.errors import UserError, UserErrors, nearest

_RANGE = ("low", "high", "step", "log")
_FORMS = "[a, b, c], or {low: 1, high: 100} with log: true or step: ..."
_PLAIN = re.compile(r"[A-Za-z_][\w/-]*", re.ASCII)
_WORDS = ("true", "false", "null", "none", "inf", "nan", "yes", "no", "on", "off")


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        path: of the option.
        texts: the values as they stand on a command line.
    """

    path: str
    texts: tuple[str, ...]

    def probes(self) -> tuple[str, ...]:
        """Values that show whether all are allowed."""
        return self.texts

    def text(self, value: Any) -> str:
        """A value of the search as it stands on a command line."""
        return str(value)


@dataclass(frozen=True)
class Range:
    """A number between two, both included.

    Attributes:
        path: of the option.
        low, high: the bounds; with a step, `high` is a whole number of steps above `low`.
        step: between values that are possible; None: 1 for whole numbers, else any.
        log: whether equal ratios are equally likely.
        whole: whether it is a whole number.
    """

    path: str
    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    def probes(self) -> tuple[str, ...]:
        """Values that show whether all are allowed."""
        return self.text(self.low), self.text(self.high)

    def text(self, value: Any) -> str:
        """A value of the search as it stands on a command line."""
        if self.whole:
            return str(int(value))
        short = float(f"{value:.5g}")
        return repr(short if self.low <= short <= self.high else float(value))


Dimension = Choice | Range


def dimensions(space: Mapping[str, Any], whole: Mapping[str, bool]) -> list[Dimension]:
    """The dimensions of `tune.space`.

    Args:
        space: by path of an option, dotted or nested, a list of values or a range.
        whole: by path of each option that is a number, whether it is a whole one; a path that is
            not there (an item of a list) is judged by its bounds.

    Raises:
        UserErrors: a key or value does not describe a dimension; all faults at once.
    """
    faults: list[str] = []
    found: dict[str, Dimension] = {}
    for path, value in _leaves(space, whole, ""):
        own, made = _dimension(path, value, whole.get(path))
        faults += [f"tune.space.{path}{fault}" for fault in own]
        if made is not None and not own:
            found[path] = made
    if not found and not faults:
        faults.append(f"tune.space: must be set, as <option>: {_FORMS}")
    if faults:
        raise UserErrors(faults)
    return list(found.values())


def _leaves(
    tree: Mapping[str, Any], known: Mapping[str, bool], prefix: str
) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if (
            isinstance(value, Mapping)
            and value
            and path not in known
            and not set(_RANGE) & set(value)
        ):
            yield from _leaves(value, known, f"{path}.")
        else:
            yield path, value


def _dimension(path: str, value: Any, whole: bool | None) -> tuple[list[str], Dimension | None]:
    if isinstance(value, list | tuple):
        texts = tuple(text_of(item) for item in value)
        if not texts:
            return [f": found an empty list. Allowed: {_FORMS}"], None
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if twice:
            return [f": found {', '.join(twice)} twice"], None
        if len(texts) == 1:
            return [f": found a list of one value. Set {path}={texts[0]} instead"], None
        return [], Choice(path, texts)
    if isinstance(value, Mapping):
        return _range(path, value, whole)
    return [f": found {shown(value)}. Allowed: {_FORMS}"], None


def _range(
    path: str, value: Mapping[str, Any], whole: bool | None
) -> tuple[list[str], Range | None]:
    faults = [
        f": unknown key '{key}'.{nearest(str(key), _RANGE)} Allowed: {', '.join(_RANGE)}"
        for key in value
        if key not in _RANGE
    ]
    faults += [f".{key}: must be set" for key in ("low", "high") if value.get(key) is None]
    numbers: dict[str, Any] = {
        key: value[key] for key in ("low", "high", "step") if value.get(key) is not None
    }
    for key, number in numbers.items():
        if isinstance(number, bool) or not (
            isinstance(number, int | float) and math.isfinite(number)
        ):
            faults.append(f".{key}: found {shown(number)}. Allowed: a number")
        elif whole and not float(number).is_integer():
            faults.append(f".{key}: found {shown(number)}. Allowed: a whole number, as {path} is")
    log = value.get("log", False)
    if not isinstance(log, bool):
        faults.append(f".log: found {shown(log)}. Allowed: true or false")
    if faults:
        return faults, None
    low, high, step = numbers["low"], numbers["high"], numbers.get("step")
    if low > high:
        faults.append(f": found an empty range, as low {low} is above high {high}")
    elif low == high:
        faults.append(f": found a range of one value. Set {path}={low} instead")
    if log and low <= 0:
        faults.append(f".log: found low {low}. Allowed with log: true: low above 0")
    if log and step is not None:
        faults.append(".step: has no meaning with log: true")
    if step is not None and low < high and not 0 < step <= high - low:
        faults.append(f".step: found {step}. Allowed: above 0, at most {high - low}")
    if whole is None:
        whole = all(isinstance(number, int) for number in numbers.values())
    if step is not None and not faults:
        high = _last_step(low, high, step)
    return faults, Range(path, low, high, step, log, whole)


def _last_step(low: float, high: float, step: float) -> float:
    """The last of the values `low + n step` that is not above `high`, in decimal arithmetic."""
    first, last, by = (Decimal(repr(number)) for number in (low, high, step))
    value = first + (last - first) // by * by
    return int(value) if all(isinstance(one, int) for one in (low, high, step)) else float(value)


def text_of(value: Any) -> str:
    """A value as it stands on a command line, after the `=`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text_of(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(text_of(item) for item in value) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    ends = text.replace("\\", "\\\\") if text.endswith("\\") else text
    return "'" + ends.replace("'", "\\'") + "'"


def check_space(space: Sequence[Dimension], compose: Callable[[Sequence[str]], object]) -> None:
    """Make sure that the options exist and take their values, whichever kinds are chosen.

    Args:
        space: the dimensions.
        compose: settings from the arguments of a trial.

    Raises:
        UserErrors: what is wrong, by the values that bring it to light.
    """
    first = {one.path: one.probes()[0] for one in space}
    probes: list[tuple[str | None, dict[str, str]]] = [(None, first)]
    for one in space:
        probes += [(one.path, first | {one.path: text}) for text in one.probes()[1:]]
    faults: dict[str, None] = {}
    for varied, values in probes:
        try:
            compose([f"{path}={text}" for path, text in values.items()])
        except UserError as error:
            own = error.faults if isinstance(error, UserErrors) else [str(error)]
            where = "tune.space" if varied is None else f"tune.space, {varied}={values[varied]}"
            faults |= dict.fromkeys(f"{where}: {fault}" for fault in own)
            if varied is None:
                # The others would say the same again.
                break
    if faults:
        raise UserErrors(faults)
