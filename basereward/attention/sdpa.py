"""Tree attention by torch's ``scaled_dot_product_attention``, segment by segment: any device, any dtype, and the reference."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from basereward.tree import Tree


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, tree: Tree, scale: float | None, dropout: float
) -> torch.Tensor:
    """(1, Hq, S, D) queries and (1, Hkv, past + S, D) keys and values of a row -> (1, S, Hq, D)."""
    options = {"scale": scale, "dropout_p": dropout, "enable_gqa": query.shape[1] != key.shape[1]}
    # One split of the row, not slices of it: the backward of a slice fills a tensor of the size it was cut from.
    segments = zip(query.split(tree.query_sizes, dim=2), key.split(tree.sizes, dim=2), value.split(tree.sizes, dim=2))
    out = []
    for piece in tree.pieces:
        q, prefix_k, prefix_v = next(segments)
        if q.shape[2]:
            out.append(F.scaled_dot_product_attention(q, prefix_k, prefix_v, is_causal=True, **options))
        for group in piece.groups:
            q, k, v = next(segments)
            k, v = torch.cat([prefix_k, k], dim=2), torch.cat([prefix_v, v], dim=2)
            mask = tree.mask(piece.prefix, group, query.device)
            out.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **options))
    return torch.cat(out, dim=2).transpose(1, 2).contiguous()
