"""Write the rewards of every response of a file, or of the data of a training run.

    basereward score model=exported input=pairs.jsonl output=scores.jsonl
    basereward score model=runs/text_only data=custom data.path=my_pairs.jsonl blind=true output=blind.jsonl

One JSON line for each row, in the order of the input. An interrupted run leaves ``<output>.part`` and continues from it.
"""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from basereward import checkpoint, scorer
from basereward.errors import ConfigError, DataError
from basereward.metrics import verdicts
from basereward.part_files import LONE_SURROGATES, open_part, part_of
from basereward.places import check_apart, check_file, model_folders
from basereward.records import Comparison, without_images
from basereward.runtime import file_hash, set_up_logging
from basereward.score_input import Input, Item, make_input
from basereward.settings import ScoreSettings

SETTINGS = ScoreSettings
# Rows that are packed together and then written. An interruption loses these, and some that were read ahead.
WINDOW = 64


def plan(settings: ScoreSettings) -> str:
    """What would be scored, after the checks that need no weights."""
    folder, source = checkpoint.resolve(settings.model), make_input(settings)
    check_settings(settings, source)
    what = ", ".join(map(str, source.files())) or source.name
    blind = ", images removed," if settings.blind else ""
    return f"plan: score {what}{blind} with {folder}, write {settings.output}"


def run(settings: ScoreSettings) -> int:
    """Scores the input; 1 when rows failed, which are in the output with their errors."""
    set_up_logging()
    counts = score_file(settings)
    print(f"{settings.output}: {counts['scored']:,} rows scored, {counts['failed']:,} failed")
    if counts["failed"]:
        print(f'the failed rows have "error" in place of "rewards": grep \'"error"\' {settings.output}')
    judged = counts["correct"] + counts["tie"] + counts["wrong"]
    if judged:
        print(f"pairs: {counts['correct']:,} correct, {counts['tie']:,} ties, {counts['wrong']:,} wrong of {judged:,}")
    return 1 if counts["failed"] else 0


def score_file(settings: ScoreSettings) -> Counter:
    """Scores every row and writes the output.

    Returns:
        Counts of rows ("scored", "failed") and of pairs ("correct", "tie", "wrong") in the whole output.

    Raises:
        ConfigError: there is an output already, or an interrupted one of another command, or no place for one.
        DataError: the input cannot be read at all, or has no rows.
    """
    source = make_input(settings)
    check_settings(settings, source)
    total = len(source)
    if not total:
        raise DataError(f"input: expected at least one row, found none in {source.name}; nothing was written")
    part, identity = part_of(settings.output)
    rm = scorer.load(
        settings.model, dtype=settings.dtype, device=settings.device, token_budget=settings.token_budget,
        max_length=settings.max_length,
    )  # fmt: skip
    part.parent.mkdir(parents=True, exist_ok=True)
    makes, anew = what_makes_it(settings, source), "overwrite=true"
    done = open_part(part, identity, makes, key="output", anew=anew, start_anew=settings.overwrite)
    with (
        part.open("a", encoding="utf-8", errors=LONE_SURROGATES) as file,
        tqdm(total=total, initial=done, desc="scoring", unit="row") as bar,
    ):
        for number, line in enumerate(score_items(rm, source.items(done), blind=settings.blind), 1):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            if number % WINDOW == 0:
                file.flush()
            bar.update()
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, settings.output)
    identity.unlink()
    return count(Path(settings.output))


def score_items(rm: scorer.Scorer, items: Iterable[Item], *, blind: bool) -> Iterator[dict]:
    """One output line for each item: rewards and outcomes, or the error. Rows are read while those before them are scored."""
    waiting: deque[Item] = deque()

    def comparisons() -> Iterator[Comparison]:
        for name, item in items:
            waiting.append((name, item))
            if isinstance(item, Comparison):
                yield without_images(item) if blind else item

    for result in rm.score_comparisons(comparisons(), catch=(DataError,), window=WINDOW):
        yield from _unreadable(waiting)
        name, item = waiting.popleft()
        yield line_of(item, result) if isinstance(result, np.ndarray) else {"id": name, "error": str(result)}
    yield from _unreadable(waiting)


def _unreadable(waiting: deque[Item]) -> Iterator[dict]:
    """The lines of what stands before the next comparison."""
    while waiting and not isinstance(waiting[0][1], Comparison):
        name, error = waiting.popleft()
        yield {"id": name, "error": str(error)}


def line_of(comparison: Comparison, reward_N: np.ndarray) -> dict:
    """What is written for a comparison; ``pairs`` is empty when its row had no preferences."""
    words = verdicts([reward_N[pair.better] for pair in comparison.pairs], [reward_N[pair.worse] for pair in comparison.pairs])
    pairs = [
        {"better": pair.better, "worse": pair.worse, "outcome": word} for pair, word in zip(comparison.pairs, words.tolist())
    ]
    rewards = [float(reward) for reward in reward_N]
    return {"id": comparison.id, "source": comparison.source, "category": comparison.category, "rewards": rewards, "pairs": pairs}


def check_settings(settings: ScoreSettings, source: Input) -> None:
    """Refuses, before the model is loaded, what cannot be scored with, and an output that is in the place of something else."""
    scorer.check_options(
        settings.dtype, settings.device, token_budget=settings.token_budget, max_length=settings.max_length
    )  # fmt: skip
    output = Path(settings.output)
    check_file("output", output)
    read = [*source.files(), *model_folders(settings.model)[:1]]
    for name in (output, *part_of(output)):
        check_apart("output", name, read)
    if output.exists() and not settings.overwrite:
        raise ConfigError(f"output: {output} exists; choose another name, or replace it with overwrite=true")


def what_makes_it(settings: ScoreSettings, source: Input) -> dict:
    """Everything that the lines of an output depend on."""
    folder = Path(str(checkpoint.resolve(settings.model)))
    files = {name: file_hash(folder / name) for name in ("config.json", checkpoint.PROBE) if (folder / name).is_file()}
    return source.facts() | {
        "model": str(folder), "model_files": files, "blind": settings.blind, "dtype": settings.dtype, "max_length": settings.max_length,
    }  # fmt: skip


def count(output: Path) -> Counter:
    """Rows and outcomes of an output."""
    counts: Counter = Counter(scored=0, failed=0, correct=0, tie=0, wrong=0)
    with output.open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            counts["failed" if "error" in line else "scored"] += 1
            counts.update(pair["outcome"] for pair in line.get("pairs", ()))
    return counts
