"""The command that prepares the sources of the config that is in use, for messages."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from basereward.compose import config_folder

COMMAND = ("basereward", "data", "prepare")
STAGES = ("train", "score", "data")
KEYS = ("sources", "path", "image_root", "keep_ties", "val", "on_error", "prepared")
"""Of `data`: what preparing depends on."""
_CHOSEN = re.compile(r"^\s*- override /data: (\w+)", re.MULTILINE)


def prepare_command(path: str | None = None, prepared: str | None = None, words: Sequence[str] | None = None) -> str:
    """`basereward data prepare` with the data of this command line, or of a config that was made in Python.

    Args:
        path: `data.path`. prepared: `data.prepared`. words: of the command line; those of this process when None.

    >>> prepare_command(words=["train", "experiment=demo", "data.on_error=skip", "data.val_max=9", "optim.lr=1e-5"])
    'basereward data prepare data=demo data.on_error=skip'
    """
    words = list(sys.argv[1:] if words is None else words)
    if words[:1] and words[0] in STAGES:
        return shlex.join([*COMMAND, *_typed(words)])
    # The words of another program say nothing about data.
    given = ["data=custom", f"data.path={path}"] if path is not None else ["data=<your data config>"]
    return " ".join([*COMMAND, *given, *([f"data.prepared={prepared}"] if prepared is not None else [])])


def _typed(words: Sequence[str]) -> list[str]:
    keys = {word: word.lstrip("+~").partition("=")[0].split(".") for word in words if "=" in word or word.startswith("~")}
    typed = [word for word, key in keys.items() if key[0] == "data" and (not key[1:] or key[1] in KEYS)]
    if any(keys[word] == ["data"] for word in typed):
        return typed
    experiments = [word.partition("=")[2] for word, key in keys.items() if key == ["experiment"]]
    return [*(f"data={name}" for name in map(_data_of, experiments) if name), *typed]


def _data_of(experiment: str) -> str | None:
    """The data config that an experiment chooses."""
    file = config_folder() / "experiment" / f"{experiment}.yaml"
    found = _CHOSEN.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    return found and found[1]
