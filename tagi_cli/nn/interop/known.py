"""Which layers pytagi can read the parameters of."""

from __future__ import annotations

from tagi_cli.errors import UserError
from tagi_cli.nn.interop.info import info
from tagi_cli.nn.interop.naming import Leaf
from tagi_cli.nn.layers.recurrent import Recurrence

_KINDS = {
    "linear", "conv2d", "conv_transpose2d", "avg_pool2d", "max_pool2d", "batch_norm2d",
    "layer_norm", "rms_norm", "embedding", "multihead_attention", "lstm", "slstm", "slinear",
    "recurrence",
}  # fmt: skip


def check_known(leaf: Leaf) -> None:
    """Make sure that pytagi has a layer with parameters, in this form.

    Raises:
        UserError: it has not.
    """
    layer = leaf.layer
    ours = "A .safetensors checkpoint holds it"
    if layer.kind not in _KINDS:
        raise UserError(f"{layer.describe()}: pytagi's files know no such layer. {ours}")
    if layer.children():
        raise UserError(
            f"{layer.describe()}: pytagi's files know no output projection. Allowed: "
            f"output_projection: false. {ours}"
        )
    if isinstance(layer, Recurrence) and layer.reverse:
        raise UserError(f"{info(layer)}: pytagi's files know no layers that run backwards. {ours}")
