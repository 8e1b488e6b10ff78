"""From logits to class probabilities, along the last axis.

Innovations reach each logit through its own probability alone (`J_k = cov(a_k, z_k) / var_z_k`):
the probabilities of one row are treated as independent, as all units are.
"""

from __future__ import annotations

from tagi_cli.nn.layer import Shape
from tagi_cli.nn.layers.activations import Activation
from tagi_cli.nn.parameters import flat_size


class ClassProbabilities(Activation):
    """An activation acting on rows of `K` logits; its kernel is `<kind>_forward`."""

    def sizes(self, batch: int, shape: Shape) -> tuple[int, ...]:
        """Rows and classes."""
        return batch * flat_size(shape[:-1]), shape[-1]


class Softmax(ClassProbabilities):
    """Softmax linearised at the mean of the logits.

    The variance is that of the first-order expansion in all logits of the row, not in one alone.
    """

    kind = "softmax"


class ClosedFormSoftmax(ClassProbabilities):
    """Softmax of Gaussian logits as a ratio of log-normals, with matched moments.

    The means are close to the expected probabilities where the logits' variances are below 1, and
    do not sum to one exactly. Variances above 20 count as 20.
    """

    kind = "closed_form_softmax"


class Remax(ClassProbabilities):
    """Share of each rectified logit in their sum, `max(0, z_k) / sum max(0, z_l)`.

    The rectified logits have their exact moments; their ratio is matched by log-normals. The means
    sum to one.
    """

    kind = "remax"
