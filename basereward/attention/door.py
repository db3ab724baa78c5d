"""The functions that stock layers call: registered with transformers under names, one for each choice of ``compute.attention``.

Decoder layers hand over the layout of the row as the keyword ``tree``; a vision tower whose attention's name has ``flash`` in it
calls once for all windows of all pictures, and not once for each.
"""

from __future__ import annotations

from functools import partial

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from basereward.attention.choose import AUTO, CHOICES, pick
from basereward.prefix_keys import PrefixKeys
from basereward.tree import Tree

TREE_ATTENTION = "basereward_tree"
VISION_ATTENTION = "basereward_flash_windows"


def tree_attention(
    module, query, key, value, attention_mask, *, tree: Tree, past: PrefixKeys | None = None, choice=AUTO, scaling=None,
    dropout=0.0, **kwargs,
):  # fmt: skip
    """Attention over one packed row; the signature is that of transformers' attention functions.

    Args:
        query: (1, Hq, S, D); key, value: (1, Hkv, S, D) with Hq a multiple of Hkv.
        tree: layout of the row; its pieces cover all S positions, and what was computed before.
        past: keys of a prefix that several rows share; the first of them leaves them there.
        choice: of ``compute.attention``.

    Returns:
        (1, S, Hq, D), and None in place of attention weights.
    """
    if past is not None:
        key, value = past.joined(module.layer_idx, key, value, tree)
    backend = pick(choice, query, dropout)
    return backend.tree(query, key, value, tree=tree, scale=scaling, dropout=dropout), None


def vision_attention(
    module, query, key, value, attention_mask, *, cu_seq_lens_q: torch.Tensor, max_length_q: int, choice=AUTO, scaling=None,
    dropout=0.0, **kwargs,
):  # fmt: skip
    """Attention of (1, H, T, D) patches within their windows; the signature is that of transformers' flash attention.

    Args:
        cu_seq_lens_q: (windows + 1,) int32, where windows start, and T. max_length_q: patches of the longest.

    Returns:
        (1, T, H, D), and None in place of attention weights.
    """
    backend = pick(choice, query, dropout)
    return backend.windows(query, key, value, ends=cu_seq_lens_q, longest=max_length_q, scale=scaling, dropout=dropout), None


def tree_name(choice: str = AUTO) -> str:
    """Under which a language model's attention is registered. transformers treats masks otherwise where a name has flash in it."""
    return TREE_ATTENTION if choice == AUTO else f"{TREE_ATTENTION}_{choice.removeprefix('flash_')}"


class OfOneModel(str):
    """A name that a copied config does not keep: the copy makes another model, which starts with the stock attention.

    A model that is made from a config with ``flash`` in this name would look for a kernel to download.
    """

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return str, ("sdpa",)


def vision_name(choice: str = AUTO) -> str:
    """Under which a vision tower's attention is registered."""
    return OfOneModel(VISION_ATTENTION if choice == AUTO else f"{VISION_ATTENTION}_{choice}")


for _choice in CHOICES:
    AttentionInterface.register(tree_name(_choice), partial(tree_attention, choice=_choice))
    AttentionInterface.register(str(vision_name(_choice)), partial(vision_attention, choice=_choice))
    # The layout says all that a mask would; without this, transformers would build an S x S mask for a name it does not know.
    AttentionMaskInterface.register(tree_name(_choice), lambda *args, **kwargs: None)
