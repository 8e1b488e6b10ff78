"""Root-mean-square normalisation."""

from __future__ import annotations

from tagi_cli.nn.layers.layer_norm import RowNormalisation


class RMSNorm(RowNormalisation):
    """Divides each row by the root of its expected mean square; a gain, no bias.

    The mean square of units `N(mu_i, var_i)` is `sum (mu_i^2 + var_i) / n`. It is treated as a
    constant: innovations pass through the scale alone.

    Args:
        normalized_shape: shape of what is normalised together; empty takes the whole row.
        eps: added to the mean square.
        gain_weight: factor on the prior standard deviation of the gains (not on their means, 1).
    """

    kind = "rms_norm"
    centred = 1

    def __init__(
        self,
        normalized_shape: tuple[int, ...] = (),
        eps: float = 1e-6,
        gain_weight: float = 1.0,
    ) -> None:
        super().__init__(normalized_shape, eps, False, gain_weight, 1.0, "mixture")
