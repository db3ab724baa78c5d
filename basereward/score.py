"""Write the rewards of every response of a file.    basereward score model=exported input=pairs.jsonl output=scores.jsonl

One JSON line for each row, in the order of the input. An interrupted run leaves ``<output>.part`` and continues from it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from basereward import checkpoint, scorer
from basereward.errors import ConfigError, DataError
from basereward.metrics import verdicts
from basereward.places import check_apart, check_file, model_folders
from basereward.problems import Problem, RowError
from basereward.reading import hash_files
from basereward.recipes import Recipe
from basereward.records import Comparison
from basereward.runtime import file_hash, set_up_logging, write_json
from basereward.settings import ScoreSettings

SETTINGS = ScoreSettings
# Rows that are read and packed together and then written: what an interruption can lose.
WINDOW = 64
# Rows that say nothing about which response is better can still be scored.
NO_PREFERENCE = {"all responses tied", "same text, different rank"}
# Half a character, which a row of JSON can hold and UTF-8 cannot, is written as it came: as its escape.
LONE_SURROGATES = "backslashreplace"
_FILLER = "\N{REPLACEMENT CHARACTER}"


def plan(settings: ScoreSettings) -> str:
    """What would be scored, after the checks that need no weights."""
    folder, files = checkpoint.resolve(settings.model), make_recipe(settings).files()
    check_settings(settings)
    return f"plan: score {', '.join(map(str, files)) or settings.input} with {folder}, write {settings.output}"


def run(settings: ScoreSettings) -> int:
    """Scores the file; 1 when rows failed, which are in the output with their errors."""
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
    check_settings(settings)
    recipe = make_recipe(settings)
    total = sum(1 for _ in recipe.rows())
    if not total:
        raise DataError(f"input: expected at least one row, found none in {settings.input}; nothing was written")
    part, identity = Path(f"{settings.output}.part"), Path(f"{settings.output}.part.json")
    rm = scorer.load(
        settings.model, dtype=settings.dtype, device=settings.device, token_budget=settings.token_budget,
        max_length=settings.max_length,
    )  # fmt: skip
    part.parent.mkdir(parents=True, exist_ok=True)
    done = open_part(part, identity, what_makes_it(settings, recipe), overwrite=settings.overwrite)
    rows = islice(recipe.rows(), done, None)
    with (
        part.open("a", encoding="utf-8", errors=LONE_SURROGATES) as file,
        tqdm(total=total, initial=done, desc="scoring", unit="row") as bar,
    ):
        while window := list(islice(rows, WINDOW)):
            for line in score_rows(rm, recipe, window):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            bar.update(len(window))
        os.fsync(file.fileno())
    os.replace(part, settings.output)
    identity.unlink()
    return count(Path(settings.output))


def score_rows(rm: scorer.Scorer, recipe: Recipe, rows: list[tuple[str, Mapping | Problem]]) -> Iterator[dict]:
    """One output line for each row: rewards and outcomes, or the error."""
    read = [read_row(recipe, row, where) for where, row in rows]
    results = rm.score_comparisons([item for item in read if isinstance(item, Comparison)], catch=(DataError,))
    for (where, row), item in zip(rows, read):
        result = next(results) if isinstance(item, Comparison) else item
        name = item.id if isinstance(item, Comparison) else _id(row, where)
        yield line_of(item, result) if isinstance(result, np.ndarray) else {"id": name, "error": str(result)}


def line_of(comparison: Comparison, reward_N: np.ndarray) -> dict:
    """What is written for a comparison; ``pairs`` is empty when its row had no preferences."""
    words = verdicts([reward_N[pair.better] for pair in comparison.pairs], [reward_N[pair.worse] for pair in comparison.pairs])
    pairs = [
        {"better": pair.better, "worse": pair.worse, "outcome": word} for pair, word in zip(comparison.pairs, words.tolist())
    ]
    rewards = [float(reward) for reward in reward_N]
    return {"id": comparison.id, "source": comparison.source, "category": comparison.category, "rewards": rewards, "pairs": pairs}


def read_row(recipe: Recipe, row: Mapping | Problem, where: str) -> Comparison | DataError:
    """A row in any spelling; one with ``responses`` needs neither ranks nor scores to be scored."""
    if isinstance(row, Problem):
        return RowError([row])
    try:
        if isinstance(row, Mapping) and isinstance(row.get("responses"), list) and not _has_order(row):
            return _without_preferences(recipe, row, where)
        return recipe.comparison(row, where)
    except RowError as error:
        if {problem.kind for problem in error.problems} <= NO_PREFERENCE and "responses" in row:
            try:
                return _without_preferences(recipe, row, where)
            except DataError as other:
                return other
        return error
    except DataError as error:
        return error


def _has_order(row: Mapping) -> bool:
    return row.get("ranks") is not None or row.get("scores") is not None


def _without_preferences(recipe: Recipe, row: Mapping, where: str) -> Comparison:
    """Reads the row as one in which a further response is preferred to all, and takes that response away again."""
    responses = row["responses"]
    given = {key: value for key, value in row.items() if key != "ranks"}
    given |= {"responses": [*responses, _FILLER], "scores": [0] * len(responses) + [1]}
    comparison = recipe.comparison(given, where)
    return dataclasses.replace(comparison, responses=comparison.responses[:-1], pairs=(), ranks=None, scores=None)


def _id(row: Mapping | Problem, where: str) -> str:
    found = row.id if isinstance(row, Problem) else row.get("id") if isinstance(row, Mapping) else None
    return str(found) if found not in (None, "") else os.path.basename(where)


def make_recipe(settings: ScoreSettings) -> Recipe:
    """The reader of the input; images are looked at when they are scored, not before."""
    return Recipe(settings.input, image_root=settings.image_root, check_images=False)


def check_settings(settings: ScoreSettings) -> None:
    """Refuses, before the model is loaded, what cannot be scored with, and an output that is in the place of something else."""
    scorer.check_options(
        settings.dtype, settings.device, token_budget=settings.token_budget, max_length=settings.max_length
    )  # fmt: skip
    output = Path(settings.output)
    check_file("output", output)
    read = [*make_recipe(settings).files(), *model_folders(settings.model)[:1]]
    for name in (output, Path(f"{output}.part"), Path(f"{output}.part.json")):
        check_apart("output", name, read)
    if output.exists() and not settings.overwrite:
        raise ConfigError(f"output: {output} exists; choose another name, or replace it with overwrite=true")


def what_makes_it(settings: ScoreSettings, recipe: Recipe) -> dict:
    """Everything that the lines of an output depend on."""
    folder = Path(str(checkpoint.resolve(settings.model)))
    files = {name: file_hash(folder / name) for name in ("config.json", checkpoint.PROBE) if (folder / name).is_file()}
    return {
        "model": str(folder), "model_files": files, "input": [str(file) for file in recipe.files()] or settings.input,
        "input_sha256": hash_files(recipe.files()), "image_root": settings.image_root, "dtype": settings.dtype,
        "max_length": settings.max_length,
    }  # fmt: skip


def open_part(part: Path, identity: Path, makes: dict, *, overwrite: bool) -> int:
    """Gets an output ready to be continued: cuts off a half-written line.

    Returns:
        How many rows are in it.

    Raises:
        ConfigError: what is there comes from another model, input or setting.
    """
    before = json.loads(identity.read_text(encoding="utf-8")) if part.exists() and identity.exists() else None
    if before is None or (before != makes and overwrite):
        part.unlink(missing_ok=True)
        write_json(identity, makes)
        return 0
    if before != makes:
        changed = [key for key in makes if makes[key] != before.get(key)]
        raise ConfigError(
            f"output: {part} was begun with another {' and '.join(changed)} ({before.get(changed[0])!r}); "
            "run that command to finish it, or start anew with overwrite=true"
        )
    content = part.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    os.truncate(part, len(whole))
    return whole.count(b"\n")


def count(output: Path) -> Counter:
    """Rows and outcomes of an output."""
    counts: Counter = Counter(scored=0, failed=0, correct=0, tie=0, wrong=0)
    with output.open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            counts["failed" if "error" in line else "scored"] += 1
            counts.update(pair["outcome"] for pair in line.get("pairs", ()))
    return counts
