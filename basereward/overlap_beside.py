"""What a model's run says of a benchmark in its training data, beside the results on that benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward.benchmarks.base import Benchmark
from basereward.judging import judged_pairs, summary
from basereward.overlap.account import found_of, sentence
from basereward.overlap.known import content_of
from basereward.records import Comparison
from basereward.results_tables import percent
from basereward.run_directory import MANIFEST
from basereward.samples import Sample


def overlap_of_run(model: str) -> Mapping[str, Any] | None:
    """What the manifest of a model's run says of benchmarks in its training data; None for a model without a run."""
    folder = Path(model)
    for place in (folder, *list(folder.absolute().parents)[:2]):
        if (place / MANIFEST).is_file():
            return json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("overlap")
    return None


def overlap_numbers(
    overlap: Mapping[str, Any] | None, benchmark: Benchmark, comparisons: Sequence[Comparison], samples: Sequence[Sample]
) -> dict[str, Any]:
    """``overlap``: what was found of this benchmark when the run began, None where nobody looked; and ``without_overlap``, the
    results on the items that were not found, where some were and stayed in training.
    """
    content = content_of(comparisons)
    match = found_of(overlap, benchmark.name, content)
    if match is None or overlap is None:
        return {"overlap": None}
    _, found = match
    numbers: dict[str, Any] = {"overlap": {"mode": overlap["mode"]} | found}
    others = sorted(set(range(len(samples))) - set(found["items"]))
    if found["content"] == content and found["items"] and others and overlap["mode"] != "drop":
        numbers["without_overlap"] = summary(judged_pairs(samples[i] for i in others))
    return numbers


def overlap_lines(
    overlap: Mapping[str, Any] | None, benchmark: Benchmark, node: Mapping[str, Any], content: str, numbers: Mapping[str, Any]
) -> str:
    """What is printed of it, below the table."""
    lines = [sentence(overlap, benchmark.name, content, overlap_entry(benchmark, node))]
    if others := numbers.get("without_overlap"):
        lines.append(f"accuracy on the others: {percent(others['accuracy'])} of {others['n']} pairs")
    return "\n".join(lines)


def overlap_entry(benchmark: Benchmark, node: Mapping[str, Any]) -> str | None:
    """What names a file that is judged on in ``data.overlap_with``; None for a benchmark, which its name does."""
    path, recipe = node.get("path"), node.get("recipe")
    name = recipe if isinstance(recipe, str) else benchmark.recipe_name
    return f"{{recipe: {name}, path: {path}}}" if path and name else path
