"""What a model of images says about those in a file or folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tagi_cli.data.images.encoder import ImageEncoder
from tagi_cli.experiment.laws import Law

if TYPE_CHECKING:
    from tagi_cli.experiment.model import Model


def predict_images(model: Model, path: str | Path, *, targets: bool = True) -> Law:
    """Predictions for all images at a path.

    Args:
        model: of images.
        path: a folder, or an IDX, NPZ or NPY file.
        targets: whether to take along their labels; those that no training image has are an error.

    Raises:
        UserError: no images there, or of another size.
    """
    encoder = model.encoder
    assert isinstance(encoder, ImageEncoder)
    law = model.predict_part(encoder.read(path, labels=targets))
    # What is to be reconstructed is always there.
    return law if targets or encoder.classes is None else law.without_targets()
