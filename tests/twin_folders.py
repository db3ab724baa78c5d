"""The tiny members of the backbone families: one for each ``conf/backbone/tiny*.yaml``, so that a new family is tested as it is."""

from __future__ import annotations

from pathlib import Path

import yaml

CONF = Path(__file__).resolve().parents[1] / "conf" / "backbone"
CREATE = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8"))["create"] for file in sorted(CONF.glob("tiny*.yaml"))}
TEXT_ONLY = ("tiny_qwen2_5", "tiny_qwen3")
SEEING = [name for name in CREATE if name not in TEXT_ONLY]
