"""Bayesian neural networks trained by closed-form Gaussian inference, from config files.

`load("<run folder>")` opens a trained model. Nothing heavy is imported until it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagi_cli.version import __version__ as __version__

if TYPE_CHECKING:
    from tagi_cli.experiment.model import Model


def load(run: str, checkpoint: str = "best") -> Model:
    """Open the model of a run folder; see `tagi_cli.experiment.model.Model`.

    Args:
        run: path of a run folder.
        checkpoint: `best`, `last`, or a checkpoint file or CSV folder.

    Raises:
        UserError: the folder or checkpoint is missing, damaged or of another version.
    """
    from tagi_cli.experiment.model import Model

    return Model.load(run, checkpoint)
