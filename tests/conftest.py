"""What all tests share: one tiny member of the model family, built once per session."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a small, randomly initialised Qwen2.5-VL with its tokenizer; not to be written to."""
    from basereward.demo import build_tiny_backbone

    return build_tiny_backbone(tmp_path_factory.mktemp("tiny") / "backbone")
