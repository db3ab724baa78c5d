"""Errors a user can act on: what was expected, what was found and where, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BaseRewardError(Exception):
    """Parent of every error that is the user's to fix; the command line prints it without a traceback."""


class ConfigError(BaseRewardError):
    """A configuration key or value that cannot be used; the message carries the dotted key."""


class DataError(BaseRewardError):
    """Rows that cannot become comparisons; the message lists them by file:line and id."""


class CheckpointError(BaseRewardError):
    """A checkpoint that is incomplete, foreign, or does not give the rewards it was saved with."""


class MissingDependency(BaseRewardError):
    """A library that this feature needs and that is not installed; the message gives the pip line."""


def near_matches(name: str, available: Iterable[str]) -> str:
    """A sentence with the closest known names, or all of them when none is close.

    >>> near_matches("bradly_terry", ["bradley_terry", "plackett_luce"])
    "did you mean 'bradley_terry'? (known: bradley_terry, plackett_luce)"
    """
    known = sorted(available)
    listing = f"(known: {', '.join(known)})" if known else "(none are known)"
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if not close:
        return listing
    return f"did you mean {' or '.join(repr(match) for match in close)}? {listing}"


def missing_extra(library: str, extra: str, purpose: str) -> MissingDependency:
    """The error for a library that one of our optional extras installs."""
    return MissingDependency(
        f"{purpose} needs {library}, which is not installed. Install it with: pip install 'basereward[{extra}]'"
    )
