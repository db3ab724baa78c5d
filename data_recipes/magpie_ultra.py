"""Magpie Ultra: an instruction, the answers of an instruct and a base model, a reward model's score of each -> a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.answers import number, rated, unusable_prompt
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison


class MagpieUltra(Recipe):
    """The scores decide row by row: the instruct model's answer is not always the better one."""

    columns = {"instruction": "text", "response": "text", "response_base": "text", "score": "number", "score_base": "number"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """Both answers with their scores."""
        if fault := unusable_prompt(row.get("instruction")):
            return fault
        answers, scores = (row.get("response"), row.get("response_base")), (row.get("score"), row.get("score_base"))
        found = rated(answers, [number(score) for score in scores], keep_ties=self.keep_ties)
        if isinstance(found, Dropped):
            return found
        return self.parse({"prompt": row["instruction"], "category": row.get("primary_tag")} | found, where)
