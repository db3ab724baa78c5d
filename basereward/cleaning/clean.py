"""Comparisons of all sources -> those that stay, and how many of each source were left out for which reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from basereward.cleaning.duplicates import picture_keys, shared_reasons
from basereward.cleaning.filters import own_reasons
from basereward.cleaning.near import SIGNATURES, SPEECH
from basereward.cleaning.settings import CleanSettings
from basereward.cleaning.statements import CLAIMS, STATEMENTS
from basereward.comparisons import Comparisons
from basereward.kept.facts import facts_of
from basereward.kept.kinds import Kind
from basereward.kept.looks import Looks
from basereward.kept.pictures import REFERENCES, pictures_of
from basereward.records import Comparison


def reasons_to_drop(comparisons: Sequence[Comparison], settings: CleanSettings, sources: tuple[str, ...]) -> list[str | None]:
    """For each comparison why it is left out, or None. The comparisons are gone through once, in order, and not held.

    First each is looked at by itself. Those that stay are compared with one another: conflicting labels go, then duplicates, then
    near duplicates, of which the first one stays. So a comparison that goes for one reason takes no other with it.

    Args:
        sources: names of the data sources; the order of the comparisons is that of the sources.
    """
    kinds = kinds_for(settings)
    facts = {kind.name: table for kind, table in zip(kinds, facts_of(comparisons, kinds), strict=True)}
    reasons = own_reasons(comparisons, facts, settings, sources)
    left = np.flatnonzero(np.equal(reasons, None))
    facts = {name: table.take(left) for name, table in facts.items()}
    looks = Looks() if settings.pictures == "looks" else None
    shown = facts[REFERENCES.name] if REFERENCES.name in facts else pictures_of(_some(comparisons, left), looks)
    reasons[left] = shared_reasons(facts, picture_keys(shown, looks), settings)
    return reasons.tolist()


def kinds_for(settings: CleanSettings) -> list[Kind]:
    """The facts that settings ask for; pictures are looked at beside them, unless a reference is all that counts."""
    wanted = {
        STATEMENTS: True, CLAIMS: settings.conflicts is not None, SIGNATURES: settings.near_duplicates is not None,
        SPEECH: settings.languages is not None, REFERENCES: settings.pictures == "reference",
    }  # fmt: skip
    return [kind for kind, is_wanted in wanted.items() if is_wanted]


def _some(comparisons: Sequence[Comparison], rows: np.ndarray) -> Sequence[Comparison]:
    if isinstance(comparisons, Comparisons):
        return comparisons.take(np.isin(np.arange(len(comparisons)), rows))
    return [comparisons[row] for row in rows.tolist()]


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
