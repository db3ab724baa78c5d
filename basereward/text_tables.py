"""Numbers -> aligned tables and bars of plain text, for terminals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

PERCENTILES = (5, 25, 50, 75, 95, 99)
HEADER = ("least", *(f"{point}%" for point in PERCENTILES), "most")
BAR_CHARS = 40


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right.

    >>> print(table(("kind", "rows"), [("a", "10"), ("bc", "2")]))
    kind  rows
    ----------
    a       10
    bc       2
    """
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for first, *others in [header, *rows]:
        cells = [f"{first:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def histogram(values: Sequence[float] | np.ndarray) -> str:
    """Bars over ranges whose limits are powers of 2, which suit values that spread over orders of magnitude.

    >>> print(histogram([1, 3, 3, 9]))
    1 to 1   1  ####################
    2 to 3   2  ########################################
    4 to 7   0
    8 to 15  1  ####################
    """
    exponents = np.floor(np.log2(np.maximum(np.asarray(values, dtype=float), 1))).astype(int)
    first = int(exponents.min())
    counted = np.bincount(exponents - first).tolist()
    names = [f"{2 ** (first + i):,} to {2 ** (first + i + 1) - 1:,}" for i in range(len(counted))]
    width, digits = max(map(len, names)), len(f"{max(counted):,}")
    bars = ["#" * round(BAR_CHARS * count / max(counted)) for count in counted]
    return "\n".join(f"{n:<{width}}  {c:>{digits},}  {b}".rstrip() for n, c, b in zip(names, counted, bars, strict=True))


def spread(name: str, values: Sequence[float] | np.ndarray, *, digits: int = 0) -> tuple[str, ...]:
    """A row of least, percentiles and most, for the columns of ``HEADER``."""
    points = [np.min(values), *np.percentile(values, PERCENTILES), np.max(values)]
    return (name, *(f"{point:,.{digits}f}" for point in points))


def share(count: int, total: int) -> str:
    """A count with its percentage."""
    return f"{count:,} ({100 * count / total:.1f}%)"


def counts(values: Iterable[int]) -> str:
    """How often each number occurs.

    >>> counts([2, 3, 2])
    '2: 2, 3: 1'
    """
    return ", ".join(f"{value}: {count:,}" for value, count in sorted(Counter(values).items()))
