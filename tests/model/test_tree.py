"""The tree: its mask against the definition, and tree attention against dense attention under that mask."""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F

import basereward.tree
from basereward.attention.door import tree_attention
from basereward.tree import Piece, Tree, response_mask


@pytest.fixture(autouse=True, params=[4096, 10], ids=["joint", "apart"])
def calls(request, monkeypatch) -> None:
    """Short responses share an attention call, long ones have one each; both ways are tested on the same rows."""
    monkeypatch.setattr(basereward.tree, "WASTED_PAIRS_PER_CALL", request.param)


def row(seed: int, num_pieces: int = 3) -> tuple[Piece, ...]:
    """Pieces side by side: prefixes of 1 to 9 tokens, 1 to 5 responses of 1 to 7 tokens."""
    rng, pieces, at = random.Random(seed), [], 0
    for _ in range(num_pieces):
        middle = at + rng.randint(1, 9)
        ends = [middle + rng.randint(1, 7)]
        while len(ends) < rng.randint(1, 5):
            ends.append(ends[-1] + rng.randint(1, 7))
        pieces.append(Piece(at, middle, tuple(ends)))
        at = ends[-1]
    return tuple(pieces)


def sees(piece: Piece, query: int, key: int) -> bool:
    """The definition: nothing later; all of the own prefix; of the responses only one's own."""
    if key > query or not piece.start <= key < piece.ends[-1] or not piece.start <= query < piece.ends[-1]:
        return False
    if key < piece.prefix_end:
        return True
    return all((query < end) == (key < end) for end in piece.ends)


def dense_mask(pieces: tuple[Piece, ...]) -> torch.Tensor:
    total = pieces[-1].ends[-1]
    return torch.tensor([[any(sees(p, q, k) for p in pieces) for k in range(total)] for q in range(total)])


def test_mask_by_hand():
    """Prefix of 2, responses of 2 and 1."""
    expected = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert response_mask(2, (2, 1)).int().tolist() == expected


def test_responses_go_together_or_apart(request):
    """3 + 4 tokens: 7^2 - 3^2 - 4^2 = 24 pairs of siblings, above 10 for each of 2 calls and far below 4096."""
    apart = request.node.callspec.id == "apart"
    piece = Piece(5, 7, (10, 14))
    assert piece.groups == (((3,), (4,)) if apart else ((3, 4),))
    assert Tree((piece,)).sizes == ([2, 3, 4] if apart else [2, 7])
    assert Piece(0, 300, (450, 600)).groups == ((150,), (150,))


@pytest.mark.parametrize("seed", range(20))
def test_mask_is_the_definition(seed):
    for piece in row(seed):
        keys = range(piece.start, piece.ends[-1])
        expected = [[sees(piece, q, k) for k in keys] for q in range(piece.prefix_end, piece.ends[-1])]
        lengths = tuple(n for group in piece.groups for n in group)
        assert response_mask(piece.prefix, lengths).tolist() == expected


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_attention_is_dense_attention_under_the_mask(seed, kv_heads):
    """Outputs and gradients, in float64, grouped queries included."""
    pieces = row(seed)
    total, generator = pieces[-1].ends[-1], torch.Generator().manual_seed(seed)
    query = torch.randn(1, 4, total, 8, dtype=torch.float64, generator=generator, requires_grad=True)
    key, value = (torch.randn(1, kv_heads, total, 8, dtype=torch.float64, generator=generator, requires_grad=True) for _ in "kv")
    found, weights = tree_attention(None, query, key, value, None, tree=Tree(pieces), scaling=0.3)
    wide = [x.repeat_interleave(4 // kv_heads, dim=1) for x in (key, value)]
    scores = (query @ wide[0].mT * 0.3).masked_fill(~dense_mask(pieces), -torch.inf)
    expected = (F.softmax(scores, -1) @ wide[1]).transpose(1, 2)
    assert weights is None and found.shape == (1, total, 4, 8)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    upstream = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    ours, theirs = (torch.autograd.grad(out, (query, key, value), upstream) for out in (found, expected))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_one_mask_serves_all_layers():
    tree = Tree(row(0))
    assert tree.mask(4, (2, 3), torch.device("cpu")) is tree.mask(4, (2, 3), torch.device("cpu"))


def test_a_mask_follows_the_device():
    """A pack that moves between devices does not meet the mask of the last one."""
    tree = Tree(row(0))
    for device in ("cpu", "meta", "cpu"):
        assert tree.mask(4, (2, 3), torch.device(device)).device.type == device
