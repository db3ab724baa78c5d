"""Magpie Ultra: an instruction, the answers of an instruct and a base model, a reward model's score of each -> a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import rated, rating_fault, text_prompt_fault


class MagpieUltra(Recipe):
    """The scores decide row by row: the instruct model's answer is not always the better one."""

    columns = {"instruction": "text", "response": "text", "response_base": "text", "score": "number", "score_base": "number"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """Both answers with their scores."""
        answers, scores = (row.get("response"), row.get("response_base")), (row.get("score"), row.get("score_base"))
        responses, scores = rated(answers, scores)
        if fault := text_prompt_fault(row.get("instruction")) or rating_fault(scores, keep_ties=self.keep_ties):
            return Dropped(fault)
        record = {"prompt": row["instruction"], "responses": responses, "scores": scores, "category": row.get("primary_tag")}
        return self.parse(record, where)
