"""Settings of the whole suite: repeatable property tests, figures without a screen."""

from __future__ import annotations

import os

from hypothesis import settings

# For this process and for the ones that tests start. NumPy needs no such setting: a floating-point
# mistake in it is a warning, and warnings are errors.
os.environ["MPLBACKEND"] = "Agg"

# The same examples on every machine and no time limit per example: a slow machine is no fault.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
