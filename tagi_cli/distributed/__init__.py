"""Data-parallel training: the processes (ranks) that share each batch, and how they exchange."""

from __future__ import annotations

from tagi_cli.distributed.communicator import ALONE as ALONE
from tagi_cli.distributed.communicator import Communicator as Communicator
from tagi_cli.distributed.connect import BACKENDS as BACKENDS
from tagi_cli.distributed.connect import connect as connect
from tagi_cli.distributed.failure import abort_on_error as abort_on_error
from tagi_cli.distributed.failure import one_message as one_message
from tagi_cli.distributed.failure import together as together
from tagi_cli.distributed.options import DistributedOptions as DistributedOptions
