"""How the patches of a picture see each other in a vision tower: all that its work depends on beside its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """What the vision tower has to do for some pictures; numbers, not tensors.

    Attributes:
        patches: rows that go through its layers. tokens: image tokens that leave it.
        pairs: (query, key) pairs of a layer that sees the whole picture. window_pairs: of one that sees windows.
    """

    patches: float = 0
    tokens: float = 0
    pairs: float = 0
    window_pairs: float = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(self.patches + other.patches, self.tokens + other.tokens, self.pairs + other.pairs,
                    self.window_pairs + other.window_pairs)  # fmt: skip


@dataclass(frozen=True)
class Tower:
    """The layers of a vision tower and what they see.

    Attributes:
        width: of its attention. layers: that see a whole picture, or a whole tile where pictures are cut into tiles.
        window_layers: that see windows of ``window`` x ``window`` patches.
        merge: patches per side of an image token. per_side: patches per side of one cell of a grid, 1 where grids count patches.
        tile_tokens: image tokens of a tile; ``None`` where a picture is not cut. extra: rows beside the patches of each tile.
    """

    width: int
    layers: int
    merge: int
    window_layers: int = 0
    window: int = 0
    per_side: int = 1
    tile_tokens: int | None = None
    extra: int = 0

    def see(self, grid: Sequence[float]) -> Seen:
        """The work of a picture of this layout: (tiles, rows, columns).

        >>> Tower(width=8, layers=1, merge=2, window_layers=1, window=8).see((1, 8, 12))
        Seen(patches=96, tokens=24.0, pairs=9216, window_pairs=5120)
        """
        tiles, rows, columns = grid[0], grid[1] * self.per_side, grid[2] * self.per_side
        count = rows * columns + self.extra
        windows = tiles * self._squares(rows) * self._squares(columns) if self.window else 0
        return Seen(tiles * count, tiles * rows * columns / self.merge**2, tiles * count**2, windows)

    def estimate(self, tokens: float, squares: float) -> Seen:
        """The work of pictures of which the image tokens are known: their sum, and the sum of their squares; arrays too.

        Exact but for windows, which are taken as whole ones where a picture's edge would cut them.

        >>> Tower(width=8, layers=1, merge=2, window_layers=1, window=8).estimate(24 + 16, 24**2 + 16**2)
        Seen(patches=160, tokens=40, pairs=13312, window_pairs=10240)
        """
        patches, pairs = tokens * self.merge**2, squares * self.merge**4
        if self.tile_tokens is not None:
            tile = self.tile_tokens * self.merge**2 + self.extra
            patches, pairs = tokens // self.tile_tokens * tile, tokens // self.tile_tokens * tile**2
        return Seen(patches, tokens, pairs, patches * self.window**2)

    def _squares(self, side: float) -> float:
        """Sum of the squares of the lengths into which windows cut a side."""
        whole, rest = divmod(side, self.window)
        return whole * self.window**2 + rest**2
