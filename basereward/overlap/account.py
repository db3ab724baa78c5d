"""What was found -> the numbers of `data_manifest.json`, the printed table, and a sentence for an evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from basereward.overlap.find import KINDS, Hit
from basereward.overlap.known import Known
from basereward.records import Comparison
from basereward.text_tables import share, table

EXAMPLES = 5
"""Kept of each source and benchmark."""
EXAMPLE_CHARS = 120
"""Of the responses that were recognised."""


def account(known: Known, hits: Sequence[Hit], sources: Sequence[str], item_at: Callable[[int], Comparison]) -> dict[str, Any]:
    """The numbers of one benchmark, ready for JSON.

    Args:
        hits: by training comparison, as `find` gives them.
        sources: of every comparison that was looked at.
        item_at: number -> comparison, for the examples.
    """
    checked = Counter(sources)
    by_source: dict[str, list[Hit]] = {source: [] for source in checked}
    for hit in hits:
        by_source[sources[hit.row]].append(hit)
    numbers = {source: _of_source(known, own, item_at) | {"checked": checked[source]} for source, own in by_source.items()}
    items = sorted({hit.item for hit in hits})
    return {
        "version": known.version, "content": known.content, "comparisons": len(known.ids), "texts_alone": known.texts_alone,
        "found": len(items), "items": items, "sources": numbers,
    }  # fmt: skip


def _of_source(known: Known, hits: Sequence[Hit], item_at: Callable[[int], Comparison]) -> dict[str, Any]:
    rows = {kind: len({hit.row for hit in hits if hit.kind == kind}) for kind in KINDS}
    examples: dict[int, dict[str, str]] = {}
    for hit in hits:
        if hit.row not in examples and len(examples) < EXAMPLES:
            item = item_at(hit.row)
            examples[hit.row] = {
                "id": item.id, "where": item.where, "benchmark_id": known.ids[hit.item], "by": hit.kind,
                "text": " | ".join(item.responses[number] for number in hit.responses)[:EXAMPLE_CHARS],
            }  # fmt: skip
    return {"comparisons": len({hit.row for hit in hits}), "by": rows, "examples": list(examples.values())}


def overlap_table(numbers: Mapping[str, Any]) -> str:
    """The overlap of a manifest as aligned text: one line for each benchmark and source, then what was not looked at."""
    rows = [
        (f"{name} in {source}", share(own["comparisons"], own["checked"]), *(f"{own['by'][kind]:,}" for kind in KINDS))
        for name, benchmark in numbers["benchmarks"].items()
        for source, own in benchmark["sources"].items()
    ]
    lines = [table(("overlap with benchmarks", "comparisons", *(f"by {kind}" for kind in KINDS)), rows)] if rows else []
    lines += [
        f"{name}: the pictures of {benchmark['texts_alone']:,} comparisons are not at hand; looked for by their texts alone"
        for name, benchmark in numbers["benchmarks"].items()
        if benchmark["texts_alone"]
    ]
    return "\n".join([*lines, *(f"not checked: {name}: {why}" for name, why in numbers["not_checked"].items())])


def found_of(numbers: Mapping[str, Any] | None, name: str, content: str) -> tuple[str, Mapping[str, Any]] | None:
    """Name and numbers of the benchmark with this content in a manifest's `overlap`, else of the one with this name; None for neither.

    Args:
        content: as `known.content_of` says.
    """
    benchmarks = (numbers or {}).get("benchmarks", {})
    match = next((other for other, found in benchmarks.items() if found["content"] == content), name)
    return (match, benchmarks[match]) if match in benchmarks else None


def sentence(numbers: Mapping[str, Any] | None, name: str, content: str, entry: str | None = None) -> str:
    """What a run's manifest says of one benchmark, for the line above its results.

    Args:
        numbers: `overlap` of the manifest; None where there is none.
        name, content: of the benchmark, as in `found_of`.
        entry: what names it in `data.overlap_with`; its name when None.
    """
    advice = f"training with data.overlap_with=[{entry or name}] checks it"
    match = found_of(numbers, name, content)
    if match is None or numbers is None:
        why = (numbers or {}).get("not_checked", {}).get(name)
        return f"overlap with the training data: not checked{f' ({why})' if why else ''}; {advice}"
    known_as, found = match
    parts = [f"{own['comparisons']:,} in {source}" for source, own in found["sources"].items() if own["comparisons"]]
    text = f"overlap with the training data: {share(found['found'], found['comparisons'])} of its comparisons"
    text += f"; {', '.join(parts)}" if parts else ""
    text += ", which were left out of training" if parts and numbers["mode"] == "drop" else ""
    text += f"; looked for as {known_as}" if known_as != name else ""
    return text if found["content"] == content else f"{text}; that was on other rows, version {found['version']}: {advice}"
