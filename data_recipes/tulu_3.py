"""One of Tulu 3's preference sets: conversations that differ in their last answer -> pairs."""

from __future__ import annotations

from basereward.data_recipes.message_pairs import MessagePairs


class Tulu3(MessagePairs):
    """A row has `id`, `prompt`, `chosen` and `rejected`; a mixture of sets names the one a row came from in `source`."""

    columns = {"chosen": "list of {role, content}", "rejected": "list of {role, content}"}
    id_column = "id"
    category_column = "source"
