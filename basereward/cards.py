"""What is known of a dataset before a row of it is read: the card of a recipe, and what its YAML may say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from basereward.errors import ConfigError, near_matches

VERIFIED = ("real rows", "reference only")


@dataclass(frozen=True)
class Card:
    """It goes into the manifest of every run that uses the dataset."""

    hub_id: str | None = None
    revision: str | None = None
    """Commit on the Hub; null where nobody looked it up."""
    origin: str = ""
    """Where the files that were read for `verified_on` came from."""
    licence: str = "unknown"
    rows_expected: Mapping[str, int] = field(default_factory=dict)
    """File name or split -> its number of rows; another number is reported in the manifest."""
    pairs_in_paper: int | None = None
    """Pairs that BaseReward's Table 3 counts for this source; null where it is no source of the paper."""
    responses: int | None = None
    """Of a comparison, for a plan made before a row is there; null where they differ too much to say."""
    pictures: int | None = None
    """Of a comparison, likewise; 0 for text. Where some rows have none, the most that a row usually has."""
    row: str = ""
    """What a row looks like, in one line."""
    quirks: tuple[str, ...] = ()
    built_as: str = ""
    """How a set that was never released as it was used is rebuilt."""
    verified_on: str | None = None
    """"real rows": the recipe read them, on `verified_date`. "reference only": rows built after a description."""
    verified_date: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether it says where others find the dataset."""
        return bool(self.hub_id or self.origin)

    def rows_of(self, path: object, split: str | None) -> int | None:
        """Rows expected of a path and split; see `expected_rows`."""
        return expected_rows(self.rows_expected, path, split)

    def fetch_command(self, folder: str | None = None) -> str:
        """The command that copies the dataset's repository, to be given where there is a network."""
        pinned = f" --revision {self.revision}" if self.revision else ""
        return (
            f"hf download --repo-type dataset {self.hub_id}{pinned} --local-dir {folder or str(self.hub_id).rpartition('/')[2]}"
        )


def expected_rows(expected: Mapping[str, int], path: object, split: str | None) -> int | None:
    """Rows that a card expects of what is read; None where it does not say.

    A card counts splits and files: the file of the path or the split where it is among them. Else all splits, because a file beside
    them is a part of one; else all files.

    >>> expected_rows({"train": 9, "test": 3, "test.jsonl": 2}, "copy/", None)
    12
    """
    for key in (os.path.basename(str(path)), split):
        if key in expected:
            return expected[key]
    splits = [count for name, count in expected.items() if "." not in name]
    return sum(splits or expected.values()) if expected else None


def make_card(given: Mapping) -> Card:
    """A card from a config node.

    Raises:
        ConfigError: an unknown field, or a `verified_on` that says something else.
    """
    known = [item.name for item in fields(Card)]
    for key in given:
        if key not in known:
            raise ConfigError(f"card.{key}: no such field; {near_matches(str(key), known)}")
    card = Card(**{key: tuple(value) if key == "quirks" else value for key, value in given.items()})
    if card.verified_on not in (None, *VERIFIED):
        expected = " or ".join(map(repr, VERIFIED))
        raise ConfigError(f"card.verified_on: expected {expected}; found {card.verified_on!r}; the day goes into verified_date")
    return card
