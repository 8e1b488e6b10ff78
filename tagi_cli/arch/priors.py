"""Options of the prior, as architectures pass them on to their layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from tagi_cli.nn.init import METHODS, InitOptions
from tagi_cli.options import option


class Prior(TypedDict):
    """Arguments that every layer with weights takes."""

    bias: bool
    gain_weight: float
    gain_bias: float
    init_method: str
    gain_mean: float
    init: InitOptions | None


@dataclass(frozen=True)
class PriorOptions:
    """What the weights and biases of all layers have in common."""

    bias: bool = option(True, "Whether layers have biases.")
    gain_weight: float = option(
        1.0, "Factor on the prior standard deviation of the weights, not on their means.", above=0
    )
    gain_bias: float = option(1.0, "Factor on the prior standard deviation of the biases.", above=0)
    gain_mean: float = option(1.0, "Factor on the spread of the prior means.", minimum=0)
    init_method: str = option(
        "He",
        "Prior scale: `He` is sqrt(1/fan_in), `Xavier` is sqrt(2/(fan_in+fan_out)).",
        choices=METHODS,
    )
    init: InitOptions | None = option(
        None, "What the prior is drawn from, where it is not the normal of `init_method`."
    )

    def prior(self) -> Prior:
        """The arguments for a layer."""
        return {
            "bias": self.bias,
            "gain_weight": self.gain_weight,
            "gain_bias": self.gain_bias,
            "init_method": self.init_method,
            "gain_mean": self.gain_mean,
            "init": self.init,
        }
