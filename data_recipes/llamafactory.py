"""Preference rows as LLaMA-Factory reads them: sharegpt ranking, alpaca ranking, and typed messages."""

from __future__ import annotations

from basereward.recipes import Recipe


class LLaMAFactory(Recipe):
    """`parse_row` knows these spellings; what this adds is the check that a file is one of them."""

    columns = (
        {"conversations": "list of {from, value}", "chosen": "{from, value}", "rejected": "{from, value}"},
        {"chosen_messages": "list of {role, content}", "rejected_messages": "list of {role, content}"},
        {"instruction": "text", "chosen": "text", "rejected": "text"},
    )
