"""Comparisons -> which of them are of one prompt and pictures, by what the pictures hold: a folder may be named or moved as one likes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from basereward.fingerprints.contents import Contents
from basereward.fingerprints.pictures import reference_name
from basereward.records import Comparison


def groups_of(comparisons: Sequence[Comparison]) -> list[str]:
    """32 hexadecimal digits for each, as `Comparison.group`, with pictures of the same bytes as the same.

    A file that cannot be read is its path below the folder that all files share.
    """
    contents, refs = Contents(), [ref for item in comparisons for ref in item.images]
    contents.look(refs)
    unread = sorted({os.path.abspath(ref) for ref in refs if isinstance(ref, str) and contents.name(ref) == reference_name(ref)})
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(ref)) for ref in refs if isinstance(ref, str)]) if unread else ""
    below = {path: os.path.relpath(path, shared) for path in unread}

    def name(ref: object) -> str:
        path = os.path.abspath(ref) if isinstance(ref, str) else None
        return below[path] if path in below else contents.name(ref)

    return [item.group_by(name) for item in comparisons]
