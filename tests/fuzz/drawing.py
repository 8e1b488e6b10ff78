"""Configs drawn from the schema itself, so that new options and kinds are drawn by themselves.

Whole numbers stay small, and what reaches beyond a process or draws figures is left as it is.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Set
from typing import Any, Literal

from hypothesis import strategies as st

from tagi_cli.config.schema import Option, arms, is_group, named_group, options_of
from tagi_cli.experiment.settings import Settings, registries
from tagi_cli.options import Registry

LEFT_ALONE = {
    "name", "device", "kernels", "metrics", "tracker", "distributed", "viz",
    "data.path", "data.name", "trainer.resume", "trainer.parent", "trainer.max_epochs",
    "trainer.max_seconds", "trainer.threads",
}  # fmt: skip

AMONG = {"data.split_portions": ([0.6, 0.2, 0.2], [0.5, 0.5, 0], [0.5, 0, 0.5], [1, 0, 0])}
"""What options are set to whose values a range does not tell."""

Tree = dict[str, Any]

EXTREMES = (1e-300, 1e-30, 1e-8, 1e8, 1e30, 1e300)
"""Numbers that are rarely meant, and allowed wherever a range does not end before them."""


def chance(times: int) -> st.SearchStrategy[bool]:
    """True once in so many times; False is the simpler."""
    return st.integers(0, times - 1).map(lambda drawn: drawn == times - 1)


@st.composite
def numbers(draw: st.DrawFn, kind: type, option: Option) -> float | int:
    """A number in the range of an option; near its lower bound, and of whole ones a small one."""
    limits = option.limits
    if kind is int:
        least = limits.minimum if limits.minimum is not None else limits.above
        low = -2 if least is None else max(-2, int(least))
        high = low + 6 if limits.maximum is None else min(low + 6, int(limits.maximum))
        return draw(st.integers(low, high))
    extremes = [x for x in EXTREMES if limits.accepts(x)]
    if extremes and draw(chance(8)):
        return draw(st.sampled_from(extremes))
    low = limits.minimum if limits.minimum is not None else limits.above
    high = limits.maximum if limits.maximum is not None else limits.below
    low, high = -10.0 if low is None else low, high if high is not None else (low or 0) + 10.0
    return draw(
        st.floats(
            low,
            high,
            exclude_min=limits.above is not None,
            exclude_max=limits.below is not None,
            allow_subnormal=False,
        )
    )


@st.composite
def values(draw: st.DrawFn, option: Option, words: tuple[str, ...], deep: int = 2) -> Any:
    """What an option may be set to; text is one of `words`."""
    limits = option.limits
    if limits.kinds is not None:
        one = kinds(limits.kinds, words, deep - 1)
        listed = any(typing.get_origin(arm) in (list, tuple) for arm in arms(option.type))
        return draw(st.lists(one, min_size=1, max_size=3) if listed else one)
    return _of_type(draw, draw(st.sampled_from(arms(option.type))), option, words, deep)


def _of_type(
    draw: st.DrawFn, annotation: Any, option: Option, words: tuple[str, ...], deep: int
) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return None
    if origin is Literal:
        return draw(st.sampled_from(arguments))
    if is_group(annotation):
        return draw(groups(annotation, words, deep - 1))
    if (named := named_group(annotation)) is not None:
        return draw(st.dictionaries(st.sampled_from(words), groups(named, words, 0), max_size=2))
    if origin in (list, tuple):
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        count = len(arguments) if fixed else draw(st.integers(0, 3))
        item = arguments if fixed else [arguments[0]] * count
        return [
            _of_type(draw, draw(st.sampled_from(arms(one))), option, words, deep) for one in item
        ]
    if origin in (dict, Mapping):
        one = arguments[1]
        return {key: _of_type(draw, one, option, words, deep) for key in draw(st.sets(
            st.sampled_from(words), max_size=2))}  # fmt: skip
    if option.limits.choices is not None:
        return draw(st.sampled_from(option.limits.choices))
    if annotation is bool:
        return draw(st.booleans())
    if annotation in (int, float):
        return draw(numbers(annotation, option))
    return draw(st.sampled_from(words))


@st.composite
def groups(draw: st.DrawFn, cls: type, words: tuple[str, ...], deep: int = 2) -> Tree:
    """Some options of a class, those without a default always."""
    tree = {}
    for option in options_of(cls):
        if option.limits.path or (deep < 0 and not option.required):
            continue
        if option.required or draw(chance(5)):
            tree[option.name] = draw(values(option, words, deep))
    return tree


@st.composite
def kinds(draw: st.DrawFn, registry: Registry, words: tuple[str, ...], deep: int = 2) -> Tree:
    """A kind of a registry, and some of its options."""
    kind = draw(st.sampled_from(sorted(registry)))
    return {"kind": kind, **draw(groups(registry[kind].options, words, deep))}


@st.composite
def changes(draw: st.DrawFn, words: tuple[str, ...], idle: Set[str] = frozenset()) -> Tree:
    """By dotted path, up to three options of any group, and now and then another kind of one.

    Args:
        words: what text may be.
        idle: paths of options that are not drawn.
    """
    registered = registries()
    found: Tree = {}
    paths: dict[str, Option] = {}
    for option in options_of(Settings):
        if option.name in registered or option.name in LEFT_ALONE:
            continue
        inner = next((arm for arm in arms(option.type) if is_group(arm)), None)
        if inner is None:
            paths[option.name] = option
        else:
            paths |= {f"{option.name}.{below.name}": below for below in options_of(inner)}
    left = LEFT_ALONE | idle
    free = [path for path, option in paths.items() if path not in left and not option.limits.path]
    for path in draw(st.lists(st.sampled_from(free), max_size=3, unique=True)):
        among = AMONG.get(path)
        found[path] = draw(values(paths[path], words) if among is None else st.sampled_from(among))
    for group, registry in registered.items():
        if group not in LEFT_ALONE and draw(chance(8)):
            found[group] = draw(kinds(registry, words))
    return found
