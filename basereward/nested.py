"""Columns that hold more than a value: JSON in a text, dicts of lists -> objects and rows."""

from __future__ import annotations

import json
from collections.abc import Mapping


def json_object(text: object) -> dict | None:
    """The object in a column that holds JSON; one that was decoded already passes through; None for anything else.

    >>> json_object('{"type": "caption"}'), json_object("caption"), json_object("[1]")
    ({'type': 'caption'}, None, None)
    """
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except json.JSONDecodeError:
            return None
    return dict(text) if isinstance(text, Mapping) else None


def list_of_rows(value: object) -> list[Mapping]:
    """The rows of a nested column, which `datasets` turns into a dict of lists when it was declared as a sequence of dicts.

    >>> list_of_rows({"model": ["a", "b"], "text": ["x", "y"]})[1]
    {'model': 'b', 'text': 'y'}
    >>> list_of_rows([{"model": "a"}])
    [{'model': 'a'}]
    """
    if isinstance(value, Mapping):
        columns = {key: values for key, values in value.items() if isinstance(values, list | tuple)}
        size = min(map(len, columns.values()), default=0)
        return [{key: values[index] for key, values in columns.items()} for index in range(size)]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
