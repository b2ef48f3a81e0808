"""The transformer block of E-NeRV (Vaswani et al. 2017, arXiv 1706.03762), without norm layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TransformerBlock"]


class TransformerBlock(nn.Module):
    """x + attention(x), then x + MLP(x): (B, N, C) -> (B, N, C)."""

    def __init__(self, width: int, *, num_heads: int, head_width: int, mlp_width: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        inner = num_heads * head_width
        self.queries_keys_values = nn.Linear(width, 3 * inner, bias=False)
        self.project = nn.Linear(inner, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width), nn.GELU(), nn.Linear(mlp_width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        qkv = self.queries_keys_values(x).unflatten(2, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, head_width)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.project(y.transpose(1, 2).flatten(2))
        z: Tensor = self.mlp(x)
        return x + z
