"""The command that prepares the sources of the config that is in use, for messages."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from basereward.config_folders import config_folder, own_folder

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
    own = [] if own_folder() is None else ["--config-dir", str(own_folder())]
    # Where the words are those of a script that imports this package, they say nothing about data. --config-dir may come before the stage.
    typed = _typed(words) if any(word in STAGES for word in words[:3]) else None
    if typed or (typed is not None and path is None):
        return shlex.join([*COMMAND, *own, *typed])
    given = ["data=custom", f"data.path={path}"] if path is not None else ["data=<your data config>"]
    return " ".join([*COMMAND, *given, *([f"data.prepared={prepared}"] if prepared is not None else [])])


def _typed(words: Sequence[str]) -> list[str]:
    words = [word for word in words if not word.startswith("--")]
    keys = {word: word.lstrip("+~").partition("=")[0].split(".") for word in words if "=" in word or word.startswith("~")}
    typed = [word for word, key in keys.items() if key[0] == "data" and (not key[1:] or key[1] in KEYS)]
    if any(keys[word] == ["data"] for word in typed):
        return typed
    experiments = [word.partition("=")[2] for word, key in keys.items() if key == ["experiment"]]
    return [*(f"data={name}" for name in map(_data_of, experiments) if name), *typed]


def _data_of(experiment: str) -> str | None:
    """The data config that an experiment chooses."""
    places = [place for place in (own_folder(), config_folder()) if place is not None]
    file = next((file for place in places if (file := place / "experiment" / f"{experiment}.yaml").is_file()), None)
    found = _CHOSEN.search(file.read_text(encoding="utf-8")) if file is not None else None
    return found and found[1]
