"""Comparisons of all sources -> those that stay, and how many of each source were left out for which reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from basereward.cleaning.duplicates import Seen
from basereward.cleaning.filters import filters
from basereward.cleaning.settings import CleanSettings
from basereward.reading import with_progress
from basereward.records import Comparison

CHUNK = 512
"""Comparisons whose pictures are decoded side by side."""


def reasons_to_drop(comparisons: Iterable[Comparison], settings: CleanSettings, sources: tuple[str, ...]) -> list[str | None]:
    """For each comparison why it is left out, or None. The comparisons are gone through once, in order, and not held.

    First each is looked at by itself. Those that stay are compared with one another: conflicting labels go, then duplicates, then
    near duplicates, of which the first one stays. So a comparison that goes for one reason takes no other with it.

    Args:
        sources: names of the data sources; the order of the comparisons is that of the sources.
    """
    asked, seen = filters(settings, sources), Seen(settings)
    result: list[str | None] = []
    places: list[int] = []
    stream = iter(with_progress(comparisons, "cleaning", unit=" comparisons"))
    while chunk := list(islice(stream, CHUNK)):
        own = [next((reason for ask in asked if (reason := ask(item)) is not None), None) for item in chunk]
        places += [len(result) + i for i, reason in enumerate(own) if reason is None]
        seen.look([item for item, reason in zip(chunk, own, strict=True) if reason is None])
        result += own
    for place, reason in zip(places, seen.reasons(), strict=True):
        result[place] = reason
    return result


def count_dropped(accounts: Mapping[str, dict], counts: Mapping[tuple[str, str], int]) -> None:
    """Moves comparisons from `used` to `dropped` in the accounts of their sources.

    Args:
        accounts: of every source, as `accounts.Reader` gives them; changed in place.
        counts: (source, reason) -> how many.
    """
    for (source, reason), count in counts.items():
        account = accounts[source]
        account["used"] -= count
        account["dropped"] = dict(sorted((Counter(account["dropped"]) + Counter({reason: count})).items()))
