"""Options of everything that a config can name: typed dataclass fields, and registries of kinds.

A kind (an architecture, a layer, a noise model, ...) registers its name, a frozen dataclass of
options and a builder beside its own code. The config engine reads these; it imports none of them.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tagi_cli import plugins
from tagi_cli.errors import UserError, listing, nearest


@dataclass(frozen=True)
class Limits:
    """What an option accepts, beyond its type.

    `minimum`/`maximum` include the bound, `above`/`below` exclude it; on a list they hold for each
    item. `choices` lists the allowed values. `kinds` says that each item of the list (or the value
    itself) is a mapping `{kind: <name>, <options of that kind>}` from this registry. `path` says
    that the text is a file path: it counts from the working directory and is made absolute.
    """

    doc: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[Any, ...] | None = None
    kinds: Registry | None = None
    path: bool = False

    def describe(self) -> str:
        """The range in words, e.g. `at least 1`; empty where anything of the type will do."""
        if self.choices is not None:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        words = []
        if self.minimum is not None:
            words.append(f"at least {self.minimum:.15g}")
        if self.above is not None:
            words.append(f"above {self.above:.15g}")
        if self.maximum is not None:
            words.append(f"at most {self.maximum:.15g}")
        if self.below is not None:
            words.append(f"below {self.below:.15g}")
        return " and ".join(words)

    def accepts(self, value: Any) -> bool:
        """Whether a value of the right type lies in the range (None always does)."""
        if isinstance(value, list | tuple):
            return all(self.accepts(item) for item in value)
        if value is None:
            return True
        if self.choices is not None:
            return value in self.choices
        if isinstance(value, str):
            return True
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def option(
    default: Any = dataclasses.MISSING,
    doc: str = "",
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
    kinds: Registry | None = None,
    path: bool = False,
) -> Any:
    """A dataclass field that is a config option; `doc` ends up in the configuration reference.

    Lists are given as a tuple default. An option without default must be set by the user.
    """
    limits = Limits(doc, minimum, maximum, above, below, choices, kinds, path)
    return dataclasses.field(default=default, metadata={"limits": limits})


@dataclass(frozen=True)
class Kind:
    """One registered kind: its name, dataclass of options, builder, and one line for listings.

    `plugin` is what it came with, where it is none of the program's own.
    """

    name: str
    options: type[Any]
    build: Callable[..., Any]
    summary: str
    plugin: plugins.Plugin | None = None


def _kind(name: str, options: type[Any], build: Callable[..., Any]) -> Kind:
    lines = (options.__doc__ or name).strip().splitlines()
    return Kind(name, options, build, lines[0])


class Registry(Mapping[str, Kind]):
    """Kinds of one config group, by name, in the order of their registration.

    Kinds of plugins join when `find` is asked for them.

    Attributes:
        plugins: the entry points that bring more kinds; None where plugins cannot.
    """

    def __init__(
        self,
        group: str,
        plugins: str | None = None,
        adopt: Callable[[str, Any], None] | None = None,
    ) -> None:
        """Make an empty registry.

        Args:
            group: the config group.
            plugins: the group of entry points that brings more kinds.
            adopt: registers what an entry point of this name stands for, and raises where it is
                not what it should be.
        """
        self.group = group
        self.plugins = plugins
        self._adopt = adopt
        # None: of a kind that `_late` makes when it is first asked for.
        self._kinds: dict[str, Kind | None] = {}
        self._late: dict[str, Callable[[], tuple[type[Any], Callable[..., Any]]]] = {}

    @property
    def own(self) -> tuple[str, ...]:
        """Names of the kinds that no plugin brought."""
        return tuple(n for n, kind in self._kinds.items() if kind is None or kind.plugin is None)

    def register(self, name: str, options: type[Any], build: Callable[..., Any]) -> None:
        """Add a kind. Its summary is the first line of the docstring of `options`.

        Each kind has an options class of its own: the class of an options object tells its kind.
        """
        self._refuse_second(name)
        for kind in self._made():
            if kind.options is options:
                raise ValueError(f"{self.group} kinds '{kind.name}' and '{name}' share one class")
        self._kinds[name] = _kind(name, options, build)

    def register_late(
        self, name: str, make: Callable[[], tuple[type[Any], Callable[..., Any]]]
    ) -> None:
        """Add a kind whose options and builder are made when it is first asked for.

        For classes of options that take a while to make, and of which a run needs a few.
        """
        self._refuse_second(name)
        self._kinds[name] = None
        self._late[name] = make

    def _refuse_second(self, name: str) -> None:
        if name in self._kinds:
            raise ValueError(f"{self.group} kind '{name}' is registered twice")

    def _made(self) -> list[Kind]:
        return [kind for kind in self._kinds.values() if kind is not None]

    def find(self, name: str, where: str) -> Kind:
        """The kind of that name; `where` is the config path named in the error.

        Raises:
            UserError: no such kind, or the plugin that brings it cannot be used.
        """
        if name not in self._kinds and not self._find_plugin(name, where):
            known = self.names()
            raise UserError(
                f"{where}: unknown kind '{name}'.{nearest(name, known)} "
                f"Allowed: {listing(known, 60)}"
            )
        return self[name]

    def names(self) -> list[str]:
        """Names of all kinds, those of installed plugins among them, sorted."""
        brought = plugins.installed(self.plugins) if self.plugins else ()
        return sorted({*self._kinds, *(plugin.name for plugin in brought)})

    def _find_plugin(self, name: str, where: str) -> bool:
        """Register the kind of that name if a plugin brings it."""
        plugin = plugins.find(self.plugins, name, where) if self.plugins else None
        if plugin is None or self._adopt is None:
            return False
        plugin.make(where, self._adopt)
        self._kinds[name] = dataclasses.replace(self[name], plugin=plugin)
        return True

    def of(self, options: object) -> Kind:
        """The kind whose options these are, e.g. `registry.of(settings.arch).build(...)`.

        Raises:
            KeyError: no kind was registered with the class of `options`.
        """
        for kind in self._made():  # options of the others cannot exist yet
            if kind.options is type(options):
                return kind
        raise KeyError(
            f"{type(options).__name__} is not the options class of any {self.group} kind"
        )

    def __getitem__(self, name: str) -> Kind:
        kind = self._kinds[name]
        if kind is None:
            kind = self._kinds[name] = _kind(name, *self._late[name]())
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


class Extension(Registry):
    """The kinds of another registry, present and to come, each with some options more.

    `build` makes what the other registry's kind makes; the additional options are for the caller.

    Attributes:
        base: the registry extended.
        extra: the frozen dataclass of the additional options.
    """

    def __init__(self, group: str, base: Registry, extra: type[Any]) -> None:
        super().__init__(group)
        self.base = base
        self.extra = extra

    def _extend(self) -> None:
        for name in [name for name in self.base if name not in self._kinds]:
            self.register_late(name, partial(self._extended, name))

    def _extended(self, name: str) -> tuple[type[Any], Callable[..., Any]]:
        return self._options(self.base[name]), self.base_of

    def _options(self, kind: Kind) -> type[Any]:
        hints = {**typing.get_type_hints(self.extra), **typing.get_type_hints(kind.options)}
        fields: list[Any] = [
            (f.name, hints[f.name], dataclasses.field(default=f.default, metadata=f.metadata))
            for cls in (self.extra, kind.options)
            for f in dataclasses.fields(cls)
        ]
        namespace = {"faults": kind.options.faults} if hasattr(kind.options, "faults") else {}
        made = dataclasses.make_dataclass(
            f"{self.group.capitalize()}{kind.options.__name__}",
            fields,
            frozen=True,
            kw_only=True,
            namespace=namespace,
        )
        made.__doc__ = kind.options.__doc__
        return made

    def base_of(self, options: Any) -> Any:
        """What the extended registry builds from the options that it knows."""
        kind = self.base[self.of(options).name]
        values = {f.name: getattr(options, f.name) for f in dataclasses.fields(kind.options)}
        return kind.build(kind.options(**values))

    @property
    def own(self) -> tuple[str, ...]:
        """See `Registry.own`."""
        return self.base.own

    def names(self) -> list[str]:
        """See `Registry.names`."""
        return self.base.names()

    def find(self, name: str, where: str) -> Kind:
        """See `Registry.find`."""
        self.base.find(name, where)
        self._extend()
        return super().find(name, where)

    def __getitem__(self, name: str) -> Kind:
        self._extend()
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        self._extend()
        return super().__iter__()

    def __len__(self) -> int:
        self._extend()
        return super().__len__()
