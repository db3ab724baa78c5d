"""HelpSteer3's preferences: a conversation, two answers, and annotators' overall choice from -3 to 3 -> a pair."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.data_recipes.signed_preference import SignedPreference

from basereward.recipes import Dropped
from basereward.records import Comparison


class HelpSteer3(SignedPreference):
    """`individual_preference`, up to three annotators' own scores and words, is not read."""

    columns = {
        "context": "list of {role, content}",
        "response1": "text",
        "response2": "text",
        "overall_preference": "whole number",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """`context` as the prompt; `domain` (general, code, stem, multilingual) as the category."""
        answers = (row.get("response1"), row.get("response2"))
        meta = {"language": row["language"]} if row.get("language") else {}
        about = {"category": row.get("domain"), "meta": meta}
        return self.pair(row.get("context"), answers, row.get("overall_preference"), where, about)
