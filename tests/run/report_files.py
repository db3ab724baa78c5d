"""Run directories with evaluations for tests of pages: files as training and evaluation leave them, with rewards made up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from basereward.metrics import clustered_interval, outcome
from basereward.records import Comparison, Pair
from basereward.report.gallery import gallery
from basereward.samples import with_rewards

CATEGORIES = ("reasoning", "colour <b>", "counting things in crowded pictures")


def items(name: str, n: int, seed: int = 0) -> list[Comparison]:
    """Questions with answers of many lengths, every second one with a picture; the first answer is the preferred one."""
    generator = np.random.default_rng(seed)
    found = []
    for k in range(n):
        lengths = (2 ** generator.uniform(2, 9, 2)).astype(int)
        images = (Image.new("RGB", (48, 32), ("red", "green", "blue")[k % 3]),) if k % 2 else ()
        content = [*({"type": "image"} for _ in images), {"type": "text", "text": f"Question {k} of {name}?"}]
        responses = ("good " * int(lengths[0]), "bad " * int(lengths[1]))
        found.append(
            Comparison(
                ({"role": "user", "content": content},),
                images,
                responses,
                (Pair(0, 1),),
                id=f"{name}-{k}",
                category=CATEGORIES[k % 3],
                source=f"set {k % 2}",
            )  # fmt: skip
        )
    return found


def summary(margins: Sequence[float], groups: Sequence[str]) -> dict:
    found = outcome(margins, [0.0] * len(margins))
    counts = {"n": found.n, "correct": found.correct, "ties": found.ties, "wrong": found.wrong, "failed": 0}
    interval = clustered_interval(np.asarray(margins) > 0, groups)
    return counts | {"accuracy": found.accuracy, "accuracy_of_scored": found.accuracy, "interval_95": interval}


def add_evaluation(run: Path, comparisons: Sequence[Comparison], margins: Sequence[float], name: str = "bench", **more) -> dict:
    """Results, samples and gallery of a model that gives the preferred answer that much more."""
    rewards = [np.array([margin, 0.0]) for margin in margins]
    groups = [item.id for item in comparisons]
    results = {"benchmark": name, "version": "1", **summary(margins, groups), "categories": {}, "edition": "official",
               "baselines": {"longer_wins": 0.414, "shorter_wins": 0.449}}  # fmt: skip
    for category in CATEGORIES:
        of = [k for k, item in enumerate(comparisons) if item.category == category]
        results["categories"][category] = summary([margins[k] for k in of], [groups[k] for k in of])
    results |= more
    folder = run / "eval" / name
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "samples.jsonl").write_text("".join(sample.line() for sample in with_rewards(comparisons, rewards)))
    (folder / "gallery.json").write_text(json.dumps(gallery(comparisons, rewards, split=name)))
    return results
