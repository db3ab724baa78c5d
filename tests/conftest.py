"""What all tests share: tiny members of the model families, each built once per session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from twin_folders import CREATE


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The name of a tiny backbone -> its checkpoint folder; not to be written to."""
    from basereward.config import locate

    @functools.cache
    def make(name: str) -> Path:
        return locate(CREATE[name])(tmp_path_factory.mktemp(name) / "backbone")

    return make


@pytest.fixture(scope="session")
def tiny_folder(twin) -> Path:
    """A checkpoint folder of a small, randomly initialised Qwen2.5-VL with its tokenizer; not to be written to."""
    return twin("tiny")
