"""Arrays and kernels: where a plan's calls run."""

from __future__ import annotations

from tagi_cli.backend.base import Array as Array
from tagi_cli.backend.base import Backend as Backend
from tagi_cli.backend.base import Call as Call
from tagi_cli.backend.base import Segment as Segment
from tagi_cli.backend.base import countable as countable
from tagi_cli.backend.base import host_copy as host_copy
from tagi_cli.backend.base import overwrite as overwrite
from tagi_cli.backend.select import select as select
