"""The benchmarks' own numbers against values worked out by hand, extreme scorers on all of them, and editions by their counts."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import yaml

from basereward.benchmarks import base, mm_rlhf_rewardbench, reward_bench, reward_bench_2, rm_bench, vl_rewardbench
from basereward.benchmarks.group import Group, members
from basereward.config import build
from basereward.errors import ConfigError, DataError
from basereward.judging import results
from basereward.samples import Sample, unscored

CONF = Path(__file__).resolve().parents[2] / "conf" / "benchmark"
NODES = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(CONF.glob("*.yaml"))}
PUBLIC = [name for name, node in NODES.items() if "expected" in node]
ROWS = Path(__file__).resolve().parents[1] / "data" / "recipe_rows"


def sample(name="a", rewards=(1.0, 0.0), pairs=((0, 1),), category="x", **more) -> Sample:
    lengths = more.pop("lengths", (1,) * (len(rewards) if rewards is not None else 2))
    return Sample(name, category, more.pop("group", name), "", pairs, lengths, rewards, **more)


def benchmark(name: str, **keys):
    return build(NODES[name] | {"path": "given"} | keys)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_benchmark_says_its_counts_and_what_was_verified(name):
    made = benchmark(name)
    assert made.name == name and made.expected and made.verified_on in ("real rows", "reference only")
    assert made.verified_on == made.recipe.card.verified_on
    total = base.num_expected(made)
    assert total in {*made.recipe.card.rows_expected.values(), 5211}


def test_the_counts_that_are_published():
    totals = {name: base.num_expected(benchmark(name)) for name in PUBLIC}
    assert totals == {
        "vl_rewardbench": 1250, "mm_rlhf_rewardbench": 170, "judgebench": 350, "rm_bench": 1327, "reward_bench": 2985,
        "reward_bench_2": 1865, "multimodal_rewardbench": 5211, "mmrb2": 1000,
    }  # fmt: skip


def test_reward_bench_2_is_told_by_the_counts_of_its_card():
    card = {"Factuality": 475, "Precise IF": 160, "Math": 183, "Safety": 450, "Focus": 495, "Ties": 102}
    made, items = benchmark("reward_bench_2"), [sample(category=name) for name, n in card.items() for _ in range(n)]
    assert base.edition(made, items) == "official"
    assert base.edition(made, [*items[1:], sample(category="Ties")]).startswith("unknown: expected Factuality 475"), (
        "the same total"
    )


# RewardBench: the sections, and the subset that weighs more than its rows


def test_math_counts_as_much_as_all_code():
    found = reward_bench.sections(
        {"math-prm": 1.0, **{f"hep-{word}": 0.5 for word in ("cpp", "go", "java", "js", "python", "rust")}}
    )
    assert found == {"Reasoning": pytest.approx(0.75)}
    assert sum(reward_bench.WEIGHTS.values()) == 358 + 456 + 740 + 984 + 6 * 164


def test_the_total_is_the_mean_of_sections_and_not_of_pairs():
    """2 of 2 in Chat, 0 of 1 in the others: 2 of 5 pairs, a total of 1/4."""
    given = [("alpacaeval-easy", "Chat", 1), ("alpacaeval-easy", "Chat", 1), ("mt-bench-hard", "Chat Hard", 0)]
    given += [("donotanswer", "Safety", 0), ("hep-go", "Reasoning", 0)]
    samples = [
        sample(str(k), (float(right), 0.5), category=section, meta={"subset": subset})
        for k, (subset, section, right) in enumerate(given)
    ]
    numbers = base.judge(benchmark("reward_bench"), samples)
    assert numbers["accuracy"] == 0.4 and numbers["official"]["value"] == 0.25
    assert base.judge(benchmark("reward_bench"), samples[:3])["official"] is None


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
def test_sections_of_a_model_on_the_leaderboard():
    real = json.loads((Path(os.environ["BASEREWARD_REAL_DATA"]) / "reward_bench" / "beaver_cost_sections.json").read_text())
    found = reward_bench.sections(real["subset_accuracy"])
    assert found == pytest.approx(real["expected_sections_official_weighting"], abs=1e-12)
    assert sum(found.values()) / 4 == pytest.approx(real["expected_mean_of_4_sections"], abs=1e-12)
    assert real["example_counts"] == reward_bench.WEIGHTS


# RewardBench 2: credit and Ties


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [((3, 2, 1, 0), 1.0), ((3, 3, 1, 0), 0.5), ((3, 3, 3, 3), 0.25), ((2, 3, 1, 0), 0.0), (None, 0.0)],
)
def test_credit_is_shared_among_the_best(rewards, expected):
    assert reward_bench_2.credit(sample(rewards=rewards)) == expected


def tied(number, rewards, num_correct, kind="tied"):
    return sample(f"{kind}:{number}", rewards, category="Ties", meta={"row_id": f"{kind}:{number}", "num_correct": num_correct})


def test_ties_by_hand():
    """Number 1: margin 4 - 1 = 3 over a spread of 5 - 4 = 1, ref margin 2, so preferred and hard, tanh(2 / 1 - 1) = tanh(1).
    Number 2: margin 3 - 2 = 1 under a spread of 2, ref margin -1: not preferred, ref wrong, tanh(-1 / 2 - 1) = tanh(-1.5).
    0.3 * 1 + 0.3 * 0.5 + 0.2 * 0.5 + 0.2 * 0.5 + 0.01 * (0.761594 - 0.905148) / 2 = 0.649282.
    """
    samples = [
        tied(1, (5.0, 4.0, 1.0, 0.0), 2), tied(1, (2.0, 0.0), 1, "ref"),
        tied(2, (5.0, 3.0, 2.0, 0.0), 2), tied(2, (0.0, 1.0), 1, "ref"),
    ]  # fmt: skip
    found = reward_bench_2.ties_score(samples)
    assert {key: found[key] for key in ("tied", "ref", "preferred", "preferred_hard")} == {
        "tied": 1.0, "ref": 0.5, "preferred": 0.5, "preferred_hard": 0.5,
    }  # fmt: skip
    assert found["margin"] == pytest.approx((0.7615941559557649 - 0.9051482536448664) / 2, abs=1e-12)
    assert found["score"] == pytest.approx(0.6492822295, abs=1e-9)


def test_ties_without_any_difference_and_with_a_failure():
    """All rewards alike: nothing is right, 0 / 0 counts 0; equal correct answers above the wrong ones: infinite, so tanh is 1."""
    alike = [tied(1, (1.0, 1.0, 1.0), 2), tied(1, (1.0, 1.0), 1, "ref")]
    assert reward_bench_2.ties_score(alike)["score"] == 0.0
    apart = [tied(1, (1.0, 1.0, 0.0), 2), tied(1, (1.0, 0.0), 1, "ref")]
    assert reward_bench_2.ties_score(apart)["score"] == pytest.approx(1.01)
    failed = [*apart, tied(2, None, 2), tied(2, (1.0, 0.0), 1, "ref")]
    assert reward_bench_2.ties_score(failed)["tied"] == 0.5 and reward_bench_2.ties_score(failed)["preferred"] == 0.5


def test_reward_bench_2_is_the_mean_of_six():
    samples = [sample(name, (1.0, 0.0, 0.0, 0.0), category=name) for name in ("Factuality", "Precise IF", "Math", "Safety")]
    samples += [
        sample("Focus", (0.0, 1.0, 0.0, 0.0), category="Focus"),
        tied(1, (1.0, 1.0, 0.0), 2),
        tied(1, (1.0, 0.0), 1, "ref"),
    ]
    numbers = base.judge(benchmark("reward_bench_2"), samples)
    assert numbers["official"]["value"] == pytest.approx((4 + 0 + 1.01) / 6)


# RM-Bench: which cell of the matrix is hard


def six(*rewards, name="a", category="chat"):
    return sample(name, rewards, tuple((i, 3 + j) for i in range(3) for j in range(3)), category)


def test_rm_bench_by_hand():
    """Rewards rise with the style alone: hard is all wrong, easy all right, the same style a tie, which is not right."""
    found = rm_bench.levels(rm_bench.matrix([six(0, 1, 2, 0, 1, 2)]))
    assert (found["hard"], found["normal"], found["easy"]) == (0.0, 0.0, 1.0)
    # The first correct answer loses to the plain and the markdown wrong one, all else is right: 1 of 3 cells of hard.
    found = rm_bench.levels(rm_bench.matrix([six(1, 5, 5, 0, 2, 2)]))
    assert (found["hard"], found["normal"], found["easy"]) == (pytest.approx(1 / 3), 1.0, 1.0)
    assert found["total"] == pytest.approx(7 / 9)


def test_rm_bench_is_the_mean_of_domains():
    """Three prompts of chat right, one of each other domain wrong: 1/4, where half of all pairs are right."""
    right, wrong = (1, 1, 1, 0, 0, 0), (0, 0, 0, 1, 1, 1)
    samples = [six(*right, name=f"chat{k}") for k in range(3)]
    samples += [six(*wrong, name=name, category=name) for name in ("code", "math", "safety")]
    numbers = base.judge(benchmark("rm_bench"), samples)
    assert numbers["official"]["value"] == 0.25 and numbers["accuracy"] == 0.5
    assert numbers["own"]["hard"] == 0.25 and base.judge(benchmark("rm_bench"), samples[:4])["official"] is None


# MM-RLHF-RewardBench: all pairs of a question


def test_acc_plus_wants_every_pair_of_a_question():
    given = [("q1", 1), ("q1", 1), ("q2", 0), ("q2", 1), ("q3", None)]
    samples = [
        sample(str(k), None if right is None else (float(right), 0.5), category="mcq" if query != "q3" else "video",
               meta={"query_id": query})
        for k, (query, right) in enumerate(given)
    ]  # fmt: skip
    own = base.judge(benchmark("mm_rlhf_rewardbench"), samples)["own"]
    assert own["questions"] == 3 and own["acc_plus"] == pytest.approx(1 / 3)
    assert own["by_category"]["mcq"] == {"questions": 2, "acc_plus": 0.5}
    assert mm_rlhf_rewardbench.MMRLHFRewardBench.meta_keys == ("query_id",)


# VL-RewardBench: the split of papers


def test_the_legacy_split_moves_two_sources_to_general():
    rows = [("RLAIF-V-1", "hallucination", 1), ("RLHF-V-2", "hallucination", 0), ("hallucination_pair-3", "hallucination", 1)]
    rows += [("wildvision-battle-4", "general", 1), ("mathverse_5", "reasoning", 0)]
    samples = [sample(name, (float(right), 0.5), category=of, meta={"row_id": name}) for name, of, right in rows]
    numbers = base.judge(benchmark("vl_rewardbench"), samples)
    assert numbers["legacy"]["categories"]["general"] == {"n": 3, "accuracy": pytest.approx(2 / 3)}
    assert numbers["legacy"]["categories"]["hallucination"] == {"n": 1, "accuracy": 1.0}
    assert numbers["categories"]["hallucination"]["n"] == 3 and numbers["legacy"]["macro"] == pytest.approx(5 / 9)
    assert numbers["legacy"]["split"] == vl_rewardbench.LEGACY


# Editions


def with_counts(**counts: int) -> list[Sample]:
    return [sample(f"{name}{k}", category=name) for name, count in counts.items() for k in range(count)]


def test_an_edition_is_told_by_its_counts():
    made = benchmark("vl_rewardbench")
    assert base.edition(made, with_counts(general=183, hallucination=749, reasoning=318)) == "official"
    assert base.edition(made, with_counts(general=183, hallucination=747, reasoning=317)) == "copy of 1,247 rows"
    other = base.edition(made, with_counts(general=484, hallucination=448, reasoning=318))
    assert other == (
        "unknown: expected general 183, hallucination 749, reasoning 318; found general 484, hallucination 448, reasoning 318"
    )
    assert base.edition(base.Benchmark(), with_counts(general=1)) is None


def test_the_release_without_hateful_memes():
    made = benchmark("multimodal_rewardbench")
    assert base.edition(made, with_counts(vqa=3) + [sample("b", category="safety/bias")]) == "release without Hateful Memes"
    assert base.edition(made, [sample("t", category="safety/toxicity")]).startswith("unknown: expected total 5211")


# Extreme scorers


def unscored_samples(name: str, folder: Path) -> tuple[base.Benchmark, list[Sample]]:
    """A benchmark on those of its recipe's test rows that have no problem, and its samples without rewards."""
    from test_recipe_contract import fixture, write

    module = fixture(name)
    good = [row for row in module.ROWS if usable(name, row, folder)]
    file = write(module, folder, good)
    made = benchmark(name, path=str(folder / module.PATH if hasattr(module, "PATH") else file))
    return made, [Sample(**unscored(item, made.meta_keys), rewards=None) for item in made.comparisons()]


def usable(name, row, folder) -> bool:
    from test_recipe_contract import fixture, write

    try:
        return bool(benchmark(name, path=str(write(fixture(name), folder, [row]))).comparisons())
    except DataError:
        return False


@pytest.mark.parametrize("name", PUBLIC)
def test_perfect_inverted_and_constant_scorers(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROWS.parent))
    made, samples = unscored_samples(name, tmp_path)
    assert samples and len({item.id for item in samples}) == len(samples)
    for sign, accuracy in ((1, 1.0), (-1, 0.0), (0, 0.0)):
        scored = [dataclasses.replace(item, rewards=tuple(sign * reward for reward in quality(item))) for item in samples]
        numbers = base.judge(made, scored)
        assert numbers["accuracy"] == accuracy and numbers["failed"] == 0
        assert numbers["ties"] == (numbers["n"] if sign == 0 else 0)
        if numbers["official"] is not None:
            assert numbers["official"]["value"] == pytest.approx(accuracy, abs=0.02)
        json.dumps(numbers)


def quality(item: Sample) -> list[float]:
    better = {a for a, _ in item.pairs}
    return [1.0 if k in better else -1.0 for k in range(len(item.lengths))]


# Failures


def test_a_failure_is_neither_right_nor_wrong_and_stays_in_n():
    samples = [sample("a", (1.0, 0.0)), sample("b", (0.0, 1.0)), sample("c", None, error="broken"), sample("d", (1.0, 0.0))]
    numbers = results(samples)
    counts = {key: numbers[key] for key in ("n", "correct", "wrong", "ties", "failed")}
    assert counts == {"n": 4, "correct": 2, "wrong": 1, "ties": 0, "failed": 1}
    assert numbers["accuracy"] == 0.5 and numbers["accuracy_of_scored"] == pytest.approx(2 / 3)
    low, high = numbers["interval_95"]
    assert low <= 0.5 <= high
    everything = results([sample("a", None, error="broken")])
    assert everything["accuracy"] == 0.0 and everything["failed"] == 1 and everything["wrong"] == 0


# Groups


def test_a_group_gives_each_member_its_own_keys():
    node = NODES["multimodal"] | {"members": {"vl_rewardbench": {"path": "a.json", "image_root": None}, "rm_bench": None}}
    found = {made.name: (own, made) for own, made in members(node)}
    assert found["vl_rewardbench"][1].recipe.path == "a.json" and found["rm_bench"][1].recipe.data.is_hub
    assert [made.name for _, made in members(NODES["demo"])] == ["demo"]
    with pytest.raises(ConfigError, match="benchmark.members.vl_rewardbenc: found no such benchmark; did you mean"):
        Group({"vl_rewardbenc": None})


def test_groups_hold_every_public_benchmark():
    both = [*NODES["multimodal"]["members"], *NODES["text"]["members"]]
    assert sorted(both) == sorted(PUBLIC) and sorted(NODES["all"]["members"]) == sorted(PUBLIC)


def test_a_benchmark_without_a_repository_says_how_to_get_it():
    made = benchmark("multimodal_rewardbench", path=None)
    with pytest.raises(DataError, match=r"expected benchmark.path to name a copy; found none; clone .*benchmark.path=<clone>"):
        made.comparisons()
