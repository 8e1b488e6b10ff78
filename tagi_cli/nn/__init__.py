"""The network library: layers, networks, update rules.

Arrays are `(B, ...)`. A layer maps the mean and variance of its input to those of its output;
backward, innovations travel the other way: a node with prior `(mu, var)` has the posterior
`(mu + var d_mu, var + var^2 d_var)`.
"""

from __future__ import annotations

from tagi_cli.nn.activations import Activation as Activation
from tagi_cli.nn.activations import EvenExp as EvenExp
from tagi_cli.nn.activations import LeakyReLU as LeakyReLU
from tagi_cli.nn.activations import MixtureReLU as MixtureReLU
from tagi_cli.nn.activations import ReLU as ReLU
from tagi_cli.nn.activations import Sigmoid as Sigmoid
from tagi_cli.nn.activations import Softplus as Softplus
from tagi_cli.nn.activations import Tanh as Tanh
from tagi_cli.nn.attention import MultiheadAttention as MultiheadAttention
from tagi_cli.nn.averages import ExponentialMovingAverage as ExponentialMovingAverage
from tagi_cli.nn.averages import MovingAverage as MovingAverage
from tagi_cli.nn.averages import PosteriorAverage as PosteriorAverage
from tagi_cli.nn.batch_norm import BatchNorm2d as BatchNorm2d
from tagi_cli.nn.composites import GraphOptions as GraphOptions
from tagi_cli.nn.composites import SequentialOptions as SequentialOptions
from tagi_cli.nn.composites import build_graph as build_graph
from tagi_cli.nn.composites import build_sequential as build_sequential
from tagi_cli.nn.composites import kinds_of as kinds_of
from tagi_cli.nn.conv import Conv2d as Conv2d
from tagi_cli.nn.conv_transpose import ConvTranspose2d as ConvTranspose2d
from tagi_cli.nn.data_parallel import DataParallel as DataParallel
from tagi_cli.nn.dropout import Dropout as Dropout
from tagi_cli.nn.embedding import Embedding as Embedding
from tagi_cli.nn.graph import Graph as Graph
from tagi_cli.nn.graph import Junction as Junction
from tagi_cli.nn.graph import Node as Node
from tagi_cli.nn.hrc_softmax import HRCSoftmax as HRCSoftmax
from tagi_cli.nn.init import InitOptions as InitOptions
from tagi_cli.nn.layer import Cost as Cost
from tagi_cli.nn.layer import Layer as Layer
from tagi_cli.nn.layer import ShapeError as ShapeError
from tagi_cli.nn.layer_norm import LayerNorm as LayerNorm
from tagi_cli.nn.linear import Linear as Linear
from tagi_cli.nn.lstm import LSTM as LSTM
from tagi_cli.nn.mixtures import MixtureLeakyReLU as MixtureLeakyReLU
from tagi_cli.nn.mixtures import MixtureSigmoid as MixtureSigmoid
from tagi_cli.nn.mixtures import MixtureTanh as MixtureTanh
from tagi_cli.nn.network import Moments as Moments
from tagi_cli.nn.network import Network as Network
from tagi_cli.nn.network import output_shape as output_shape
from tagi_cli.nn.normalisation import Normalisation as Normalisation
from tagi_cli.nn.output_updater import OutputUpdater as OutputUpdater
from tagi_cli.nn.parameters import Parameter as Parameter
from tagi_cli.nn.parameters import Parameters as Parameters
from tagi_cli.nn.parameters import State as State
from tagi_cli.nn.parameters import flat_size as flat_size
from tagi_cli.nn.plan import Plan as Plan
from tagi_cli.nn.plan import Value as Value
from tagi_cli.nn.pooling import AvgPool2d as AvgPool2d
from tagi_cli.nn.pooling import MaxPool2d as MaxPool2d
from tagi_cli.nn.positional_encoding import PositionalEncoding as PositionalEncoding
from tagi_cli.nn.recurrent import Recurrence as Recurrence
from tagi_cli.nn.recurrent_state import CellState as CellState
from tagi_cli.nn.recurrent_state import RecurrentStates as RecurrentStates
from tagi_cli.nn.recurrent_state import recurrences as recurrences
from tagi_cli.nn.registry import build_layer as build_layer
from tagi_cli.nn.registry import registry as registry
from tagi_cli.nn.resnet_block import ResNetBlock as ResNetBlock
from tagi_cli.nn.rms_norm import RMSNorm as RMSNorm
from tagi_cli.nn.scale import Offset as Offset
from tagi_cli.nn.scale import Scale as Scale
from tagi_cli.nn.select import Select as Select
from tagi_cli.nn.sequential import Sequential as Sequential
from tagi_cli.nn.shard import Ranks as Ranks
from tagi_cli.nn.slstm import SLSTM as SLSTM
from tagi_cli.nn.slstm import SLinear as SLinear
from tagi_cli.nn.smoother import Smoothed as Smoothed
from tagi_cli.nn.smoother import Smoother as Smoother
from tagi_cli.nn.softmax import ClosedFormSoftmax as ClosedFormSoftmax
from tagi_cli.nn.softmax import Remax as Remax
from tagi_cli.nn.softmax import Softmax as Softmax
from tagi_cli.nn.structure import Add as Add
from tagi_cli.nn.structure import Concat as Concat
from tagi_cli.nn.structure import Flatten as Flatten
from tagi_cli.nn.structure import Reshape as Reshape
from tagi_cli.nn.structure import Split as Split
from tagi_cli.nn.transpose import Transpose as Transpose

LayerBlock = Sequential
"""A chain inside a chain, as pytagi calls it."""
