"""What pytagi says of a layer: the line that stands before its parameters in a file."""

from __future__ import annotations

from tagi_cli.nn.graph import Graph
from tagi_cli.nn.layer import Layer, Shape
from tagi_cli.nn.layers.attention import MultiheadAttention
from tagi_cli.nn.layers.conv import Convolution
from tagi_cli.nn.layers.embedding import Embedding
from tagi_cli.nn.layers.geometry import shown
from tagi_cli.nn.layers.pooling import Pooling
from tagi_cli.nn.layers.recurrent import Recurrence
from tagi_cli.nn.parameters import flat_size
from tagi_cli.nn.sequential import Sequential

# Layers that tell nothing but their name, where it is not that of the class.
_NAMES = {"LeakyReLU": "leakyReLU"}


def info(layer: Layer) -> str:
    """Name and sizes as pytagi writes them; sizes that are not known yet are 0."""
    before, after = layer.input_shape or (0,), layer.output_shape or (0,)
    if isinstance(layer, Sequential | Graph):
        name = "LayerBlock" if isinstance(layer, Sequential) else layer.name
        return f"{name}({flat_size(before)},{flat_size(after)})"
    if isinstance(layer, Convolution | Pooling):
        return _sliding(layer, before, after)
    if isinstance(layer, Embedding):
        return f"Embedding({layer.num_embeddings}->{layer.embedding_dim})"
    if isinstance(layer, MultiheadAttention):
        heads = f"heads={layer.num_heads}, kv_heads={layer.num_kv_heads}"
        return f"SelfAttention({heads}, emb_size={layer.embed_dim})"
    if isinstance(layer, Recurrence):
        return f"LSTM({layer.inputs},{layer.cell.units})"
    sizes = [getattr(layer, name, None) for name in ("input_size", "output_size")]
    if None not in sizes:
        return f"{layer.name}({sizes[0]},{sizes[1]})"
    return f"{_NAMES.get(layer.name, layer.name)}()"


def _sliding(layer: Convolution | Pooling, before: Shape, after: Shape) -> str:
    """Channels in and out, width and height of the output, kernel."""
    channels = before[0], after[0]
    if isinstance(layer, Convolution):
        channels = layer.in_channels, layer.out_channels
    _, height, width = after if len(after) == 3 else (0, 0, 0)
    kernel = shown(layer.sliding.kernel)
    return f"{layer.name}({channels[0]},{channels[1]},{width},{height},{kernel})"
