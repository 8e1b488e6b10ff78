"""The part of a report on what a latent regression has found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tagi_cli.arch.latent.options import LatentRegressionOptions
from tagi_cli.arch.latent.subspaces import canonical
from tagi_cli.data import Encoder
from tagi_cli.experiment.latent.findings import Findings, findings, subjects_of
from tagi_cli.experiment.latent.scores import OF_REPORT
from tagi_cli.experiment.report.figures import DATA, MODEL, Figure, draw, plain
from tagi_cli.experiment.report.markup import code, gallery, number, safe, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LATENTS_DRAWN = 4
"""Directions of a subspace with a panel of their own; of more, the first ones."""

_LISTED = 60
"""Rows of a table; of more, the first ones."""


def numbers(
    options: LatentRegressionOptions,
    encoder: Encoder,
    learner: object,
    metrics: Mapping[str, Mapping[str, float]],
) -> list[dict[str, Any]]:
    """JSON-able numbers for the report, of each subject; see `numbers_of`.

    Args:
        options: of the architecture.
        encoder: of the data.
        learner: the network to tell of.
        metrics: of each subject.
    """
    return [
        numbers_of(
            findings(options, encoder, learner, s),
            name,
            {key: metrics[name][key] for key in OF_REPORT} if name in metrics else None,
        )
        for s, name in enumerate(subjects_of(learner))
    ]


def numbers_of(
    found: Findings, subject: str = "", metrics: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """JSON-able numbers for the report.

    Subspaces are given by orthonormal columns, those first along which the matrix is largest.

    Args:
        found: what is to be told.
        subject: whose it is; empty where there is one alone.
        metrics: of the subject's test rows.
    """
    variables = {**{f"p.{g}": v for g, v in found.inputs.items()}}
    variables |= {f"u.{h}": v for h, v in found.outputs.items()}
    spaces = []
    for name, matrix in found.spaces.items():
        side, _, group = name.partition(".")
        basis = canonical(matrix, np.eye(matrix.shape[1]), np.eye(matrix.shape[1]))
        spaces.append(
            {
                "side": side,
                "group": group,
                "variables": list(variables[name]),
                "basis": [[_short(v) for v in column] for column in basis.p.T],
            }
        )
    return {
        "subject": subject,
        "metrics": {name: _short(value) for name, value in (metrics or {}).items()},
        "spaces": spaces,
        "singular": [
            {"input": g, "output": h, "values": [_short(v) for v in values]}
            for (g, h), values in found.singular.items()
        ],
        "psi": [
            {"group": h, "variables": list(found.outputs[h]), "values": [_short(v) for v in psi]}
            for h, psi in found.psi.items()
        ],
        "direct": [
            {
                "input": g,
                "output": h,
                "from": list(one.inputs),
                "to": list(one.outputs),
                "mean": [_short(v) for v in one.mean],
                "sd": [_short(v) for v in one.sd],
            }
            for (g, h), one in found.couplings.items()
        ],
    }


def _short(value: float) -> float:
    return float(f"{value:.7g}")


class Section(NamedTuple):
    """What a report shows of a latent regression: nothing where there is none."""

    figures: list[Figure]
    html: str


def section(numbers: Mapping[str, Any]) -> Section:
    """The figures of subspaces, and the part of the report.

    Args:
        numbers: of figures/data.json.
    """
    subjects = numbers.get("latent")
    if not subjects:
        return Section([], "")
    drawn: list[Figure] = []
    html = (
        '<h2>Latents</h2><p class="lead">Subspaces of variables that the latents see (p) and move '
        "(u), in the units of the data, of the first network. What is found again from fit to fit "
        "is what columns span, not single entries.</p>"
    )
    scored = [one for one in subjects if one["metrics"]]
    if scored:
        header = ["subject", *scored[0]["metrics"]]
        rows = [[safe(one["subject"]), *map(number, one["metrics"].values())] for one in scored]
        html += "<h3>Test rows by subject</h3>" + table(header, rows)
    for found in subjects:
        own = _figures(found, len(drawn))
        drawn += own
        if found["subject"]:
            html += f"<h3>Subject {safe(found['subject'])}</h3>"
        html += gallery(own) + _tables(found)
    return Section(drawn, html)


def _figures(found: Mapping[str, Any], before: int) -> list[Figure]:
    """The figures of a subject, of which there are so many of others before."""
    of = f"{plain(found['subject'], 16)}, " if found["subject"] else ""
    spaces = [
        _drawn(f"latent_{before + place}_space", of, space)
        for place, space in enumerate(found["spaces"], 1)
    ]
    before += len(spaces)
    return spaces + [
        _couplings(f"latent_{before + place}_direct", of, one)
        for place, one in enumerate(found["direct"], 1)
    ]


def _tables(found: Mapping[str, Any]) -> str:
    singular = [
        [safe(f"{one['input']} → {one['output']}"), safe("  ".join(map(number, one["values"])))]
        for one in found["singular"]
    ]
    psi = [
        [safe(one["group"]), code(name), number(value), number(float(np.sqrt(value)))]
        for one in found["psi"]
        for name, value in zip(one["variables"], one["values"], strict=True)
    ]
    direct = [
        [code(a), code(b), number(mean), number(sd)]
        for one in found["direct"]
        for a, b, mean, sd in zip(one["from"], one["to"], one["mean"], one["sd"], strict=True)
    ]
    html = (
        '<h4>Singular values</h4><p class="lead">Of the way through the latents at the mean of '
        "the inputs, in standard deviations of outputs for one of inputs.</p>"
        + table(["groups", "values"], singular, text=2)
        + "<h4>Error variances</h4>"
        + _listed(["group", "output", "psi", "its root"], psi)
    )
    if direct:
        html += (
            '<h4>Direct couplings</h4><p class="lead">With standard deviations that count each row '
            "once, however many epochs learnt it.</p>"
        )
        html += _listed(["from", "to", "mean", "sd"], direct)
    return html


def _listed(header: list[str], rows: list[list[str]]) -> str:
    left_out = f'<p class="lead">{_LISTED} of {len(rows)}.</p>' if len(rows) > _LISTED else ""
    return table(header, rows[:_LISTED], text=2) + left_out


def _drawn(name: str, of: str, space: Mapping[str, Any]) -> Figure:
    """Weights of the variables in an orthonormal basis of a subspace."""
    what = "seen by p" if space["side"] == "p" else "moved by u"
    shown, count = space["basis"][:_LATENTS_DRAWN], len(space["basis"])
    more = f" {len(shown)} of {count} directions are drawn." if count > len(shown) else ""
    return draw(
        name,
        f"{of}{plain(space['group'], 24)}: {what}",
        f"Orthonormal directions that span the {count}-dimensional subspace {what}, over the "
        f"{len(space['variables'])} variables of the group.{more}",
        partial(_weights, shown),
    )


def _weights(directions: list[list[float]], axes: Axes) -> None:
    for k, direction in enumerate(directions):
        shade = 1 - 0.65 * k / max(len(directions) - 1, 1)
        places = np.arange(1, len(direction) + 1)
        axes.plot(places, direction, marker="o", ms=3, color=MODEL, alpha=shade)
    _over_places(axes)
    axes.set_ylabel("weight")


def _couplings(name: str, of: str, one: Mapping[str, Any]) -> Figure:
    """Direct couplings with their 90 % intervals."""
    return draw(
        name,
        f"{of}{plain(one['input'], 18)} to {plain(one['output'], 18)}: direct",
        "Direct couplings of variables at the same place of both groups, with central 90 % "
        "intervals.",
        partial(_intervals, one),
    )


def _intervals(one: Mapping[str, Any], axes: Axes) -> None:
    places = np.arange(1, len(one["mean"]) + 1)
    half = 1.645 * np.asarray(one["sd"])
    axes.errorbar(places, one["mean"], half, fmt="o", ms=3, color=MODEL, elinewidth=0.8)
    _over_places(axes)
    axes.set_ylabel("coupling")


def _over_places(axes: Axes) -> None:
    """Variables along the bottom, ticks at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.axhline(0, color=DATA, lw=0.7)
    axes.set_xlabel("variable, by its place in the group")
