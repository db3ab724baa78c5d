"""A benchmark's own numbers in print, and the length baselines by its own rule."""

from __future__ import annotations

from pathlib import Path

import yaml
from made_samples import pair

from basereward.benchmarks.base import judge
from basereward.config import build
from basereward.judging import by_length
from basereward.results_tables import told
from basereward.samples import Sample

CONF = Path(__file__).resolve().parents[2] / "conf" / "benchmark"


def made(name: str):
    return build(yaml.safe_load((CONF / f"{name}.yaml").read_text()) | {"path": "given"})


def lines(name: str, samples: list[Sample]) -> list[str]:
    numbers = {"benchmark": name, "version": "1"} | judge(made(name), samples)
    return told(numbers, samples).splitlines()


def domain(name: str, *rewards: float) -> Sample:
    cross = tuple((i, j) for i in range(3) for j in range(3, 6))
    return Sample(name, name, name, "", cross, (1,) * 6, rewards)


def test_a_part_of_rm_bench_is_shown_by_level():
    """Only the plain correct answer loses to a richer wrong one: 2 of 3 cells of hard."""
    printed = lines("rm_bench", [domain("chat", 1, 3, 4, 0, 2, 0), domain("safety", 1, 1, 1, 0, 0, 0)])
    assert next(line.split() for line in printed if line.startswith("domains")) == ["domains", "hard", "normal", "easy", "total"]
    rows = {line.split()[0]: line.split()[1:] for line in printed[-2:]}
    assert rows == {"chat": ["66.7", "100.0", "100.0", "88.9"], "safety": ["100.0"] * 4}


# Two questions of two pairs: the longer answer is right in both of the first, in one of the second.
QUESTIONS = [pair(0.5, 5, name="a", meta={"query_id": "1"}), pair(-0.5, 5, name="b", meta={"query_id": "1"}),
             pair(0.5, 5, name="c", meta={"query_id": "2"}), pair(0.5, -5, name="d", meta={"query_id": "2"})]  # fmt: skip


def test_acc_plus_is_shown_and_kept_of_the_length_baselines_too():
    printed = lines("mm_rlhf_rewardbench", QUESTIONS)
    assert "questions 2, acc plus 50.0" in printed
    assert "longer wins 75.0 (acc plus 50.0), shorter wins 25.0 (acc plus 0.0)" in printed
    base = judge(made("mm_rlhf_rewardbench"), QUESTIONS)["baselines"]
    assert (base["longer_wins_acc_plus"], base["shorter_wins_acc_plus"]) == (0.5, 0.0)
    assert base["longer_wins"] == 0.75 and base["longer_wins_macro"] == 0.75


def test_length_baselines_do_not_look_at_rewards():
    for name, of in by_length(QUESTIONS).items():
        wanted = judge(made("mm_rlhf_rewardbench"), of)
        assert wanted["accuracy"] == wanted["baselines"][name]
        assert wanted["own"]["acc_plus"] == wanted["baselines"][f"{name}_acc_plus"]
