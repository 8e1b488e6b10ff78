"""What an explanation is of: sums of a network's units, and how they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tagi_cli.data.images.encoder import takes_images
from tagi_cli.errors import UserError
from tagi_cli.nn import Layer, Sequential
from tagi_cli.nn.layers.softmax import ClosedFormSoftmax, Softmax
from tagi_cli.training.learner import Learner

if TYPE_CHECKING:
    from tagi_cli.experiment.model import Model

Host = np.ndarray[Any, Any]

# Of other heads, units are no logarithms of odds.
_LOGITS = (Softmax, ClosedFormSoftmax)


class Explained(NamedTuple):
    """The K outputs of a network that are explained.

    Attributes:
        layer: the network, or of classes what lies below its softmax.
        weights: `(K, units)`, of the units of `layer` in each output.
    """

    layer: Layer
    weights: Host


def of_network(model: Model, network: Learner) -> Explained:
    """What is explained of a network.

    Of numbers their predictive means. Of classes the logits below the softmax, each less the mean
    of the others: the log-odds of the class, `log p_k - mean log p_others`, which with two classes
    is `log(p / (1 - p))`. Unlike probabilities these are sums of Gaussian units, and they do not
    flatten where a class is as good as certain.
    """
    if model.classes is None:
        width = network.noise.units
        chosen = [width * k for k in range(network.outputs)]
        return Explained(network.layer, np.eye(width * network.outputs)[chosen])
    K = len(model.classes)
    below = network.layer.layers[:-1]
    return Explained(Sequential(*below), (K * np.eye(K) - 1) / (K - 1))


def networks_of(model: Model) -> list[Learner]:
    """The networks of a model that can be explained.

    Raises:
        UserError: they carry states, or are no plain networks of columns; or of classes whose
            head has no logits.
    """
    if takes_images(model.encoder):
        raise UserError(
            "this model sees images, and explanations are by column. Allowed: a model of a table "
            "or of series"
        )
    networks = [one for one in model.learners if isinstance(one, Learner)]
    if len(networks) < len(model.learners):
        raise UserError(
            "a latent regression tells by its own subspaces what its outputs depend on "
            "(`tagi angles`, `tagi project`). Allowed: another arch"
        )
    if any(network.tracks for network in networks):
        raise UserError(
            "these networks carry states from row to row, so that a row depends on more "
            "than its window. Allowed: arch.internal_state.tracking=false, with data.in_chunk as "
            "long as the past matters"
        )
    if model.classes is not None and not isinstance(networks[0].layer[-1], _LOGITS):
        raise UserError(
            "the classes of this model have no log-odds, which is what is explained of classes. "
            "Allowed: task.head=softmax or closed_form_softmax"
        )
    return networks


def refuse_classes(model: Model) -> None:
    """Make sure that the outputs are numbers.

    Raises:
        UserError: they are classes.
    """
    if model.classes is not None:
        raise UserError(
            "target: this model predicts classes, and an input is found for a number. Allowed: a "
            "model of numbers; or one for the indicator of a class, 0 or 1, as target"
        )
