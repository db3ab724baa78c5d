"""Best of N against counting every subset, and rows that do not fit."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from made_samples import pair

from basereward.benchmarks.base import judge
from basereward.benchmarks.best_of_n import BestOfN, accuracy_curve, gold_curve
from basereward.benchmarks.picks import kl, majority_shares, pick_weights, sizes
from basereward.cli import main
from basereward.problems import BadRows
from basereward.samples import Sample, with_rewards

REWARDS = [0.5, 2.0, 2.0, -1.0, 0.5, 0.5]
CORRECT = [True, False, True, True, False, False]
ANSWERS = ["7", "8", "7 ", "7", "9", "8"]


def item(name: str, rewards, **meta) -> Sample:
    number = len(next(iter(meta.values())))
    rewards = None if rewards is None else tuple(rewards)
    return pair(0.0, name=name, pairs=(), lengths=(1,) * number, rewards=rewards, meta=meta)


def every_subset(size: int, share) -> float:
    """The mean over all subsets of places of what one gives."""
    return float(np.mean([share(list(places)) for places in combinations(range(len(REWARDS)), size)]))


def picked(values, worth):
    """Of a subset, the mean worth of those with its greatest value."""

    def share(places):
        best = max(values[p] for p in places)
        return np.mean([worth[p] for p in places if values[p] == best])

    return share


def voted(places):
    answers = [ANSWERS[p].strip() for p in places]
    most = max(map(answers.count, answers))
    winners = sorted({answer for answer in answers if answers.count(answer) == most})
    shares = {a: np.mean([CORRECT[p] for p in range(len(ANSWERS)) if ANSWERS[p].strip() == a]) for a in winners}
    return np.mean(list(shares.values()))


@pytest.mark.parametrize("size", range(1, 7))
def test_the_curves_are_means_over_every_subset(size):
    gold = [3.0, -2.0, 0.5, 8.0, 1.0, 0.0]
    assert pick_weights(REWARDS, size).sum() == pytest.approx(1)
    assert pick_weights(REWARDS, size) @ np.array(CORRECT) == pytest.approx(every_subset(size, picked(REWARDS, CORRECT)))
    assert pick_weights(REWARDS, size) @ np.array(gold) == pytest.approx(every_subset(size, picked(REWARDS, gold)))
    oracle = every_subset(size, lambda places: any(CORRECT[p] for p in places))
    assert pick_weights(CORRECT, size) @ np.array(CORRECT) == pytest.approx(oracle)
    assert majority_shares(ANSWERS, CORRECT, 6)[size] == pytest.approx(every_subset(size, voted))


def test_an_answer_that_is_marked_both_ways_counts_for_its_share():
    assert majority_shares(["a", "a", "b"], [True, False, False], 3)[3] == 0.5
    assert majority_shares(["a", "b"], [True, False], 2) == [0.0, 0.5, 0.5]


def test_many_responses_are_exact_and_quick():
    """Of 256 with one correct, best by reward: drawn with probability N / 256. All answers different: the vote is chance."""
    rewards, correct = np.arange(256.0), np.arange(256) == 255
    assert pick_weights(rewards, 64) @ correct == pytest.approx(64 / 256)
    shares = majority_shares([str(n) for n in range(64)], [n == 0 for n in range(64)], 64)
    assert shares[1:] == pytest.approx([1 / 64] * 64)


def test_the_curve_of_two_prompts_by_hand():
    """One prompt whose greatest reward is right, one whose greatest is wrong; both have two right of four."""
    right = item("a", [3, 2, 1, 0], correct=[True, True, False, False], answers=["x", "x", "y", "z"])
    wrong = item("b", [3, 2, 1, 0], correct=[False, False, True, True], answers=["x", "y", "z", "z"])
    curve = accuracy_curve([right, wrong])
    assert [row["n"] for row in curve] == [1, 2, 4] == sizes([right, wrong])
    assert [row["picked"] for row in curve] == pytest.approx([0.5, 0.5, 0.5])  # a: 1/2, 5/6, 1; b: 1/2, 1/6, 0
    assert [row["random"] for row in curve] == [0.5] * 3 and [row["oracle"] for row in curve] == pytest.approx([0.5, 5 / 6, 1])
    assert curve[-1]["majority"] == 1.0 and curve[0]["majority"] == pytest.approx(0.5)
    assert curve[-1]["interval_95"] == [0.0, 1.0]


def test_an_item_that_was_not_scored_is_never_right_and_shortens_no_curve():
    curve = accuracy_curve([item("a", [1, 0], correct=[True, False]), item("b", None, correct=[True, False])])
    assert [row["picked"] for row in curve] == [0.25, 0.5] and curve[-1]["oracle"] == 1 and curve[-1]["majority"] is None


def test_over_optimisation_is_seen():
    """Reward and gold agree but for the greatest reward, whose gold is the least: the curve rises and then falls."""
    gold = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -20.0]
    curve = gold_curve([item("a", range(8), gold=gold), item("b", range(8), gold=gold)])
    values = {row["n"]: row["gold"] for row in curve}
    assert values[1] == pytest.approx(np.mean(gold)) and values[8] == -20 and curve[-1]["oracle"] == 6
    brute = np.mean([gold[max(places)] for places in combinations(range(8), 2)])
    assert values[2] == pytest.approx(brute) and values[2] > values[8]
    assert curve[2]["kl"] == pytest.approx(np.log(4) - 0.75) and kl(1) == 0
    assert curve[0]["interval_95"] == pytest.approx([values[1], values[1]])


ROWS = [
    {"id": "a", "prompt": "1 + 6?", "responses": ["7", "It is 8.", "Seven: 7"], "correct": [True, False, True], "answers": ["7", "8", "7"]},
    {"id": "b", "prompt": "Two?", "responses": ["1", "3"], "correct": [False, False], "answers": ["1", "3"]},
]  # fmt: skip


def write(tmp_path, rows):
    file = tmp_path / "sampled.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rows_keep_their_columns_and_give_pairs(tmp_path):
    benchmark = BestOfN(str(write(tmp_path, ROWS)))
    first, second = benchmark.comparisons()
    assert [(p.better, p.worse) for p in first.pairs] == [(0, 1), (2, 1)] and second.pairs == ()
    assert first.meta["answers"] == ["7", "8", "7"] and second.meta["correct"] == [False, False]
    gold = [{"prompt": "q", "responses": ["a", "b"], "gold": [0.5, 0.1]}]
    assert [(p.better, p.worse) for p in BestOfN(str(write(tmp_path, gold))).comparisons()[0].pairs] == [(0, 1)]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"correct": [True, False]}, "list of 3, each true or false"), ({"correct": [1, 0, 1]}, "each true or false"),
     ({"answers": ["7", None, "7"]}, "each a text"), ({"gold": [1, 2, float("nan")]}, "each a finite number"),
     ({"correct": None}, "`correct` or `gold`"), ({"responses": None}, "`responses`")],
)  # fmt: skip
def test_columns_that_do_not_fit_are_told(tmp_path, change, said):
    with pytest.raises(BadRows, match=said):
        BestOfN(str(write(tmp_path, [ROWS[0] | change, ROWS[1]]))).comparisons()


def test_a_model_is_judged_on_its_picks(tiny_run, tmp_path, capsys):
    file, out = write(tmp_path, ROWS), tmp_path / "out"
    assert (
        main(["evaluate", f"model={tiny_run}", "benchmark=best_of_n", f"benchmark.path={file}", f"out={out}", "device=cpu"]) == 0
    )
    results, shown = json.loads((out / "results.json").read_text()), capsys.readouterr().out
    rewards = json.loads((out / "samples.jsonl").read_text().splitlines()[0])["rewards"]
    curve = results["own"]["best_of_n"]
    weights = pick_weights(rewards, 2) @ np.array([True, False, True])
    assert [row["n"] for row in curve] == [1, 2] and curve[1]["picked"] == pytest.approx(weights / 2)
    assert results["official"] == {"rule": "accuracy of the pick among 2", "value": curve[1]["picked"]} and results["n"] == 2
    assert "best of n" in shown and f"{curve[1]['picked']:.4f}" in shown
    assert json.loads((out / "gallery.json").read_text())["num_scored"] == 1, "the row without pairs is neither right nor wrong"


def test_all_is_made_again_from_samples():
    samples = [item("a", [1, 0], correct=[True, False], gold=[0.1, 0.4])]
    found = BestOfN("nowhere.jsonl").numbers(samples)
    assert found["own"].keys() == {"best_of_n", "over_optimisation"} and found["official"]["value"] == 1.0
    assert judge(BestOfN("nowhere.jsonl"), [pair(1.0, name="a", meta={"correct": [True, False]})])["own"].keys() == {"best_of_n"}


def test_a_row_with_gold_alone_takes_nothing_from_the_others_and_is_told(tmp_path):
    """Three rows with both columns, one with gold alone: the headline is over three, accuracy is of correct against wrong alone."""
    full = [
        {"id": f"r{k}", "prompt": f"{k}?", "responses": ["a", "b"], "correct": [True, False], "gold": [0.9, 0.1]}
        for k in range(3)
    ]
    alone = {"id": "g", "prompt": "g?", "responses": ["a", "b", "c"], "gold": [0.1, 0.5, 0.9]}
    benchmark = BestOfN(str(write(tmp_path, [*full, alone])))
    items = benchmark.comparisons()
    assert [len(item.pairs) for item in items] == [1, 1, 1, 0]
    assert any("no `correct` in 1 of 4 rows (g)" in note for note in benchmark.notes), benchmark.notes
    rewards = [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (2.0, 1.0, 0.0)]
    found = judge(benchmark, with_rewards(items, rewards))
    assert found["official"]["value"] == pytest.approx(2 / 3) and "3 of 4 prompts" in found["official"]["rule"]
    assert (found["n"], found["correct"]) == (3, 2) and [row["n"] for row in found["own"]["best_of_n"]] == [1, 2]
    assert found["own"]["over_optimisation"][-1]["gold"] == pytest.approx((0.9 + 0.9 + 0.1 + (0.1 + 0.1 + 0.5) / 3) / 4)


def test_columns_that_all_rows_have_or_none_has_are_no_news(tmp_path):
    gold = [{"prompt": f"{k}?", "responses": ["a", "b"], "gold": [0.5, 0.1]} for k in range(2)]
    for rows in (ROWS, gold):
        benchmark = BestOfN(str(write(tmp_path, rows)))
        benchmark.comparisons()
        assert benchmark.notes == []
    one_lacks = [{key: value for key, value in ROWS[0].items() if key != "answers"}, ROWS[1]]
    benchmark = BestOfN(str(write(tmp_path, one_lacks)))
    benchmark.comparisons()
    assert ["no `answers` in 1 of 2 rows (a)" in note for note in benchmark.notes] == [True]


def test_where_all_are_correct_the_interval_is_the_same_for_every_n():
    """19 prompts of 6: 0.025 ** (1 / 19) = 0.8235, however the shares of the pick round when they are summed."""
    generator = np.random.default_rng(0)
    samples = [item(str(k), generator.normal(size=6), correct=[True] * 6) for k in range(19)]
    curve = accuracy_curve(samples)
    assert [row["n"] for row in curve] == [1, 2, 4, 6]
    assert [row["interval_95"] for row in curve] == [pytest.approx([0.8235, 1.0], abs=1e-4)] * 4
    none = [item(str(k), generator.normal(size=6), correct=[False] * 6) for k in range(19)]
    assert accuracy_curve(none)[2]["interval_95"] == pytest.approx([0.0, 0.1765], abs=1e-4)
