"""Judge a model on a benchmark, or on a group of them.    basereward evaluate model=runs/demo benchmark=demo blind=true"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from basereward import checkpoint, scorer
from basereward.benchmarks.base import Benchmark, judge, num_expected
from basereward.benchmarks.group import members
from basereward.compose import to_yaml
from basereward.errors import ConfigError, DataError, near_matches
from basereward.hub import Unreachable, unreachable
from basereward.overlap.known import content_of
from basereward.overlap_beside import overlap_lines, overlap_numbers, overlap_of_run
from basereward.part_files import part_of
from basereward.places import check_folder
from basereward.problems import BadRows, counted
from basereward.prompt_groups import groups_of
from basereward.published import beside_published
from basereward.records import Comparison
from basereward.report import render, write_gallery
from basereward.report.run_files import DIAGNOSTICS
from basereward.results_folder import EVAL, RESULTS, check_model_of, default_folder, folder_of_version, model_files
from basereward.results_tables import group_table, told
from basereward.run_lock import lock, unlock
from basereward.runtime import environment, set_up_logging, write_json
from basereward.samples import SAMPLES, Sample
from basereward.scored import Items, score_into
from basereward.settings import EvaluateSettings
from basereward.significance import AGAINST, Other, beside_other, compared, other_run
from basereward.stand_ins import missing_images, shuffled, with_generated

SETTINGS = EvaluateSettings
# What the words of a setting do.
IMAGES = ("read", "generate")
MISSING = ("fail", "skip")


@dataclass(frozen=True)
class Task:
    """One benchmark to be judged on: its config node, and what was read of it."""

    node: Mapping[str, Any]
    benchmark: Benchmark
    place: Path
    comparisons: Sequence[Comparison] = ()
    placeholders: Sequence[int] | None = None
    other: Other | None = None


def plan(settings: EvaluateSettings) -> str:
    """What would be judged, on what."""
    tasks = make_tasks(settings)
    names = "; ".join(f"{task.benchmark.name}, version {task.benchmark.version}" for task in tasks)
    return f"{to_yaml(settings)}\nplan: score {settings.model} on {names}"


def run(settings: EvaluateSettings) -> int:
    """Scores every item, prints the tables, writes ``samples.jsonl`` and ``results.json`` of each benchmark, and renews the report.

    Returns:
        1 when items could not be scored: they count as failed, and their messages stand in ``samples.jsonl``.
    """
    set_up_logging()
    tasks, missing = read_tasks(make_tasks(settings), settings)
    tasks = [with_other(task, settings) for task in tasks]
    rm = scorer.load(settings.model, dtype=settings.dtype, device=settings.device, token_budget=settings.token_budget)
    numbers = [evaluate(task, rm, settings) for task in tasks]
    if len(numbers) > 1 or missing:
        print(f"\n{group_table(numbers, missing)}")
    failed = sum(found["failed"] for found in numbers)
    return 1 if failed else 0


def make_tasks(settings: EvaluateSettings) -> list[Task]:
    """What is to be done, after the checks that need neither rows nor weights."""
    scorer.check_options(settings.dtype, settings.device, token_budget=settings.token_budget)
    for key, words in (("images", IMAGES), ("missing", MISSING)):
        if getattr(settings, key) not in words:
            raise ConfigError(f"{key}: {getattr(settings, key)!r} is not known; {near_matches(getattr(settings, key), words)}")
    found = members(settings.benchmark)
    checkpoint.resolve(settings.model)
    tasks = []
    for node, benchmark in found:
        given = Path(settings.out) / (benchmark.name if len(found) > 1 else "") if settings.out is not None else None
        place = given if given is not None else default_folder(settings.model, benchmark.name)
        check_folder("out", place)
        tasks.append(Task(node, benchmark, place))
    return tasks


def read_tasks(tasks: Sequence[Task], settings: EvaluateSettings) -> tuple[list[Task], dict[str, str]]:
    """The tasks with their items, and by name why a benchmark of a group is left out.

    Raises:
        DataError: rows that are not at hand, with how to fetch them.
    """
    found, missing, no_network = [], {}, False
    for task in tasks:
        try:
            if no_network:
                refuse_hub(task.benchmark)
            found.append(read_task(task, settings))
        except BadRows:
            raise
        except Unreachable as error:
            missing[task.benchmark.name] = error.for_key(f"{task.benchmark.key}.path")
            no_network = no_network or error.no_network
        except DataError as error:
            missing[task.benchmark.name] = str(error)
    if missing and (settings.missing == "fail" or not found):
        reasons = "\n".join(f"{name}: {reason}" for name, reason in missing.items())
        raise DataError(f"{reasons}\nmissing=skip judges on the others" if found else reasons)
    return found, missing


def refuse_hub(benchmark: Benchmark) -> None:
    """Where a dataset before could not be had for want of a network, the next one is not waited for.

    Raises:
        Unreachable: the benchmark's rows are on the Hub.
    """
    if benchmark.recipe is not None and benchmark.recipe.data.is_hub:
        why = "not tried, as there was no way to the one before; HF_HUB_OFFLINE=1 takes what the cache holds"
        raise unreachable(benchmark.recipe.card, why)


def read_task(task: Task, settings: EvaluateSettings) -> Task:
    """The task with its items, and the folder that fits their version.

    Raises:
        DataError: the rows are not there, or none of their pictures is.
    """
    comparisons, placeholders = task.benchmark.comparisons(), None
    if settings.images == "generate":
        comparisons, placeholders = with_generated(comparisons)
    check_pictures(task.benchmark, comparisons)
    is_given = settings.out is not None
    place = folder_of_version(task.place, task.benchmark.version, is_given=is_given, overwrite=settings.overwrite)
    check_model_of(place, settings.model, overwrite=settings.overwrite)
    return Task(task.node, task.benchmark, place, comparisons, placeholders)


def with_other(task: Task, settings: EvaluateSettings) -> Task:
    """The task with the results that it is compared with, read before anything is scored.

    Raises:
        DataError: there are none of this benchmark and version, or they were reached with other pictures.
    """
    if settings.against is None:
        return task
    other = other_run(settings.against, task.benchmark)
    images = other.numbers.get("images")
    if images != settings.images:
        expected = f"against: expected results with images={settings.images}"
        raise DataError(f"{expected}; found images={images} in {other.folder}; judge both alike")
    return replace(task, other=other)


def check_pictures(benchmark: Benchmark, comparisons: Sequence[Comparison]) -> None:
    """Refuses a copy without its pictures at the start; some that are missing, or those of a few items, are failures of their items."""
    gone, total = missing_images(comparisons)
    if not total or gone < total or 2 * sum(bool(item.images) for item in comparisons) <= len(comparisons):
        return
    example = next(ref for item in comparisons for ref in item.images)
    card = benchmark.recipe.card if benchmark.recipe is not None else None
    fetch = f"fetch them ({card.fetch_command()}) and set " if card is not None and card.hub_id else "set "
    raise DataError(
        f"expected the pictures of the items; found none of {counted(total, 'file')}, such as {example}; {fetch}"
        f"{benchmark.key}.image_root; or judge without them: images=generate draws others in their place, and the result says so"
    )


def evaluate(task: Task, rm: scorer.Scorer, settings: EvaluateSettings) -> dict[str, Any]:
    """One benchmark: scores, numbers, files, and what is printed.

    Raises:
        RunInUse: another process is writing results there.
    """
    task.place.mkdir(parents=True, exist_ok=True)
    lock(task.place, key="out", does="evaluates into")
    try:
        return judged(task, rm, settings)
    finally:
        unlock(task.place)


def judged(task: Task, rm: scorer.Scorer, settings: EvaluateSettings) -> dict[str, Any]:
    """The numbers of a benchmark, written and printed."""
    benchmark, out = task.benchmark, task.place
    others = shuffled(task.comparisons, settings.seed) if settings.shuffled else None
    items = Items(task.comparisons, task.placeholders, others, settings.blind, benchmark.meta_keys, groups_of(task.comparisons))
    files, content = model_files(settings.model), content_of(task.comparisons)
    makes = what_makes_it(task, rm, settings) | {"model_files": files, "content": content}
    samples = score_into(out, rm, items, makes, label=benchmark.name)
    overlap = overlap_of_run(settings.model)
    numbers = header(task, rm, settings, files) | judge(benchmark, samples)
    numbers |= overlap_numbers(overlap, benchmark, task.comparisons, samples)
    write_json(out / RESULTS, numbers)
    (out / DIAGNOSTICS).unlink(missing_ok=True)  # of rewards that were here before
    part_of(out / SAMPLES)[1].unlink(missing_ok=True)
    write_gallery(out, task.comparisons, [sample.rewards for sample in samples], benchmark.name)
    comparison = compare(task, samples)
    renew_report(out)
    for text in filter(None, (told(numbers, samples), beside_published(numbers), comparison)):
        print(text)
    print(overlap_lines(overlap, benchmark, task.node, content, numbers))
    print(f"\nresults: {out / RESULTS}   every item: {out / SAMPLES}")
    return numbers


def compare(task: Task, samples: Sequence[Sample]) -> str:
    """Writes the comparison with the other results, in place of one that may be there, and tells it; empty where none is asked for."""
    file = task.place / AGAINST
    file.unlink(missing_ok=True)
    if task.other is None:
        return ""
    found = compared(samples, task.other.samples)
    write_json(file, {"other": str(task.other.folder), "other_model": task.other.numbers.get("model")} | found)
    return beside_other(found, task.other)


def what_makes_it(task: Task, rm: scorer.Scorer, settings: EvaluateSettings) -> dict[str, Any]:
    """Everything beside the model's files and the items' texts that the lines of ``samples.jsonl`` depend on."""
    benchmark = task.benchmark
    keys = ("dtype", "token_budget", "blind", "shuffled", "seed", "images")
    return {"benchmark": benchmark.name, "version": benchmark.version, "model": str(checkpoint.resolve(settings.model)),
            "device": str(rm.model.device), "max_length": rm.max_length, "meta_keys": list(benchmark.meta_keys)} | {
                key: getattr(settings, key) for key in keys
            }  # fmt: skip


def header(task: Task, rm: scorer.Scorer, settings: EvaluateSettings, files: Mapping[str, str]) -> dict[str, Any]:
    """What the numbers depend on."""
    benchmark = task.benchmark
    return {
        "benchmark": benchmark.name, "version": benchmark.version, "n_expected": num_expected(benchmark), "notes": list(benchmark.notes),
        "model": str(checkpoint.resolve(settings.model)), "config_sha256": files.get("config.json"), "model_files": dict(files),
        "dtype": settings.dtype, "device": str(rm.model.device), "images": settings.images, "libraries": environment()["libraries"],
    }  # fmt: skip


def renew_report(out: Path) -> None:
    """Makes the page of the run anew when the results lie in one, so that it shows them."""
    run_dir = out.parent.parent
    if out.parent.name == EVAL and (run_dir / checkpoint.FINAL).is_dir():
        render(run_dir)
