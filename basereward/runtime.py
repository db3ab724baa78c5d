"""Seed, device, logging, files written whole, and the record of the environment that a run keeps."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from basereward.errors import ConfigError

LIBRARIES = ("torch", "transformers", "accelerate", "peft", "numpy", "Pillow", "hydra-core", "datasets", "tokenizers")


def seed_everything(seed: int) -> None:
    """Seeds Python's, numpy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` means CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device: expected auto, cpu, cuda or cuda:0, found {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: found {name!r}, but torch {torch.__version__} sees no CUDA device here; use auto or cpu")
    return device


def cache_home() -> Path:
    """Where what is computed once for many runs lies: `$BASEREWARD_CACHE`, else `~/.cache/basereward`."""
    return Path(os.environ.get("BASEREWARD_CACHE") or Path.home() / ".cache" / "basereward").expanduser()


def set_up_logging() -> None:
    """Our own messages at INFO on standard error, other libraries' at WARNING, and no progress bars but ours."""
    from transformers.utils.logging import disable_progress_bar

    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("basereward").setLevel(logging.INFO)
    disable_progress_bar()


def environment() -> dict[str, Any]:
    """What a result depends on beside its config: library versions, device, platform, commit."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the source tree this package runs from; ``None`` from a wheel."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete.

    Yields ``.writing-<name>`` beside it. An exception removes it; a kill leaves that name behind, which nothing reads and the
    next write replaces.
    """
    aside = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    # safetensors writes files that their owner alone may read; the folder's own bits are what the umask allows.
    allowed = aside.stat().st_mode & 0o666
    for file in aside.rglob("*"):
        if file.is_file():
            file.chmod(allowed)
            sync(file)
    if folder.exists():
        old = folder.with_name(f".old-{folder.name}")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
        os.replace(aside, folder)
        shutil.rmtree(old)
    else:
        os.replace(aside, folder)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON so that a reader sees the old file or the new one, never half of it."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file aside and puts it in its place whole; an exception leaves nothing behind."""
    aside = path.with_name(f".writing-{path.name}")
    try:
        aside.write_bytes(data)
        sync(aside)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def append_jsonl(path: Path, row: Mapping[str, Any]) -> None:
    """Adds one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def sync(path: Path) -> None:
    """Has the system write a file through to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
