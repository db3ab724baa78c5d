"""A dataset of the Hub: its rows through `datasets`, or the files of a local copy of its repository, by split and subset."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from basereward.cards import Card
from basereward.errors import DataError
from basereward.reading import SUFFIXES, Row, import_datasets, numbered, one_split, stored_rows

_NOT_ROWS = ("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json")


def read_hub(
    card: Card, *, split: str | None, subset: str | None, files: str | None = None, streaming: bool = False
) -> Iterator[Row]:
    """The rows of a dataset on the Hub, at the card's revision, through `datasets` and its cache.

    Args:
        card: with `hub_id` and `revision`.
        files: pattern of the files of the split, for repositories whose file names do not say it.
        streaming: rows pass without being stored.

    Raises:
        DataError: it cannot be reached or does not exist, with the command that fetches it.
    """
    datasets = import_datasets(f"reading {card.hub_id} from the Hub")
    wanted = {"data_files": {split or "train": files}, "split": split or "train"} if files else {"split": split}
    try:
        name = None if files else subset  # a pattern says by itself which files
        data = datasets.load_dataset(card.hub_id, name, revision=card.revision, streaming=streaming, **wanted)
    except (OSError, ValueError) as error:
        raise unreachable(card, error) from error
    return _until_lost(card, numbered(card.hub_id, stored_rows(one_split(data, split, card.hub_id))))


def commit_on_hub(card: Card) -> str | None:
    """The commit that the card's revision, or the newest state, is; None where the Hub cannot be asked."""
    try:
        from huggingface_hub import HfApi

        return HfApi().dataset_info(card.hub_id, revision=card.revision, timeout=10).sha
    except Exception:  # only a name for the manifest: any failure of the network, the library or the rights leaves it out
        return None


class Unreachable(DataError):
    """A dataset of the Hub that could not be read.

    Attributes:
        no_network: the Hub itself could not be reached, so that asking it for another dataset would take as long and end alike.
    """

    def __init__(self, told: str, folder: str, *, no_network: bool) -> None:
        self.told, self.folder, self.no_network = told, folder, no_network
        super().__init__(self.for_key("path"))

    def for_key(self, key: str) -> str:
        """The message, where the copy is to be named under another dotted key."""
        return f"{self.told}; then give {key}={self.folder}"


def unreachable(card: Card, error: object) -> Unreachable:
    """The error that says how to fetch a dataset where there is a network."""
    revision = f" at revision {card.revision}" if card.revision else ""
    offline = any(
        os.environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON") for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    )
    found = f"offline mode (HF_HUB_OFFLINE) and no copy in the cache ({error})" if offline else f"no way to it ({error})"
    command = card.fetch_command()
    told = f"expected the dataset {card.hub_id}{revision} of the Hub; found {found}; check the name and the network, or fetch it"
    no_network = isinstance(error, ConnectionError) and not offline
    return Unreachable(f"{told} where there is one: {command}", command.rpartition(" ")[2], no_network=no_network)


def copied_files(folder: Path, *, split: str | None, subset: str | None, pattern: str | None) -> list[Path]:
    """The data files of a local copy of a repository, sorted.

    Args:
        folder: of the copy.
        split, subset: kept are files named after them, or within folders of their name.
        pattern: which files instead, relative to the folder, where there are such.

    Raises:
        DataError: none, with what is there.
    """
    every = [file for file in sorted(folder.rglob("*")) if _is_data(file.relative_to(folder))]
    chosen = [file for file in sorted(folder.glob(pattern)) if file.name.endswith(SUFFIXES)] if pattern is not None else []
    wanted = f"files named {pattern}" if pattern is not None else ""
    # A copy that `datasets` or the Hub's converter wrote names its files after the split, whatever the repository does.
    if not chosen and (pattern is None or split or subset):
        chosen, words = every, []
        for word, what in ((subset, "subset"), (split, "split")):
            chosen = _named(chosen, folder, word) if word else chosen
            words += [f"{what} {word!r}"] if word else []
        wanted += (", or " if wanted else "") + (f"data files of {' and '.join(words)}" if words else "data files")
    if not chosen:
        names = ", ".join(file.relative_to(folder).as_posix() for file in every[:8]) or "no data file"
        more = f" and {len(every) - 8} more" if len(every) > 8 else ""
        raise DataError(f"expected {wanted} in {folder}; found {names}{more}; correct split or subset, or give the file as path")
    return chosen


def _is_data(name: Path) -> bool:
    """Hidden folders hold what the downloader noted for itself."""
    hidden = any(part.startswith(".") for part in name.parts)
    return not hidden and name.name.endswith(SUFFIXES) and name.name not in _NOT_ROWS


def _named(files: list[Path], folder: Path, word: str) -> list[Path]:
    """Files whose name or folder is the word; where there are none, files whose name has it between . _ or -.

    The first rule keeps `train_prefs` out of `train`.
    """
    names = {file: file.relative_to(folder).as_posix() for file in files}
    exact = re.compile(rf"(^|/){re.escape(word)}(/|(-\d+(-of-\d+)?)?\.\w+(\.gz)?$)")
    loose = re.compile(rf"(^|[/._-]){re.escape(word)}([/._-])")
    return [file for file in files if exact.search(names[file])] or [file for file in files if loose.search(names[file])]


def _until_lost(card: Card, rows: Iterator[Row]) -> Iterator[Row]:
    where = str(card.hub_id)
    try:
        for where, row in rows:
            yield where, row
    except OSError as error:
        raise unreachable(card, f"lost after {where}: {error}") from error
