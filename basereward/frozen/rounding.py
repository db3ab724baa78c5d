"""Features as rows of numbers -> what is kept of them: as they are, in another float type, or in 8 bits with scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

DTYPES = ("float32", "bfloat16", "int8")
# Columns that share a scale. A vision tower has channels many times larger than the others; with one scale for a whole row they
# would leave a few of the 255 steps to the rest.
GROUP = 128

Rows = dict[str, torch.Tensor]
"""``0``, ``1``, ... (N, W): the matrices; ``0.scale`` (N, W / group) where a matrix is in 8 bits. All have one row per token."""


def to_rows(matrices: Sequence[torch.Tensor], dtype: str | None) -> Rows:
    """Matrices of N rows each as they are kept; ``None`` keeps their own dtype, and so loses nothing."""
    rows: Rows = {}
    for number, matrix in enumerate(matrices):
        if dtype == "int8":
            rows[f"{number}"], rows[f"{number}.scale"] = to_int8(matrix)
        else:
            rows[f"{number}"] = matrix if dtype is None else matrix.to(getattr(torch, dtype))
    return rows


def from_rows(rows: Mapping[str, torch.Tensor], compute: torch.dtype | None) -> list[torch.Tensor]:
    """The matrices; in ``compute`` where they were kept in another dtype than they came in (not ``None``)."""
    matrices = []
    for number in range(sum(name.isdecimal() for name in rows)):
        matrix, scale = rows[f"{number}"], rows.get(f"{number}.scale")
        matrix = matrix if scale is None else from_int8(matrix, scale)
        matrices.append(matrix if compute is None else matrix.to(compute))
    return matrices


def to_int8(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, W) -> (N, W) int8 and (N, W / group) float32 scales; no number moves by more than half a step, 1/254 of its group's largest.

    >>> to_int8(torch.tensor([[1.0, -2.0]]))[0].tolist()
    [[64, -127]]
    """
    groups = matrix.float().unflatten(1, (-1, group_of(matrix.shape[1])))
    scale = groups.abs().amax(2, keepdim=True) / 127
    steps = torch.where(scale > 0, groups / scale, 0).round()
    return steps.to(torch.int8).flatten(1), scale.squeeze(2)


def from_int8(steps: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What ``to_int8`` was given, rounded: (N, W) float32."""
    return (steps.unflatten(1, (scale.shape[1], -1)).float() * scale.unsqueeze(2)).flatten(1)


def group_of(width: int) -> int:
    """Columns that share a scale in rows of a width: ``GROUP``, or the largest power of two below it that divides the width."""
    return math.gcd(width, GROUP)


def bytes_per_row(widths: Sequence[int], dtype: str) -> float:
    """Bytes of one image token on disk.

    >>> bytes_per_row([3584], "bfloat16"), bytes_per_row([3584], "int8")
    (7168.0, 3696.0)
    """
    each = {"float32": lambda w: 4.0 * w, "bfloat16": lambda w: 2.0 * w, "int8": lambda w: w + 4.0 * w / group_of(w)}
    return sum(each[dtype](width) for width in widths)


def join_rows(parts: Sequence[Mapping[str, torch.Tensor]]) -> Rows:
    """Rows of several pictures, one after another."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def split_rows(rows: Mapping[str, torch.Tensor], counts: Sequence[int]) -> list[Rows]:
    """The reverse of ``join_rows`` for pictures of so many tokens."""
    parts = {name: matrix.split(list(counts)) for name, matrix in rows.items()}
    return [{name: pieces[k] for name, pieces in parts.items()} for k in range(len(counts))]
