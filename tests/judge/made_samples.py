"""Small samples made by hand or drawn, for tests of numbers about rewards."""

from __future__ import annotations

from typing import Any

import numpy as np

from basereward.samples import Sample


def pair(margin: float | None, longer: int = 0, *, name: str = "", at: float = 0.0, **fields: Any) -> Sample:
    """An item of two responses, the first of which is better and gets `at + margin`; None for one that could not be scored."""
    given = {
        "id": name, "category": "", "group": name, "source": "", "pairs": ((0, 1),), "lengths": (1000 + longer, 1000),
        "rewards": None if margin is None else (at + margin, at), "error": "broken" if margin is None else None,
    }  # fmt: skip
    return Sample(**given | fields)


def drawn(number: int, seed: int = 0, *, scale: float = 1.0) -> list[Sample]:
    """Pairs whose margin follows the length difference a little; two to a prompt."""
    generator = np.random.default_rng(seed)
    longer = generator.integers(-400, 500, number)
    margins = scale * (0.4 + 0.002 * longer + generator.normal(size=number))
    offsets = generator.normal(size=number, scale=5)
    return [
        pair(margin, extra, name=str(n), group=str(n // 2), at=offset)
        for n, (margin, extra, offset) in enumerate(zip(margins.tolist(), longer.tolist(), offsets.tolist()))
    ]
