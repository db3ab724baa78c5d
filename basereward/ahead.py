"""What `basereward data prepare` works out for `data.clean` and `data.overlap`, so that training finds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from basereward.cleaning.clean import kinds_for
from basereward.cleaning.settings import read_settings
from basereward.data_settings import read_data_settings
from basereward.kept.facts import Tick, shard_facts
from basereward.kept.looks import Looks
from basereward.kept.pictures import shard_pictures
from basereward.overlap.known import ANSWERS
from basereward.overlap.listed import read_all
from basereward.sources import Source
from basereward.store.identity import store_root
from basereward.store.stored import Stored

Work = Callable[[Tick], None]


def benchmarks_have_pictures(data_cfg: Mapping) -> bool:
    """Reads the benchmarks of a data config, which keeps them, and says whether training pictures are compared with any of theirs.

    Raises:
        ConfigError, DataError, MissingDependency: as training would.
    """
    settings = read_data_settings(data_cfg)
    if settings.overlap is None or not settings.overlap_with:
        return False
    root, by_picture = store_root(settings.prepared), settings.overlap_pictures
    root.mkdir(parents=True, exist_ok=True)
    known, _ = read_all(settings.overlap_with, must_be_read=settings.overlap != "report", by_picture=by_picture, root=root)
    return any(len(one.hashes) for one in known)


def work_for(source: Source, stored: Stored, compare_pictures: bool) -> dict[str, Work]:
    """What is to be done for a source, by the words for its bar. A start that was killed goes on with the shard that comes next.

    Args:
        compare_pictures: as `benchmarks_have_pictures` says.
    """
    settings = source.settings
    clean = read_settings(settings.clean) if _is_cleaned(source) else None
    kinds = kinds_for(clean) if clean is not None else []
    kinds += [ANSWERS] if settings.overlap is not None and settings.overlap_with else []
    by = clean.pictures if clean is not None else "reference"
    looks = Looks() if compare_pictures or by == "looks" else None
    work: dict[str, Work] = {}
    if kinds:
        work["screening"] = lambda tick: _exhaust(shard_facts(stored, kinds, tick, must_keep=True))
    if looks is not None or by == "content":
        work["pictures"] = lambda tick: _exhaust(shard_pictures(stored, looks, tick, must_keep=True))
    return work


def _is_cleaned(source: Source) -> bool:
    """Validation data of `data.val` are left as they are."""
    return source.key != "data.val"


def _exhaust(tables: Iterator) -> None:
    deque(tables, maxlen=0)
