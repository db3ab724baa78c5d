"""R1-Reward-200K, which was not released: rebuilt from the five sets it was drawn from -> the comparisons of all of them.

basereward train data=r1_reward data.sources.r1_reward.parts.povid.image_root=coco run.dir=runs/r1_reward
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import yaml
from basereward.data_recipes.mm_rlhf import MMRLHF
from basereward.data_recipes.povid import POVID
from basereward.data_recipes.rlaif_v import RLAIFV
from basereward.data_recipes.vlfeedback import VLFeedback
from basereward.data_recipes.wildvision import WildVision

from basereward.columns import Layout
from basereward.config import build
from basereward.config_folders import folders, options
from basereward.errors import ConfigError, near_matches
from basereward.problems import Problem
from basereward.recipes import Dropped, Recipe
from basereward.records import Comparison


class R1Reward(Recipe):
    """All rows of some recipes and a sample of others, as one source.

    A row of a sampled part is in when a hash of the seed, the part's name and the row's number is below `share`: the same rows
    whatever else is read, on every machine, and without holding any. The reasons of dropped rows begin with their part's name.

    Args:
        path: folder whose subfolders, named like the parts, hold a copy of each; null reads each part from where its own `path`
            says, which is the Hub when that is null too.
        parts: recipe of `conf/recipe` -> its keys that differ from the YAML there.
        sampled: names of the parts of which a share is used; the others are used whole.
        share: of the rows of the sampled parts, above 0 and up to 1.
        seed: of the sample.
        check_images, source, card: as in `Recipe`.
    """

    columns: ClassVar[Sequence[Layout]] = tuple(part.columns for part in (MMRLHF, RLAIFV, VLFeedback, POVID, WildVision))

    def __init__(
        self,
        path: str | os.PathLike | None = None,
        *,
        parts: Mapping[str, Mapping | None],
        sampled: Sequence[str],
        share: float,
        seed: int = 0,
        check_images: bool = True,
        source: str = "",
        card: Mapping | None = None,
    ) -> None:
        super().__init__(path or "parts", check_images=check_images, source=source, card=card)
        for name in sampled:
            if name not in parts:
                raise ConfigError(f"sampled: expected names of parts; found {name!r}; {near_matches(name, parts)}")
        if not 0 < share <= 1:
            raise ConfigError(f"share: expected a number above 0 and up to 1; found {share}; correct it")
        self.sampled, self.share, self.seed = tuple(sampled), share, seed
        self.parts = {name: _part(name, keys or {}, path, source) for name, keys in parts.items()}

    def files(self) -> list[Path]:
        """The files of all parts; none of those on the Hub."""
        return [file for part in self.parts.values() for file in part.files()]

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """The rows of one part after another, each with the name of its part and its number there."""
        for name, part in self.parts.items():
            for number, (where, row) in enumerate(part.rows()):
                self.rows_in_files += 1
                yield where, row if isinstance(row, Problem) else {"part": name, "number": number, "row": row}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """What the part makes of its row."""
        name = row["part"]
        if name in self.sampled and not self._in_sample(name, row["number"]):
            return Dropped(f"{name}: not in the sample")
        result = self.parts[name].comparison(row["row"], where)
        return Dropped(f"{name}: {result.reason}") if isinstance(result, Dropped) else result

    def _in_sample(self, name: str, number: int) -> bool:
        digest = hashlib.blake2b(f"{self.seed}/{name}/{number}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self.share * 2**64


def _part(name: str, keys: Mapping, folder: str | os.PathLike | None, source: str) -> Recipe:
    """The recipe of a part, reading the subfolder of its name unless its keys say another path."""
    file = next((file for folder_ in folders() if (file := folder_ / "recipe" / f"{name}.yaml").is_file()), None)
    if file is None:
        raise ConfigError(f"parts: expected recipes of conf/recipe; found {name!r}; {near_matches(name, options('recipe'))}")
    node = yaml.safe_load(file.read_text(encoding="utf-8"))
    place = {"path": os.path.join(folder, name)} if folder is not None else {}
    return build(node | place | dict(keys), f"parts.{name}", source=source)
