"""Exchange of parameters with pytagi (cuTAGI): its names, its binary file, its CSV files."""

from __future__ import annotations

from tagi_cli.nn.interop.naming import Leaf as Leaf
from tagi_cli.nn.interop.naming import leaves as leaves
from tagi_cli.nn.interop.naming import load_state_dict as load_state_dict
from tagi_cli.nn.interop.naming import state_dict as state_dict
