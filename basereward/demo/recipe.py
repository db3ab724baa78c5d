"""The demo's rows as a data recipe, drawn instead of read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from basereward.demo.rows import DEMO_KINDS, make_rows
from basereward.recipes import Recipe


class DemoRecipe(Recipe):
    """Generated comparisons; needs no file.

    Args:
        split: train, val or test; no picture of one is in another.
        n: Number of rows.
        seed: Of the questions and pictures.
        kinds: Kind of question -> its share; `DEMO_KINDS` when null.
        source, card: As of every recipe.
    """

    def __init__(
        self,
        split: str = "train",
        n: int = 20_000,
        *,
        seed: int = 0,
        kinds: Mapping[str, float] | None = None,
        source: str = "",
        card: Mapping | None = None,
    ) -> None:
        super().__init__(f"demo-{split}-{seed}", check_images=False, source=source, card=card)
        self.part, self.n, self.seed, self.kinds = split, n, seed, kinds

    def files(self) -> list[Path]:
        """None: the rows are drawn."""
        return []

    def rows(self) -> Iterator[tuple[str, Mapping]]:
        """(where, row) of every row."""
        rows = make_rows(self.part, self.n, seed=self.seed, kinds=self.kinds)
        return ((f"demo/{self.part}:{index}", row) for index, row in enumerate(rows, 1))

    def notes(self) -> list[str]:
        """What would draw the same rows again."""
        kinds = dict(DEMO_KINDS if self.kinds is None else self.kinds)
        return [f"generated: split={self.part} n={self.n} seed={self.seed} kinds={kinds}"]
