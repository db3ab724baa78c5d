"""Packed attention: each response of a row attends to its own prefix and to itself, never to a sibling.

A row is ``[prefix A][response A1][response A2]...[prefix B][response B1]...``. Registered with transformers under
``TREE_ATTENTION``, so that stock decoder layers use it; the row's layout travels to the layers as the keyword ``tree``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface

from basereward.tree import Tree

TREE_ATTENTION = "basereward_tree"


def tree_attention(module, query, key, value, attention_mask, *, tree: Tree, scaling=None, dropout=0.0, **kwargs):
    """Attention over one packed row; the signature is that of transformers' attention functions.

    Args:
        query: (1, Hq, S, D); key, value: (1, Hkv, S, D) with Hq a multiple of Hkv.
        tree: layout of the row; its pieces cover all S positions.

    Returns:
        (1, S, Hq, D), and None in place of attention weights.
    """
    options = {"scale": scaling, "dropout_p": dropout, "enable_gqa": query.shape[1] != key.shape[1]}
    # One split of the row, not slices of it: the backward of a slice fills a tensor of the size it was cut from.
    segments = zip(*(x.split(tree.sizes, dim=2) for x in (query, key, value)))
    out = []
    for piece in tree.pieces:
        q, prefix_k, prefix_v = next(segments)
        out.append(F.scaled_dot_product_attention(q, prefix_k, prefix_v, is_causal=True, **options))
        for group in piece.groups:
            q, k, v = next(segments)
            k, v = torch.cat([prefix_k, k], dim=2), torch.cat([prefix_v, v], dim=2)
            mask = tree.mask(piece.prefix, group, query.device)
            out.append(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **options))
    return torch.cat(out, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(TREE_ATTENTION, tree_attention)
# The layout says all that a mask would; without this, transformers would build an S x S mask for a name it does not know.
AttentionMaskInterface.register(TREE_ATTENTION, lambda *args, **kwargs: None)
