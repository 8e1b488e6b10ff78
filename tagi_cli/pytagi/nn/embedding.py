"""Embedding of integer ids."""

from __future__ import annotations

from tagi_cli import nn
from tagi_cli.pytagi.nn.base_layer import BaseLayer


class Embedding(BaseLayer):
    """Table of Gaussian vectors, picked by ids.

    Args:
        num_embeddings: number of ids.
        embedding_dim: length of each vector.
        input_size: ids in a row; 0 takes it from the input.
        scale: prior standard deviation, of the means and in the variances.
        padding_idx: id whose vector is zero and never learnt; -1 for none.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        input_size: int = 0,
        scale: float = 1.0,
        padding_idx: int = -1,
    ) -> None:
        super().__init__()
        self._layer = nn.Embedding(num_embeddings, embedding_dim, input_size, scale, padding_idx)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.scale = scale
        self.padding_idx = padding_idx
        self.init_weight_bias()

    def _drawable(self) -> bool:
        return True

    def _input_shape(self) -> tuple[int, ...] | None:
        size = getattr(self._layer, "input_size", 0)
        return (size,) if size else None
