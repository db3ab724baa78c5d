"""The examples in docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [file for folder in ("basereward", "data_recipes") for file in sorted((ROOT / folder).rglob("*.py"))]
WITH_EXAMPLES = [file.relative_to(ROOT) for file in FILES if ">>> " in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("file", WITH_EXAMPLES, ids=str)
def test_examples(file):
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name if name.startswith("basereward") else f"basereward.{name}")
    assert doctest.testmod(module).failed == 0
