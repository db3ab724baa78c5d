"""VLFeedback: four models' answers, each rated by GPT-4V on three aspects -> one comparison of four with scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from basereward.nested import list_of_rows
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import number, question_fault, rated, rating_fault

ASPECTS = ("Helpfulness", "Ethical Considerations", "Visual Faithfulness")


class VLFeedback(Recipe):
    """The score of an answer is the mean of its three ratings, as in the authors' own conversion to pairs.

    Ratings are strings, "1" to "5", and sometimes no number ("N/A"): such an answer is left out of the comparison. `completions`
    is a dict of lists (a sequence of dicts, as `datasets` stores it) or, in the .jsonl file, a list of dicts. Pictures are
    embedded (`image`), or named by `img_path`, or named after the id in the archive of pictures.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "id": "text",
        "prompt": "text",
        "completions": "{annotations, model, response} or list of {annotations, model, response}",
    }

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """All rated answers of a row, with their mean ratings."""
        if fault := question_fault(row["prompt"], 1):
            return Dropped(fault)
        answers = list_of_rows(row["completions"])
        scores = [score(answer.get("annotations")) for answer in answers]
        responses, means = rated([answer.get("response") for answer in answers], scores)
        if fault := rating_fault(means, keep_ties=self.keep_ties):
            return Dropped(fault)
        image = row.get("image") or row.get("img_path") or f"{row['id']}.jpg"
        meta = {"models": [answer.get("model") for answer in answers], "mean_ratings": scores}
        record = {"id": str(row["id"]), "prompt": row["prompt"], "images": [image], "meta": meta}
        return self.parse(record | {"responses": responses, "scores": means}, where)


def score(annotations: object) -> float | None:
    """The mean of an answer's three ratings; None when one of them is missing or no number.

    >>> ratings = {"Helpfulness": {"Rating": "4"}, "Ethical Considerations": {"Rating": "5"}}
    >>> score(ratings | {"Visual Faithfulness": {"Rating": "3"}}), score(ratings | {"Visual Faithfulness": {"Rating": "N/A"}})
    (4.0, None)
    """
    given = annotations if isinstance(annotations, Mapping) else {}
    ratings = [number((given.get(aspect) or {}).get("Rating")) for aspect in ASPECTS]
    # A mean of two aspects would favour the answer whose weakest one was not rated.
    return None if None in ratings else sum(ratings) / len(ratings)
