"""A stand-in for objax: the names, arguments and layouts of `objax.nn` over `tagi_cli.nn`.

```python
import tagi_cli.objax as objax

model = objax.nn.Sequential([
    objax.nn.Conv2D(1, 16, 3, strides=2), objax.nn.BatchNorm2D(16), objax.functional.relu,
    objax.functional.flatten, objax.nn.Dropout(0.9), objax.nn.Linear(16 * 14 * 14, 10),
])
train = objax.Trainer(model)
for x, y in batches:
    train(x, y, var_v=0.1)                        # one step of closed-form inference
mu, var = model(images, training=False)
```

A module is called with an array, whose first axis is the batch, or with `Moments(mu, var)`, and
gives `Moments`. There are no gradients: a `Trainer` takes the place of loss and optimiser. Weights
are Gaussians: a `TrainVar` has a `value`, the mean, and a `variance`. `docs/objax.md` lists what
maps to what, and the differences.
"""

from __future__ import annotations

from tagi_cli.nn import Moments as Moments
from tagi_cli.objax import constants as constants
from tagi_cli.objax import functional as functional
from tagi_cli.objax import io as io
from tagi_cli.objax import nn as nn
from tagi_cli.objax import optimizer as optimizer
from tagi_cli.objax import random as random
from tagi_cli.objax.device import use as use
from tagi_cli.objax.module import Lift as Lift
from tagi_cli.objax.module import Module as Module
from tagi_cli.objax.trainer import Trainer as Trainer
from tagi_cli.objax.variable import BaseVar as BaseVar
from tagi_cli.objax.variable import StateVar as StateVar
from tagi_cli.objax.variable import TrainVar as TrainVar
from tagi_cli.objax.variable import VarCollection as VarCollection
from tagi_cli.version import __version__ as __version__
