"""The network library: layers, networks, update rules.

Arrays are `(B, ...)`. A layer maps the mean and variance of its input to those of its output;
backward, innovations travel the other way: a node with prior `(mu, var)` has the posterior
`(mu + var d_mu, var + var^2 d_var)`.
"""

from __future__ import annotations

from tagi_cli.nn.composites import GraphOptions as GraphOptions
from tagi_cli.nn.composites import SequentialOptions as SequentialOptions
from tagi_cli.nn.composites import build_graph as build_graph
from tagi_cli.nn.composites import build_sequential as build_sequential
from tagi_cli.nn.composites import nodes as nodes
from tagi_cli.nn.data_parallel import DataParallel as DataParallel
from tagi_cli.nn.graph import Graph as Graph
from tagi_cli.nn.graph import Junction as Junction
from tagi_cli.nn.graph import Node as Node
from tagi_cli.nn.init import InitOptions as InitOptions
from tagi_cli.nn.layer import Cost as Cost
from tagi_cli.nn.layer import Layer as Layer
from tagi_cli.nn.layer import ShapeError as ShapeError
from tagi_cli.nn.layers.activations import Activation as Activation
from tagi_cli.nn.layers.activations import EvenExp as EvenExp
from tagi_cli.nn.layers.activations import LeakyReLU as LeakyReLU
from tagi_cli.nn.layers.activations import MixtureReLU as MixtureReLU
from tagi_cli.nn.layers.activations import ReLU as ReLU
from tagi_cli.nn.layers.activations import Sigmoid as Sigmoid
from tagi_cli.nn.layers.activations import Softplus as Softplus
from tagi_cli.nn.layers.activations import Tanh as Tanh
from tagi_cli.nn.layers.attention import MultiheadAttention as MultiheadAttention
from tagi_cli.nn.layers.averages import ExponentialMovingAverage as ExponentialMovingAverage
from tagi_cli.nn.layers.averages import MovingAverage as MovingAverage
from tagi_cli.nn.layers.averages import PosteriorAverage as PosteriorAverage
from tagi_cli.nn.layers.batch_norm import BatchNorm2d as BatchNorm2d
from tagi_cli.nn.layers.conv import Conv2d as Conv2d
from tagi_cli.nn.layers.conv_transpose import ConvTranspose2d as ConvTranspose2d
from tagi_cli.nn.layers.dropout import Dropout as Dropout
from tagi_cli.nn.layers.embedding import Embedding as Embedding
from tagi_cli.nn.layers.hrc_softmax import HRCSoftmax as HRCSoftmax
from tagi_cli.nn.layers.layer_norm import LayerNorm as LayerNorm
from tagi_cli.nn.layers.linear import Linear as Linear
from tagi_cli.nn.layers.lstm import LSTM as LSTM
from tagi_cli.nn.layers.mixtures import MixtureLeakyReLU as MixtureLeakyReLU
from tagi_cli.nn.layers.mixtures import MixtureSigmoid as MixtureSigmoid
from tagi_cli.nn.layers.mixtures import MixtureTanh as MixtureTanh
from tagi_cli.nn.layers.normalisation import Normalisation as Normalisation
from tagi_cli.nn.layers.pooling import AvgPool2d as AvgPool2d
from tagi_cli.nn.layers.pooling import MaxPool2d as MaxPool2d
from tagi_cli.nn.layers.positional_encoding import PositionalEncoding as PositionalEncoding
from tagi_cli.nn.layers.recurrent import CONTINUES as CONTINUES
from tagi_cli.nn.layers.recurrent import Recurrence as Recurrence
from tagi_cli.nn.layers.resnet_block import ResNetBlock as ResNetBlock
from tagi_cli.nn.layers.rms_norm import RMSNorm as RMSNorm
from tagi_cli.nn.layers.scale import Offset as Offset
from tagi_cli.nn.layers.scale import Scale as Scale
from tagi_cli.nn.layers.select import Select as Select
from tagi_cli.nn.layers.slstm import SLSTM as SLSTM
from tagi_cli.nn.layers.slstm import SLinear as SLinear
from tagi_cli.nn.layers.softmax import ClosedFormSoftmax as ClosedFormSoftmax
from tagi_cli.nn.layers.softmax import Remax as Remax
from tagi_cli.nn.layers.softmax import Softmax as Softmax
from tagi_cli.nn.layers.structure import Add as Add
from tagi_cli.nn.layers.structure import Concat as Concat
from tagi_cli.nn.layers.structure import Flatten as Flatten
from tagi_cli.nn.layers.structure import Reshape as Reshape
from tagi_cli.nn.layers.structure import Split as Split
from tagi_cli.nn.layers.transpose import Transpose as Transpose
from tagi_cli.nn.network import Moments as Moments
from tagi_cli.nn.network import Network as Network
from tagi_cli.nn.network import output_shape as output_shape
from tagi_cli.nn.output_updater import OutputUpdater as OutputUpdater
from tagi_cli.nn.parameters import Parameter as Parameter
from tagi_cli.nn.parameters import Parameters as Parameters
from tagi_cli.nn.parameters import State as State
from tagi_cli.nn.parameters import flat_size as flat_size
from tagi_cli.nn.plan import Plan as Plan
from tagi_cli.nn.plan import Value as Value
from tagi_cli.nn.recurrent_state import CellState as CellState
from tagi_cli.nn.recurrent_state import RecurrentStates as RecurrentStates
from tagi_cli.nn.recurrent_state import recurrences as recurrences
from tagi_cli.nn.recurrent_state import row_states as row_states
from tagi_cli.nn.registry import build_layer as build_layer
from tagi_cli.nn.registry import registry as registry
from tagi_cli.nn.sequential import Sequential as Sequential
from tagi_cli.nn.shard import Ranks as Ranks
from tagi_cli.nn.smoother import Smoothed as Smoothed
from tagi_cli.nn.smoother import Smoother as Smoother

LayerBlock = Sequential
"""A chain inside a chain, as pytagi calls it."""
