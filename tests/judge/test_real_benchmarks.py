"""Counts, baselines and quirks of benchmarks on their real rows, which BASEREWARD_REAL_DATA names; every figure to its last digit."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml

from basereward.benchmarks import base
from basereward.config import build
from basereward.judging import accuracy, by_category, is_correct, judged_pairs, results
from basereward.samples import Sample, unscored
from basereward.stand_ins import is_missing, shuffled, with_generated

FOLDER = os.environ.get("BASEREWARD_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
CONF = Path(__file__).resolve().parents[2] / "conf" / "benchmark"
PATHS = {
    "vl_rewardbench": "vl_rewardbench/data.json",
    "mm_rlhf_rewardbench": "mm_rlhf_rewardbench/mm_reward_bench.jsonl",
    "rm_bench": "rm_bench/*.json",
    "judgebench": "judgebench/claude-3-5-sonnet-20240620.jsonl",
}


@pytest.fixture(scope="module")
def items():
    """Name -> (benchmark, comparisons), each read once."""
    read = {}

    def of(name: str):
        if name not in read:
            node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
            made = build(node | {"path": os.path.join(FOLDER or "", PATHS[name])})
            read[name] = (made, made.comparisons())
        return read[name]

    return of


def samples(made, comparisons, scores=None) -> list[Sample]:
    """With rewards by a function of the text, or by which response is the better."""
    found = [Sample(**unscored(item, made.meta_keys), rewards=None) for item in comparisons]
    if scores is None:
        return found
    return [dataclasses.replace(one, rewards=tuple(map(scores, item.responses))) for one, item in zip(found, comparisons)]


def percent(value: float) -> float:
    return round(100 * value, 2)


@pytest.mark.parametrize(
    ("name", "edition", "count", "pairs"),
    [
        ("vl_rewardbench", "official", 1250, 1250),
        ("mm_rlhf_rewardbench", "official", 170, 170),
        ("judgebench", "split claude", 270, 270),
        ("rm_bench", "unknown: expected chat 129, code 228, math 529, safety 441; found chat 129, safety 157", 286, 2574),
    ],
)
def test_counts(items, name, edition, count, pairs):
    made, comparisons = items(name)
    assert len(comparisons) == len({item.id for item in comparisons}) == count
    assert sum(len(item.pairs) for item in comparisons) == pairs
    assert base.edition(made, comparisons) == edition and made.version.startswith("sha256:")


@pytest.mark.parametrize("name", PATHS)
def test_extreme_scorers(items, name):
    """All right, all wrong, all tied; a row of JudgeBench has two equal answers and is tied whatever the model."""
    made, comparisons = items(name)
    tied = sum(item.responses[0] == item.responses[1] for item in comparisons) if name == "judgebench" else 0
    assert tied == (1 if name == "judgebench" else 0)
    for sign in (1, -1, 0):
        scored = []
        for one, item in zip(samples(made, comparisons), comparisons):
            better = {pair.better for pair in item.pairs}
            right = [0 if tied and item.responses[0] == item.responses[1] else sign if k in better else -sign
                     for k in range(len(item.responses))]  # fmt: skip
            scored.append(dataclasses.replace(one, rewards=tuple(map(float, right))))
        pairs = judged_pairs(scored)
        assert is_correct(pairs).sum() == (len(pairs) - tied if sign == 1 else 0)
        assert sum(pair.better == pair.worse for pair in pairs) == (len(pairs) if sign == 0 else tied)


def test_length_baselines_of_vl_rewardbench(items):
    """DESIGN's figures: in characters the shorter wins 56.48 of all pairs and 56.02 in the mean of the categories."""
    made, comparisons = items("vl_rewardbench")
    numbers = base.judge(made, samples(made, comparisons, scores=lambda text: -float(len(text))))
    assert percent(numbers["accuracy"]) == percent(numbers["baselines"]["shorter_wins"]) == 56.48
    assert percent(numbers["macro"]) == percent(numbers["baselines"]["shorter_wins_macro"]) == 56.02
    assert numbers["ties"] == 11 and numbers["edition"] == "official"
    # The split of the papers on the same rewards: one and the same overall, other categories.
    sizes = {name: of["n"] for name, of in numbers["legacy"]["categories"].items()}
    assert sizes == {"general": 484, "hallucination": 448, "reasoning": 318}
    rights = sum(of["n"] * of["accuracy"] for of in numbers["legacy"]["categories"].values())
    assert rights == pytest.approx(numbers["correct"])


def test_length_baselines_of_mm_rlhf_rewardbench(items):
    """122 of 170 pairs and 22 of 46 questions for the longer answer; 27.06 and 8.7 for the shorter."""
    made, comparisons = items("mm_rlhf_rewardbench")
    longer = base.judge(made, samples(made, comparisons, scores=lambda text: float(len(text))))
    shorter = base.judge(made, samples(made, comparisons, scores=lambda text: -float(len(text))))
    assert (longer["correct"], percent(longer["accuracy"]), percent(longer["own"]["acc_plus"])) == (122, 71.76, 47.83)
    assert (percent(shorter["accuracy"]), percent(shorter["own"]["acc_plus"])) == (27.06, 8.7)
    assert [percent(shorter["baselines"][f"{name}_wins_acc_plus"]) for name in ("longer", "shorter")] == [47.83, 8.7]
    assert longer["categories"]["short"]["correct"] == 17 and longer["categories"]["safety"]["correct"] == 21
    assert longer["own"]["questions"] == 46
    shares = [percent(longer["categories"][name]["accuracy"]) for name in ("mcq", "long", "short", "safety", "video")]
    assert shares == [73.81, 81.08, 50.0, 65.62, 92.0]


def test_the_five_rows_whose_second_response_is_the_better(items):
    """A scorer that always takes the first is wrong on five, all of them in general: 97.27% there, as a reader who ignores ranks gets."""
    made, comparisons = items("vl_rewardbench")
    first = [dataclasses.replace(one, rewards=(1.0, 0.0)) for one in samples(made, comparisons)]
    shares = {name: percent(accuracy(pairs)) for name, pairs in by_category(judged_pairs(first)).items()}
    assert shares == {"general": 97.27, "hallucination": 100.0, "reasoning": 100.0}


def test_the_ids_that_stand_twice_are_two_items(items):
    _, comparisons = items("vl_rewardbench")
    times = Counter(item.meta["row_id"] for item in comparisons)
    assert len(times) == 1225 and sorted(times.values())[-25:] == [2] * 25
    twice = {item.category for item in comparisons if times[item.meta["row_id"]] == 2}
    assert twice == {"reasoning"}


def test_the_questions_of_mm_rlhf_have_two_to_six_pairs(items):
    _, comparisons = items("mm_rlhf_rewardbench")
    sizes = Counter(Counter(item.meta["query_id"] for item in comparisons).values())
    assert sizes == {3: 13, 5: 11, 2: 11, 4: 6, 6: 5}
    assert len({item.id for item in comparisons}) == 170, "no pair is lost to another of its question"


def test_length_fails_on_the_hard_pairs_of_rm_bench(items):
    """Where the wrong answer has the richer style it is mostly the longer one too, and the other way round."""
    made, comparisons = items("rm_bench")
    own = base.judge(made, samples(made, comparisons, scores=lambda text: float(len(text))))["own"]
    for name in ("chat", "safety"):
        assert own["domains"][name]["hard"] < 0.25 < 0.75 < own["domains"][name]["easy"]
    assert set(own["domains"]) == {"chat", "safety"} and "hard" not in own


def test_generated_pictures_stand_for_every_missing_one(items):
    """25 videos of 32 frames among the 170; one file is one picture; nothing of a present picture is touched."""
    _, comparisons = items("vl_rewardbench")
    assert all(is_missing(ref) for item in comparisons for ref in item.images)
    found, counts = with_generated(comparisons)
    assert counts == [1] * 1250 and all(isinstance(item.images[0], bytes) for item in found)
    assert len({item.images[0] for item in found}) == len({item.images[0] for item in comparisons}) == 1225
    _, videos = items("mm_rlhf_rewardbench")
    assert Counter(with_generated(videos)[1]) == {1: 145, 32: 25}
    moved = shuffled(found, seed=1)
    assert all(new.images != old.images for new, old in zip(moved, found)) and moved == shuffled(found, seed=1)
    assert results(samples(*items("vl_rewardbench"), scores=lambda text: 0.0))["ties"] == 1250
