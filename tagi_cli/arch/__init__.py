"""Named architectures built from layers."""

from __future__ import annotations

from tagi_cli.arch import autoencoder as autoencoder
from tagi_cli.arch import cnn as cnn
from tagi_cli.arch import cnn1d as cnn1d
from tagi_cli.arch import graph as graph
from tagi_cli.arch import lstm as lstm
from tagi_cli.arch import mlp as mlp
from tagi_cli.arch import resnet as resnet
from tagi_cli.arch import sequential as sequential
from tagi_cli.arch import slstm as slstm
from tagi_cli.arch import tcn as tcn
from tagi_cli.arch.latent import building as building
from tagi_cli.arch.registry import registry as registry
from tagi_cli.arch.tasks import faults as faults
from tagi_cli.arch.tasks import for_task as for_task
from tagi_cli.arch.tracking import tracks as tracks
