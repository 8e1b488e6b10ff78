"""The keys of `data.image:`. Kept free of numpy, so that listing options stays cheap."""

from __future__ import annotations

from dataclasses import dataclass

from tagi_cli.options import option


@dataclass(frozen=True)
class ImageOptions:
    """Images: their labels, their scaling, and how training varies them."""

    labels: str | None = option(
        None,
        "File with the labels of `data.path`, IDX or NPY. null: the one beside it of the usual "
        "name (`train-labels-idx1-ubyte`), where that is how such data come.",
        path=True,
    )
    test: str | None = option(
        None, "File or folder with the test images, where `data.path` has none.", path=True
    )
    test_labels: str | None = option(
        None, "File with the labels of `data.image.test`, likewise.", path=True
    )
    classes: int | None = option(
        None,
        "Number of classes, of labels that are numbers from 0 on. null: the labels of the "
        "training part.",
        minimum=2,
    )
    scaling_by: str = option(
        "channel",
        "One scaler per channel, or one per pixel of each channel, both from the training part. A "
        "pixel that hardly varies is scaled by a tenth of its channel's deviation (or range).",
        choices=("channel", "pixel"),
    )
    size: tuple[int, int] | None = option(
        None,
        "Height and width to which images of a folder are resized as they are read. null: they "
        "must have one size.",
        minimum=1,
    )
    crop: tuple[int, int] | None = option(
        None,
        "Height and width of what the network sees: a place drawn anew for each image and epoch in "
        "training, else the middle. null: whole images.",
        minimum=1,
    )
    shift: int = option(
        0,
        "Training images are moved by up to so many pixels each way, drawn anew each epoch; what "
        "comes in at the border is 0.",
        minimum=0,
        maximum=1024,
    )
    flip: bool = option(
        False, "Half of the training images, drawn anew each epoch, are mirrored left to right."
    )
