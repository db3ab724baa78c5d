"""Where a stage may write: checked before a model is loaded, so that no work is lost and nothing of the user's is replaced."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from basereward.checkpoint import FINAL, resolve
from basereward.errors import ConfigError


def check_folder(key: str, folder: Path) -> None:
    """Refuses a folder that cannot be made or written to.

    Raises:
        ConfigError: with the dotted key of the setting.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{key}: expected a folder to write, found the file {folder}; choose another name")
    _check_writable(key, folder)


def check_file(key: str, file: Path) -> None:
    """Refuses a file that cannot be written.

    Raises:
        ConfigError: with the dotted key of the setting.
    """
    if file.is_dir():
        raise ConfigError(f"{key}: expected a file to write, found the folder {file}; add a file name")
    _check_writable(key, file.parent)


def check_apart(key: str, out: Path, sources: Iterable[Path]) -> None:
    """Refuses an ``out`` that is, lies in, or holds one of ``sources``, whatever names and links lead there.

    Raises:
        ConfigError: with the dotted key of the setting.
    """
    place = out.resolve()
    for source in map(Path.resolve, sources):
        if place == source or place in source.parents or source in place.parents:
            relation = "is" if place == source else "holds" if place in source.parents else "lies in"
            raise ConfigError(
                f"{key}: expected a place apart from what is read, found {out}, which {relation} {source}; choose another name"
            )


def model_folders(model: str | Path) -> list[Path]:
    """What must not be written over when a model is read: its folder, and the run that it belongs to; none for a Hub id."""
    folder = Path(resolve(model)).resolve()
    if not folder.is_dir():
        return []
    runs = [parent for parent in list(folder.parents)[:2] if (parent / FINAL).is_dir() or (parent / "checkpoints").is_dir()]
    return [folder, *runs]


def _check_writable(key: str, folder: Path) -> None:
    """By writing: the bits of a file's mode do not tell of read-only and virtual file systems."""
    nearest = folder.resolve()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".writable-", dir=nearest):
            pass
    except OSError as error:
        raise ConfigError(
            f"{key}: expected a place that can be written, found {folder} ({nearest}: {error.strerror or error}); choose another place"
        ) from error
