"""Exchange of parameters with pytagi (cuTAGI): its names, its binary file, its CSV files."""

from __future__ import annotations

from tagi_cli.nn.interop.binary import read_binary as read_binary
from tagi_cli.nn.interop.binary import write_binary as write_binary
from tagi_cli.nn.interop.info import info as info
from tagi_cli.nn.interop.naming import Entry as Entry
from tagi_cli.nn.interop.naming import Leaf as Leaf
from tagi_cli.nn.interop.naming import leaves as leaves
from tagi_cli.nn.interop.naming import load_state_dict as load_state_dict
from tagi_cli.nn.interop.naming import parameterised as parameterised
from tagi_cli.nn.interop.naming import state_dict as state_dict
from tagi_cli.nn.interop.text import read_csv as read_csv
from tagi_cli.nn.interop.text import write_csv as write_csv
