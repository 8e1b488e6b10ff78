"""What a report shows of images: those that were taken for another class, or reconstructed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagi_cli.data.images.images import Images
from tagi_cli.experiment.class_predictions import ClassPredictions
from tagi_cli.experiment.report import markup
from tagi_cli.experiment.report.figures import ALARM, INK, Figure, draw, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tagi_cli.data.parts import Part
    from tagi_cli.experiment.laws import Law

WRONG, REBUILT = 24, 6
"""Images shown: those predicted wrong, most surely so first; and those reconstructed."""

_COLUMNS = 6
_SEAM = 0.06
_LARGEST = 96 * 96
"""Pixels of an image in the report; of a larger one every so many-th is shown."""

Bytes = NDArray[np.uint8]


class Section(NamedTuple):
    """A part of the report."""

    figures: list[Figure]
    html: str


def numbers_of(law: Law, part: Part) -> dict[str, Any]:
    """JSON-able numbers for the report, images as base64 of their bytes; empty without images.

    `range` (least and greatest byte shown), `shape` (channels, height and width shown), and `wrong`
    (`pixels`, `label`, `predicted`, `probability` and `row` of each) or `rebuilt` (`pixels`,
    `mean` and `sd`, these on a scale of 0 to 255 up to `largest_sd`).
    """
    if not isinstance(part.x, Images):
        return {}
    if isinstance(law, ClassPredictions):
        return _wrong(law, part.x)
    rows = np.unique(np.linspace(0, len(law.places) - 1, REBUILT).round().astype(np.int64))
    shown = part.x[rows].raw()
    mean = law.mean[rows].reshape(shown.shape)
    sd = law.sd_epistemic[rows].reshape(shown.shape)
    largest = float(sd.max())
    sds = np.round(sd * (255 / largest if largest > 0 else 0)).astype(np.uint8)
    means = np.clip(np.round(mean), 0, 255).astype(np.uint8)
    return {
        "range": [int(shown.min()), int(shown.max())],
        "shape": list(_thinned(shown).shape[1:]),
        "largest_sd": float(f"{largest:.4g}"),
        "rebuilt": [
            {"pixels": _text(a), "mean": _text(b), "sd": _text(c)}
            for a, b, c in zip(*(_thinned(one) for one in (shown, means, sds)), strict=True)
        ],
    }


def _wrong(law: ClassPredictions, x: Images) -> dict[str, Any]:
    if law.label is None:
        return {}
    confidence, guess = law.mean.max(axis=1), law.predicted
    wrong = np.flatnonzero(~np.isnan(law.label) & (guess != law.label))
    if not len(wrong):
        return {}
    rows = wrong[np.argsort(-confidence[wrong], kind="stable")[:WRONG]]
    shown = _thinned(x[rows].raw())
    return {
        "range": [int(shown.min()), int(shown.max())],
        "shape": list(shown.shape[1:]),
        "count": len(wrong),
        "wrong": [
            {
                "pixels": _text(image),
                "label": law.classes[int(law.label[row])],
                "predicted": law.classes[int(guess[row])],
                "probability": float(f"{confidence[row]:.4g}"),
                "row": int(law.places.rows[row]),
            }
            for image, row in zip(shown, rows.tolist(), strict=True)
        ],
    }


def section(numbers: Mapping[str, Any]) -> Section:
    """The figures of images, and the part of the report that shows them."""
    found = numbers.get("images")
    if not found:
        return Section([], "")
    split = next(iter(numbers["splits"]), "")
    if "wrong" in found:
        n, count = len(found["wrong"]), found["count"]
        some = f"The {n} of them that the model was surest of" if n < count else "All of them"
        figure = draw(
            f"{split}_wrong_images",
            "Images taken for another class",
            f"{count:,} images of the {split} part were taken for another class. {some}: their "
            "label, then the class predicted and its probability.",
            lambda axes: _paint_wrong(found, axes),
        )
        heading = "Mistakes"
    else:
        figure = draw(
            f"{split}_reconstructions",
            "Reconstructions",
            f"Images of the {split} part, the mean predicted for each, and how unsure the network "
            "is of it: the epistemic standard deviation of its pixels, from 0 (white) to "
            f"{found['largest_sd']:g} (black).",
            lambda axes: _paint_rebuilt(found, axes),
        )
        heading = "Reconstructions"
    return Section([figure], f"<h2>{heading}</h2>{markup.gallery([figure])}")


def _paint_wrong(found: Mapping[str, Any], axes: Axes) -> None:
    # Above each image there is a line of text.
    above = 0.3
    for place, one in enumerate(found["wrong"]):
        row, column = divmod(place, _COLUMNS)
        top = row * (1 + above) + above
        _tile(axes, _shown(one["pixels"], found), column, top)
        text = f"{plain(one['label'], 8)} → {plain(one['predicted'], 8)}"
        share = f"{100 * one['probability']:.0f} %"
        for line, words in enumerate((text, share)):
            colour = INK if line == 0 else ALARM
            y = top - above + 0.12 * (line + 1)
            axes.text(column, y, words, fontsize=4.5, color=colour, va="center")
    rows = -(-len(found["wrong"]) // _COLUMNS)
    _frame(axes, min(len(found["wrong"]), _COLUMNS), rows * (1 + above))


def _paint_rebuilt(found: Mapping[str, Any], axes: Axes) -> None:
    for column, one in enumerate(found["rebuilt"]):
        _tile(axes, _shown(one["pixels"], found), column, 0)
        _tile(axes, _shown(one["mean"], found), column, 1)
        _tile(axes, _shown(one["sd"], found, (0, 255)), column, 2, dark=True)
    _frame(axes, len(found["rebuilt"]), 3)


def _tile(axes: Axes, image: NDArray[Any], x: float, y: float, *, dark: bool = False) -> None:
    side = 1 - _SEAM
    axes.imshow(
        image,
        extent=(x, x + side, y + side, y),
        cmap="gray_r" if dark else "gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )


def _frame(axes: Axes, width: float, height: float) -> None:
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")
    axes.set_anchor("NW")
    axes.set_axis_off()


def _shown(
    text: str, found: Mapping[str, Any], limits: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """`(H, W)` of one channel, `(H, W, 3)` of colours, between 0 and 1."""
    low, high = limits or found["range"]
    C, H, W = found["shape"]
    values = np.frombuffer(base64.b64decode(text), np.uint8).reshape(C, H, W)
    scaled = np.clip((values - float(low)) / max(high - low, 1), 0, 1)
    return scaled[:3].transpose(1, 2, 0) if C >= 3 else scaled[0]


def _thinned(images: Bytes) -> Bytes:
    step = int(np.ceil(np.sqrt(images.shape[2] * images.shape[3] / _LARGEST)))
    return images[:, :, ::step, ::step]


def _text(image: Bytes) -> str:
    return base64.b64encode(np.ascontiguousarray(image).tobytes()).decode()
