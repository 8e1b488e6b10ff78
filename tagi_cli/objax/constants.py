"""Words for options."""

from __future__ import annotations

import enum


class ConvPadding(enum.Enum):
    """Paddings of a convolution that go by a name."""

    SAME = "SAME"
    """As many output pixels as the stride divides the input into, rounded up."""
    VALID = "VALID"
    """No padding."""
