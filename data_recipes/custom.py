"""Your own file, in any spelling of `docs/data.md` -> comparisons.

basereward train data=custom data.path=my_pairs.jsonl
"""

from __future__ import annotations

from basereward.recipes import Recipe


class Custom(Recipe):
    """Rows that are records already."""

    is_public = False
