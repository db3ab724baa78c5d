"""Torch's ``scaled_dot_product_attention``, segment by segment: any device, any dtype, and the reference of the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from basereward.attention.base import Backend
from basereward.tree import Tree


class SDPA(Backend):
    """One call for each prefix and each group of responses; windows of one length share a call."""

    name = "sdpa"

    def tree(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, tree: Tree, scale: float | None, dropout: float
    ) -> torch.Tensor:
        """A response's keys are those of its prefix and its own."""
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

    def windows(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, ends: torch.Tensor, longest: int,
        scale: float | None, dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """Windows of one length are a batch: views where all are of one, copies side by side where they are not."""
        lengths = ends.diff().tolist()
        options = {"scale": scale, "dropout_p": dropout}
        if len(set(lengths)) == 1:
            batch = (x[0].unflatten(1, (len(lengths), lengths[0])).transpose(0, 1) for x in (query, key, value))
            return F.scaled_dot_product_attention(*batch, **options).transpose(1, 2).flatten(0, 1)[None]
        parts = [x.split(lengths, dim=2) for x in (query, key, value)]
        out: list[torch.Tensor] = [query] * len(lengths)
        for length in set(lengths):
            members = [i for i, other in enumerate(lengths) if other == length]
            batch = (torch.cat([part[i] for i in members]) for part in parts)
            for i, window in zip(members, F.scaled_dot_product_attention(*batch, **options).split(1)):
                out[i] = window
        return torch.cat(out, dim=2).transpose(1, 2)
