"""Layers under objax's names."""

from __future__ import annotations

from tagi_cli.objax.nn import init as init
from tagi_cli.objax.nn.averages import ExponentialMovingAverage as ExponentialMovingAverage
from tagi_cli.objax.nn.averages import MovingAverage as MovingAverage
from tagi_cli.objax.nn.batch_norm import BatchNorm as BatchNorm
from tagi_cli.objax.nn.batch_norm import BatchNorm0D as BatchNorm0D
from tagi_cli.objax.nn.batch_norm import BatchNorm1D as BatchNorm1D
from tagi_cli.objax.nn.batch_norm import BatchNorm2D as BatchNorm2D
from tagi_cli.objax.nn.conv import Conv2D as Conv2D
from tagi_cli.objax.nn.conv import ConvTranspose2D as ConvTranspose2D
from tagi_cli.objax.nn.dropout import Dropout as Dropout
from tagi_cli.objax.nn.init import gain_leaky_relu as gain_leaky_relu
from tagi_cli.objax.nn.init import kaiming_normal as kaiming_normal
from tagi_cli.objax.nn.init import kaiming_normal_gain as kaiming_normal_gain
from tagi_cli.objax.nn.init import kaiming_truncated_normal as kaiming_truncated_normal
from tagi_cli.objax.nn.init import truncated_normal as truncated_normal
from tagi_cli.objax.nn.init import xavier_normal as xavier_normal
from tagi_cli.objax.nn.init import xavier_normal_gain as xavier_normal_gain
from tagi_cli.objax.nn.init import xavier_truncated_normal as xavier_truncated_normal
from tagi_cli.objax.nn.linear import Linear as Linear
from tagi_cli.objax.nn.sequential import Sequential as Sequential
from tagi_cli.objax.nn.synced_batch_norm import SyncedBatchNorm as SyncedBatchNorm
from tagi_cli.objax.nn.synced_batch_norm import SyncedBatchNorm0D as SyncedBatchNorm0D
from tagi_cli.objax.nn.synced_batch_norm import SyncedBatchNorm1D as SyncedBatchNorm1D
from tagi_cli.objax.nn.synced_batch_norm import SyncedBatchNorm2D as SyncedBatchNorm2D
