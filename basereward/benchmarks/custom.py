"""Any file of comparisons as a benchmark, by category where its rows have one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from basereward.config import build
from basereward.mixture import CUSTOM
from basereward.recipes import read
from basereward.records import Comparison


class CustomBenchmark:
    """Args:
    path: a file in any spelling of docs/data.md.
    image_root: folder that relative image paths start from; the file's own when ``None``.
    name: of the results' folder; the file's name without ending when ``None``.
    recipe: config node of a recipe to read ``path`` with, for files in another shape.
    """

    num_expected = None

    def __init__(self, path: str, *, image_root: str | None = None, name: str | None = None, recipe: Mapping | None = None):
        self.recipe = build(recipe or {"_target_": CUSTOM}, key="benchmark", path=path, image_root=image_root, source="custom")
        self.name = name or Path(path).name.split(".")[0]
        self.version = path

    def comparisons(self) -> list[Comparison]:
        """All rows; a bad row is an error, never left out in silence."""
        data = read(self.recipe, on_error="fail")
        self.version = f"sha256:{data.manifest['sha256']}" if data.manifest.get("sha256") else self.version
        return data.comparisons
