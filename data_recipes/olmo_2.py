"""OLMo 2's preference mixture, in both layouts of its Hub repository -> pairs."""

from __future__ import annotations

from basereward.data_recipes.message_pairs import MessagePairs


class OLMo2(MessagePairs):
    """`main` has ratings beside the two conversations, the first revision has not; where both are numbers and equal, it is a tie.

    `source` names the set that a row came from, `chosen_model` and `rejected_model` who wrote the answers.
    """

    columns = {"chosen": "list of {role, content}", "rejected": "list of {role, content}"}
    id_column = "id"
    category_column = "source"
    rating_columns = ("chosen_rating", "rejected_rating")
    meta_columns = ("chosen_model", "rejected_model")
