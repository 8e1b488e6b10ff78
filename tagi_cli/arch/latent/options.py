"""Latent regression as configs describe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tagi_cli import nn
from tagi_cli.arch.latent.learner import DAMPING
from tagi_cli.arch.latent.maps import LinearOptions, maps
from tagi_cli.arch.latent.request import CONVENTIONS, INITS
from tagi_cli.arch.latent.shrinkage import ARD, ROWS, Lasso, Shrinkage
from tagi_cli.arch.latent.subjects import MODES
from tagi_cli.errors import listing, nearest
from tagi_cli.options import Limits, Registry, option

shrinkages = Registry("shrinkage")
"""Kinds of priors that are renewed after each epoch; `kind.build(options)` gives a `Shrinkage`."""

SOURCES = ("learn", "given", "none")

SHARED_MAP = "m.shared"
SHARES = (SHARED_MAP, "nothing")


@dataclass(frozen=True)
class ARDOptions:
    """A precision for each variable or each latent, learnt too."""

    by: str = option("row", "row: one per variable; column: one per latent.", choices=ROWS)
    shape: float = option(1e-3, "Shape of the Gamma prior of precisions.", minimum=0)
    rate: float = option(1e-3, "Rate of the Gamma prior; larger allows larger precisions.", above=0)


@dataclass(frozen=True)
class LassoOptions:
    """A Laplace prior on each entry."""

    rate: float = option(doc="Rate of the Laplace density.", above=0)


def _ard(options: ARDOptions) -> Shrinkage:
    return ARD(options.by, options.shape, options.rate)


def _lasso(options: LassoOptions) -> Shrinkage:
    return Lasso(options.rate)


shrinkages.register("ard", ARDOptions, _ard)
shrinkages.register("lasso", LassoOptions, _lasso)


@dataclass(frozen=True)
class ParameterOptions:
    """Where a parameter of a group begins, and whether it is learnt."""

    source: str = option(
        "learn",
        "learn: from the prior of the model; given: from `path`.",
        choices=SOURCES[:2],
    )
    path: str | None = option(
        None,
        "CSV file without a header: a line for each variable of the group, a number for each "
        "latent (of scales, offsets and psi one). In units of the scaled data; with "
        "data.scaling_method=none these are those of the file.",
        path=True,
    )
    sd: float | None = option(
        None,
        "Prior standard deviation round what is given. null: it is certain, and not learnt.",
        above=0,
    )
    train: bool = option(True, "Whether it is learnt; if not, it keeps mean and variance.")

    def faults(self) -> list[str]:
        """A file is given exactly where it is asked for."""
        if (self.source == "given") != (self.path is not None):
            found = f"'{self.path}'" if self.path else "null"
            return [f".path: found {found} beside source '{self.source}'. Allowed: both, or none"]
        if self.sd is not None and self.source != "given":
            return [f".sd: has no meaning beside source '{self.source}'. Allowed: null"]
        return []


@dataclass(frozen=True)
class OptionalParameterOptions(ParameterOptions):
    """The same for a parameter that a group has only where it is asked for."""

    source: str = option(
        "none",
        "none: there is none; learn: from the prior of the model; given: from `path`.",
        choices=SOURCES,
    )


@dataclass(frozen=True)
class InputGroupOptions:
    """A group of input variables."""

    columns: tuple[str, ...] = option(doc="Input columns, by name or pattern (`a*`), in order.")
    latents: int = option(doc="Latents that the group is projected on.", minimum=1)
    lag: int = option(
        0, "Rows back from the one predicted; `data.in_chunk` must reach so far.", minimum=0
    )
    p: ParameterOptions = field(default_factory=ParameterOptions)

    def faults(self) -> list[str]:
        """A group holds something."""
        return _group_faults(self.columns)


@dataclass(frozen=True)
class OutputGroupOptions:
    """A group of output variables."""

    columns: tuple[str, ...] = option(doc="Targets, by name or pattern (`y*`), in order.")
    latents: int = option(doc="Latents that the group is read from.", minimum=1)
    s: tuple[Any, ...] = option(
        (), "Layers behind u, each `{kind: ..., <options>}`.", kinds=nn.registry
    )
    u: ParameterOptions = field(default_factory=ParameterOptions)
    scales: OptionalParameterOptions = field(default_factory=OptionalParameterOptions)
    offsets: OptionalParameterOptions = field(default_factory=OptionalParameterOptions)
    psi: ParameterOptions = field(default_factory=ParameterOptions)
    couplings: dict[str, ParameterOptions] = field(
        default_factory=dict,
        metadata={
            "limits": Limits(
                "By input group, where direct couplings begin, and whether they are learnt; the "
                "pair must be in `arch.direct`. Others are learnt."
            )
        },
    )

    def faults(self) -> list[str]:
        """A group holds something."""
        return _group_faults(self.columns)


def _group_faults(columns: tuple[str, ...]) -> list[str]:
    return [] if columns else [".columns: the list is empty; name at least one column"]


@dataclass(frozen=True)
class SubjectsOptions:
    """Models of several subjects, which `data.instance` names, in one network."""

    share: str | None = option(
        None,
        "null: all rows are of one subject. Else each has its own modes, scales, offsets, "
        "couplings, error variances and, where `arch.m` is of kind parts, `arch.m.specific`. "
        "m.shared: they have `arch.m.shared` in common, or all of `arch.m` of another kind; "
        "nothing: each has all for itself.",
        choices=SHARES,
    )
    mode: str = option(
        "interleave",
        "interleave: batches of all subjects in random order. align-chain: subject by subject, "
        "those of most rows first; a later one is first aligned with the map as it is. chain: the "
        "same without alignment, which damages earlier subjects.",
        choices=MODES,
    )
    passes: int = option(
        10, "Epochs of each subject in a chain, which `trainer.max_epochs` must allow.", minimum=1
    )
    release: int = option(
        1, "Epochs after each alignment in which the shared map learns, too.", minimum=0
    )
    map_from: str | None = option(
        None,
        "Run folder of several subjects whose shared map (that of its first network) these begin "
        "with, in place of one drawn. align-chain aligns all of them with it; release: 0 leaves it "
        "as it is.",
        path=True,
    )
    damage: bool = option(False, "Whether earlier subjects may get worse, as `mode: chain` asks.")

    def faults(self) -> list[str]:
        """Chains have a map to hand on, and harm is allowed before it is done."""
        found = []
        if self.share != SHARED_MAP and self.mode != "interleave":
            found.append(
                f".mode: '{self.mode}' hands a shared map from subject to subject, but share is "
                f"{self.share or 'null'}. Allowed: interleave, or share: {SHARED_MAP}"
            )
        elif self.map_from is not None and self.share != SHARED_MAP:
            found.append(
                f".map_from: found '{self.map_from}', but share is {self.share or 'null'}. "
                f"Allowed: null, or share: {SHARED_MAP}"
            )
        elif self.mode == "chain" and not self.damage:
            found.append(
                ".mode: 'chain' makes predictions for earlier subjects worse. Allowed: interleave, "
                "align-chain, or chain with damage: true"
            )
        return found

    def remarks(self) -> list[str]:
        """Options that were set and have no effect beside the others, one message each."""
        modes = {
            "passes": ("align-chain", "chain"),
            "release": ("align-chain",),
            "damage": ("chain",),
        }
        return [
            f"arch.subjects.{name} has no effect beside arch.subjects.mode={self.mode}"
            for name, used in modes.items()
            if self.mode not in used and getattr(self, name) != getattr(SubjectsOptions, name)
        ]


@dataclass(frozen=True)
class LatentRegressionOptions:
    """Latent regression: groups of outputs from groups of inputs, through a few latents."""

    inputs: dict[str, InputGroupOptions] = option(
        doc="Input groups by name, each `{columns: [...], latents: ...}`."
    )
    outputs: dict[str, OutputGroupOptions] = option(
        doc="Output groups by name, each `{columns: [...], latents: ...}`. Each target is in one."
    )
    m: Any = option(
        LinearOptions(),
        "Map from the projected latents of all input groups to the transformed ones of all output "
        "groups.",
        kinds=maps,
    )
    direct: tuple[tuple[str, str], ...] = option(
        (),
        "Pairs [input group, output group] of as many variables, each of which is coupled to the "
        "one at its place directly.",
    )
    init: str = option(
        "tagi",
        "tagi: scales begin at 1, noise at the variance of the outputs; janelia: scales near 0, "
        "noise at 0.1 to 0.2 of it, as in janelia_core.",
        choices=INITS,
    )
    scale_spread: float = option(
        0.01, "Standard deviation of the prior means of scales, beside init: janelia.", above=0
    )
    noise_range: tuple[float, float] = option(
        (0.1, 0.2),
        "Range that error variances are drawn from at first, in scaled units, beside init: "
        "janelia.",
        above=0,
    )
    gain_mean: float = option(1.0, "Factor on the spread of the prior means of p and u.", above=0)
    gain_weight: float = option(
        1.0, "Factor on the prior standard deviation of p and u, not on their means.", above=0
    )
    direct_spread: float = option(
        0.1, "Standard deviation of the prior means of direct couplings round 0.", minimum=0
    )
    restarts: int = option(
        1,
        "Fits from different initial values, side by side; the one with the lowest predictive "
        "negative log density over the last epoch counts.",
        minimum=1,
    )
    send_size: int | None = option(
        None,
        "Rows of a batch that are run through at a time, which bounds memory and changes nothing "
        "else. null: the whole batch.",
        minimum=1,
    )
    damping: str = option(
        "auto",
        "Whether the rows of a batch count as telling the same, which keeps large batches from "
        "overshooting. auto: while steps might overshoot.",
        choices=DAMPING,
    )
    subjects: SubjectsOptions = field(default_factory=SubjectsOptions)
    p_shrinkage: Any | None = option(
        None, "Prior of p that is renewed after each epoch. null: none.", kinds=shrinkages
    )
    u_shrinkage: Any | None = option(None, "The same for u.", kinds=shrinkages)
    l1_p_lambda: float | None = option(
        None,
        "Penalty of janelia_core on p. It becomes a Laplace prior (p_shrinkage of kind lasso), "
        "whose rate follows from the number of training rows.",
        above=0,
    )
    l1_u_lambda: float | None = option(None, "The same for u.", above=0)
    l1_convention: str = option(
        "code",
        "What a penalty counts: code: the mean of the entries; docs: their sum.",
        choices=CONVENTIONS,
    )

    def faults(self) -> list[str]:
        """There are groups, pairs name them, and nothing is said twice."""
        found = []
        for key in ("inputs", "outputs"):
            if not getattr(self, key):
                found.append(f".{key}: the mapping is empty; give at least one group")
        for key in ("scale_spread", "noise_range"):
            value = getattr(self, key)
            if self.init != "janelia" and value != getattr(LatentRegressionOptions, key):
                found.append(
                    f".{key}: has no meaning beside init '{self.init}'. Allowed: to leave it out, "
                    "or init: janelia"
                )
        if self.noise_range[0] > self.noise_range[1]:
            found.append(
                f".noise_range: found {list(self.noise_range)}. Allowed: the lower end first"
            )
        for i, (g, h) in enumerate(self.direct):
            for name, key, side in ((g, "inputs", "input"), (h, "outputs", "output")):
                known = getattr(self, key)
                if name not in known:
                    found.append(
                        f".direct.{i}: no {side} group '{name}'.{nearest(name, known)} Allowed: "
                        f"{listing(list(known))}"
                    )
            if (g, h) in self.direct[:i]:
                found.append(f".direct.{i}: [{g}, {h}] stands there already. Allowed: once")
        for h, group in self.outputs.items():
            for g in group.couplings:
                if (g, h) not in self.direct:
                    coupled = [a for a, b in self.direct if b == h]
                    found.append(
                        f".outputs.{h}.couplings.{g}: [{g}, {h}] is no pair of arch.direct. "
                        f"Allowed: {listing(coupled) if coupled else 'none'}"
                    )
        for role in ("p", "u"):
            if getattr(self, f"{role}_shrinkage") and getattr(self, f"l1_{role}_lambda"):
                found.append(
                    f".l1_{role}_lambda: contradicts {role}_shrinkage, which says the same in "
                    "other words. Allowed: one of them"
                )
        return found
