"""RM-Bench: a prompt, three correct answers and three wrong ones, each concise, long and plain, long in Markdown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from basereward.problems import Notes, shown
from basereward.recipes import Recipe
from basereward.records import Comparison

STYLES = ("concise", "detailed plain", "detailed markdown")
# A file of one domain has no column that says so; safety is one domain in two files.
DOMAINS = ("chat", "code", "math", "safety-refuse", "safety-response")


class RMBench(Recipe):
    """One comparison of six answers: responses 0 to 2 are the chosen ones by style, 3 to 5 the rejected ones, and nine pairs.

    Nothing is said about two answers of one side, so they are no ties.
    """

    columns = {"id": "whole number or text", "prompt": "text", "chosen": "list of text", "rejected": "list of text"}

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """Every chosen answer over every rejected one."""
        notes = Notes(where, str(row["id"]))
        for key in ("chosen", "rejected"):
            if len(row[key]) != len(STYLES):
                notes.add(
                    "not one answer per style", f"`{key}` to hold {', '.join(STYLES)}", f"{len(row[key])} answers", "drop it"
                )
        domain = row.get("domain") or _domain_of(where)
        if domain not in DOMAINS:
            expected = f"`domain`, or the file's name, to say one of {', '.join(DOMAINS)}"
            notes.add("unknown domain", expected, shown(domain), "name the file as the repository does: chat_filtered.json")
        notes.raise_if_any()
        record = {
            "id": f"{domain}-{row['id']}",
            "prompt": row["prompt"],
            "responses": [*row["chosen"], *row["rejected"]],
            "ranks": [0] * len(STYLES) + [1] * len(STYLES),
            "category": str(domain).partition("-")[0],
            "meta": {"domain": domain} | {key: row[key] for key in ("subset", "error_key") if row.get(key) is not None},
        }
        return replace(self.parse(record, where), ties=(), ranks=None)


def _domain_of(where: str) -> str:
    """The domain in the name of the file.

    >>> _domain_of("data/safety-refuse_filtered.json:row 3")
    'safety-refuse'
    """
    return os.path.basename(where).partition("_filtered")[0]
