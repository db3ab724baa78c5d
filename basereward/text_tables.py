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


def octaves(values: Sequence[float] | np.ndarray) -> list[tuple[str, int]]:
    """(name, count) of ranges whose limits are powers of 2, which suit values that spread over orders of magnitude.

    >>> octaves([1, 3, 3, 9]), octaves([0])
    ([('1 to 1', 1), ('2 to 3', 2), ('4 to 7', 0), ('8 to 15', 1)], [('0 to 1', 1)])
    """
    values = np.asarray(values, dtype=float)
    exponents = np.floor(np.log2(np.maximum(values, 1))).astype(int)
    first = int(exponents.min())
    counted = np.bincount(exponents - first).tolist()
    lows = [0 if values.min() < 1 and not k else 2 ** (first + k) for k in range(len(counted))]
    return [(f"{low:,} to {2 ** (first + k + 1) - 1:,}", count) for k, (low, count) in enumerate(zip(lows, counted))]


def histogram(values: Sequence[float] | np.ndarray) -> str:
    """`octaves` as bars.

    >>> print(histogram([1, 3, 3, 9]))
    1 to 1   1  ####################
    2 to 3   2  ########################################
    4 to 7   0
    8 to 15  1  ####################
    """
    ranges = octaves(values)
    most = max(count for _, count in ranges)
    width, digits = max(len(name) for name, _ in ranges), len(f"{most:,}")
    return "\n".join(f"{name:<{width}}  {n:>{digits},}  {'#' * round(BAR_CHARS * n / most)}".rstrip() for name, n in ranges)


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
