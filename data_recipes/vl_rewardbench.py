"""VL-RewardBench: a question about an image, two answers, and the rank of each (0 = best)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from basereward.problems import Notes, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

HALLUCINATION = ("RLAIF", "RLHF", "hallucination")
REASONING = ("mathverse", "mmmu")
# WildVision, and those of VLFeedback. The official script takes any other beginning for VLFeedback too, and so would a misspelt one be.
GENERAL = ("wildvision", "jailbreak", "LRVInstruction", "politics", "svit")


class VLRewardBench(Recipe):
    """The order of the answers is that of `human_ranking`, which in a few rows puts the second first.

    25 ids stand twice, with other answers, so the id of a comparison is that of the row with a digest of question and answers.
    """

    columns = {
        "id": "text",
        "query": "text",
        "response": "list of text",
        "human_ranking": "list of whole number",
        "image": "image",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """Both answers with their ranks; the category is the official one.

        Raises:
            RowError: the id begins with none of the sources that the benchmark was made of.
        """
        if source_of(str(row["id"])) not in (*HALLUCINATION, *REASONING, *GENERAL):
            notes = Notes(where, str(row["id"]))
            expected = f"`id` to begin with one of {', '.join((*HALLUCINATION, *REASONING, *GENERAL))}, which say the category"
            notes.add("unknown id prefix", expected, shown(row["id"]), "correct the id; a new source needs a category")
            notes.raise_if_any()
        record = {
            "id": row_key(row),
            "prompt": row["query"],
            "image": row["image"],
            "responses": row["response"],
            "ranks": row["human_ranking"],
            "category": category(str(row["id"])),
        }
        meta = {key: row[key] for key in ("models", "judge", "query_source") if row.get(key)}
        return self.parse(record | {"meta": {"row_id": row["id"]} | meta}, where)


def row_key(row: Mapping) -> str:
    """The id with 8 hexadecimal digits of question and answers; the order of the answers does not count."""
    answers = row["response"] if isinstance(row["response"], list | tuple) else [row["response"]]
    text = json.dumps([row["query"], sorted(map(str, answers))], ensure_ascii=False)
    return f"{row['id']}-{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"


def category(name: str) -> str:
    """The official mapping (`cal.py` of the benchmark): by what stands before the first _ or - of the id.

    >>> category("RLAIF-12"), category("mmmu_val-3"), category("wildvision-battle-7")
    ('hallucination', 'reasoning', 'general')
    """
    source = source_of(name)
    return "hallucination" if source in HALLUCINATION else "reasoning" if source in REASONING else "general"


def source_of(name: str) -> str:
    """What stands before the first _ or - of an id."""
    return re.split("[_-]", name, maxsplit=1)[0]
