"""Layers, networks and output updates under pytagi's names."""

from __future__ import annotations

from tagi_cli.pytagi.nn.activation import ClosedFormSoftmax as ClosedFormSoftmax
from tagi_cli.pytagi.nn.activation import EvenExp as EvenExp
from tagi_cli.pytagi.nn.activation import LeakyReLU as LeakyReLU
from tagi_cli.pytagi.nn.activation import MixtureReLU as MixtureReLU
from tagi_cli.pytagi.nn.activation import MixtureSigmoid as MixtureSigmoid
from tagi_cli.pytagi.nn.activation import MixtureTanh as MixtureTanh
from tagi_cli.pytagi.nn.activation import ReLU as ReLU
from tagi_cli.pytagi.nn.activation import Remax as Remax
from tagi_cli.pytagi.nn.activation import Sigmoid as Sigmoid
from tagi_cli.pytagi.nn.activation import Softmax as Softmax
from tagi_cli.pytagi.nn.activation import Softplus as Softplus
from tagi_cli.pytagi.nn.activation import Tanh as Tanh
from tagi_cli.pytagi.nn.attention import MultiheadAttention as MultiheadAttention
from tagi_cli.pytagi.nn.base_layer import BaseLayer as BaseLayer
from tagi_cli.pytagi.nn.batch_norm import BatchNorm2d as BatchNorm2d
from tagi_cli.pytagi.nn.conv2d import Conv2d as Conv2d
from tagi_cli.pytagi.nn.convtranspose2d import ConvTranspose2d as ConvTranspose2d
from tagi_cli.pytagi.nn.data_struct import BaseDeltaStates as BaseDeltaStates
from tagi_cli.pytagi.nn.data_struct import BaseHiddenStates as BaseHiddenStates
from tagi_cli.pytagi.nn.ddp import DDPConfig as DDPConfig
from tagi_cli.pytagi.nn.ddp import DDPSequential as DDPSequential
from tagi_cli.pytagi.nn.embedding import Embedding as Embedding
from tagi_cli.pytagi.nn.hrc_softmax import HRCSoftmax as HRCSoftmax
from tagi_cli.pytagi.nn.layer_block import LayerBlock as LayerBlock
from tagi_cli.pytagi.nn.layer_norm import LayerNorm as LayerNorm
from tagi_cli.pytagi.nn.linear import Linear as Linear
from tagi_cli.pytagi.nn.lstm import LSTM as LSTM
from tagi_cli.pytagi.nn.output_updater import OutputUpdater as OutputUpdater
from tagi_cli.pytagi.nn.pooling import AvgPool2d as AvgPool2d
from tagi_cli.pytagi.nn.pooling import MaxPool2d as MaxPool2d
from tagi_cli.pytagi.nn.resnet_block import ResNetBlock as ResNetBlock
from tagi_cli.pytagi.nn.rms_norm import RMSNorm as RMSNorm
from tagi_cli.pytagi.nn.sequential import Sequential as Sequential
from tagi_cli.pytagi.nn.slinear import SLinear as SLinear
from tagi_cli.pytagi.nn.slstm import SLSTM as SLSTM
