"""Comparisons and a scorer -> samples.jsonl, window by window, so that a run that was killed goes on where it was.

Windows are the scorer's own, and a run goes on at the beginning of one: the packs are then the same, and with them every bit of the
rewards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from basereward.errors import DataError
from basereward.part_files import LONE_SURROGATES, open_part, part_of
from basereward.records import Comparison, without_images
from basereward.samples import SAMPLES, Sample, read_samples, unscored
from basereward.scorer import WINDOW, Scorer


@dataclass(frozen=True)
class Items:
    """What is scored: the comparisons, the images that were generated for each of them, and the same ones shuffled if asked for."""

    comparisons: Sequence[Comparison]
    placeholders: Sequence[int] | None = None
    shuffled: Sequence[Comparison] | None = None
    blind: bool = False
    meta_keys: Sequence[str] = ()
    groups: Sequence[str] | None = None
    """Of each item, the one of its prompt and pictures where that is not `Comparison.group`."""

    def views(self, start: int) -> dict[str, list[Comparison]]:
        """Of the window that begins at `start`, each version under the name of its rewards."""
        window = slice(start, start + WINDOW)
        found = {"rewards": list(self.comparisons[window])}
        if self.blind:
            found["blind_rewards"] = list(map(without_images, found["rewards"]))
        if self.shuffled is not None:
            found["shuffled_rewards"] = list(self.shuffled[window])
        return found


def score_into(folder: Path, rm: Scorer, items: Items, makes: Mapping[str, Any], *, label: str) -> list[Sample]:
    """Scores all items and leaves `folder/samples.jsonl`; what is left of an interrupted run of the same facts is not scored again.

    Args:
        makes: everything that the lines depend on; see `part_files.open_part`.
        label: of the progress bar.

    Returns:
        The samples, read back from the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part, identity = part_of(folder / SAMPLES)
    done = open_part(part, identity, makes, key="out", anew="another folder", start_anew=True, every=WINDOW)
    total = len(items.comparisons)
    with (
        part.open("a", encoding="utf-8", errors=LONE_SURROGATES) as file,
        tqdm(total=total, initial=done, desc=label, unit="cmp") as bar,
    ):
        for start in range(done, total, WINDOW):
            for sample in score_window(rm, items, start):
                file.write(sample.line())
                bar.update()
            file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / SAMPLES)
    return read_samples(folder / SAMPLES)


def score_window(rm: Scorer, items: Items, start: int) -> Iterator[Sample]:
    """The samples of one window; an item that cannot be scored has the reason in the place of its rewards."""
    views = items.views(start)
    tokens = rm.encoder.chat.counts_of(views["rewards"])
    scored = {name: list(rm.score_comparisons(window, catch=(DataError,))) for name, window in views.items()}
    for number, (comparison, counts) in enumerate(zip(views["rewards"], tokens, strict=True)):
        result = scored["rewards"][number]
        rewards = {name: as_rewards(found[number]) for name, found in scored.items()}
        group = {} if items.groups is None else {"group": items.groups[start + number]}
        generated = 0 if items.placeholders is None else items.placeholders[start + number]
        yield Sample(
            **unscored(comparison, items.meta_keys) | group, **rewards, tokens=tuple(counts[1:]), placeholders=generated,
            error=str(result) if isinstance(result, Exception) else None,
        )  # fmt: skip


def as_rewards(result: np.ndarray | Exception) -> tuple[float, ...] | None:
    """The numbers; None for an error."""
    return None if isinstance(result, Exception) else tuple(map(float, result))
