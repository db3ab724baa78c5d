"""The function that decoder layers call: registered with transformers, and told the layout of the row by the keyword ``tree``."""

from __future__ import annotations

from transformers import AttentionInterface, AttentionMaskInterface

from basereward.attention import sdpa
from basereward.prefix_keys import PrefixKeys
from basereward.tree import Tree

TREE_ATTENTION = "basereward_tree"


def tree_attention(
    module, query, key, value, attention_mask, *, tree: Tree, past: PrefixKeys | None = None, scaling=None, dropout=0.0, **kwargs
):
    """Attention over one packed row; the signature is that of transformers' attention functions.

    Args:
        query: (1, Hq, S, D); key, value: (1, Hkv, S, D) with Hq a multiple of Hkv.
        tree: layout of the row; its pieces cover all S positions, and what was computed before.
        past: keys of a prefix that several rows share; the first of them leaves them there.

    Returns:
        (1, S, Hq, D), and None in place of attention weights.
    """
    if past is not None:
        key, value = past.joined(module.layer_idx, key, value, tree)
    return sdpa.attend(query, key, value, tree=tree, scale=scaling, dropout=dropout), None


AttentionInterface.register(TREE_ATTENTION, tree_attention)
# The layout says all that a mask would; without this, transformers would build an S x S mask for a name it does not know.
AttentionMaskInterface.register(TREE_ATTENTION, lambda *args, **kwargs: None)
