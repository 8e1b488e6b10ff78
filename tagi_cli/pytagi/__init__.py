"""A stand-in for pytagi: its names, arguments and conventions over `tagi_cli.nn`.

```python
import tagi_cli.pytagi as pytagi
from tagi_cli.pytagi import nn
```

Arrays go in and out flat, in float32; innovations are those of pre-activations. Where pytagi is
wrong, this package is right; `docs/theory/pytagi.md` lists the differences.
"""

from __future__ import annotations

from tagi_cli.pytagi import cuda as cuda
from tagi_cli.pytagi.metric import HRCSoftmaxMetric as HRCSoftmaxMetric
from tagi_cli.pytagi.nn.hrc_softmax import HRCSoftmax as HRCSoftmax
from tagi_cli.pytagi.randomness import manual_seed as manual_seed
from tagi_cli.pytagi.tagi_utils import Normalizer as Normalizer
from tagi_cli.pytagi.tagi_utils import Utils as Utils
from tagi_cli.pytagi.tagi_utils import exponential_scheduler as exponential_scheduler
from tagi_cli.version import __version__ as __version__
