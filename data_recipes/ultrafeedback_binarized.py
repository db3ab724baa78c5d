"""UltraFeedback binarized: the best of four completions and a random other one, as conversations -> pairs."""

from __future__ import annotations

from basereward.data_recipes.message_pairs import MessagePairs


class UltraFeedbackBinarized(MessagePairs):
    """`messages` repeats `chosen` and is not read; rows whose two scores are equal are ties."""

    columns = {
        "chosen": "list of {role, content}",
        "rejected": "list of {role, content}",
        "score_chosen": "number",
        "score_rejected": "number",
    }
    id_column = "prompt_id"
    rating_columns = ("score_chosen", "score_rejected")
