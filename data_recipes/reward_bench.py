"""RewardBench: a prompt, a chosen and a rejected answer, in 23 subsets of four sections."""

from __future__ import annotations

from collections.abc import Mapping

from basereward.data_recipes.equal_answers import always_tied

from basereward.problems import Notes, shown
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import SAME_ANSWERS, pair_fault

SECTIONS = {
    "Chat": ("alpacaeval-easy", "alpacaeval-length", "alpacaeval-hard", "mt-bench-easy", "mt-bench-med"),
    "Chat Hard": (
        "mt-bench-hard", "llmbar-natural", "llmbar-adver-neighbor", "llmbar-adver-GPTInst", "llmbar-adver-GPTOut",
        "llmbar-adver-manual",
    ),
    "Safety": ("refusals-dangerous", "refusals-offensive", "xstest-should-refuse", "xstest-should-respond", "donotanswer"),
    "Reasoning": ("math-prm", "hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"),
}  # fmt: skip
SECTION_OF = {subset: section for section, subsets in SECTIONS.items() for subset in subsets}


class RewardBench(Recipe):
    """One turn of plain text; the category is the section of the row's subset, which stands in `meta`."""

    columns = {"prompt": "text", "chosen": "text", "rejected": "text", "subset": "text", "id": "whole number or text"}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair; two equal answers stay, as a comparison that is always tied."""
        name, subset = f"{row['subset']}-{row['id']}", row["subset"]
        if subset not in SECTION_OF:
            notes = Notes(where, name)
            notes.add(
                "unknown subset", f"`subset` to be one of {', '.join(SECTION_OF)}", shown(subset), "correct or drop the row"
            )
            notes.raise_if_any()
        answers = [row["chosen"], row["rejected"]]
        models = {key: row[key] for key in ("chosen_model", "rejected_model") if row.get(key)}
        record = {"id": name, "prompt": row["prompt"], "responses": answers, "ranks": [0, 1], "category": SECTION_OF[subset]}
        record |= {"meta": {"subset": subset} | models}
        if pair_fault(*answers) == SAME_ANSWERS:
            return always_tied(self.parse, record, answers, where)
        return self.parse(record, where)
