"""Published figures: every total that others give is derived again, every correction proved, and rows meet only what is comparable."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import yaml

from basereward.benchmarks import base
from basereward.config import build
from basereward.errors import ConfigError
from basereward.published import FOLDER, OURS, Row, beside_published, distinct, names, ours, read_published
from basereward.samples import Sample

CONF = Path(__file__).resolve().parents[2] / "conf" / "benchmark"
TEXTS = {name: (FOLDER / f"{name}.yaml").read_text(encoding="utf-8") for name in names()}
ALL = [(name, row) for name in names() for row in read_published(name).rows]
JUDGED = [name for name in names() if yaml.safe_load(TEXTS[name])["benchmark"]]
VL = ("general", "hallucination", "reasoning")
# A leaderboard that leaves unreadable judgements out of its denominators misses the sum of its categories by as much.
LOOSE = 0.7


def table(name: str, word: str) -> list[Row]:
    found = [row for row in read_published(name).rows if row.table and row.table.startswith(word)]
    assert found, f"{name}: no table {word}"
    return found


def of(name: str, word: str, model: str) -> Row:
    (row,) = [row for row in table(name, word) if row.model == model]
    return row


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def weighted(values, sizes) -> float:
    return sum(values[key] * sizes[key] for key in sizes) / sum(sizes.values())


def places(value: float) -> int:
    """Decimals of a figure as printed; a zero at the end is not known any more, which only makes a test of it stricter by two."""
    return max(1, len(str(value).partition(".")[2]))


def is_count(value: float, size: int, digits: int | None = None) -> bool:
    """Whether a percentage, rounded or cut off, is k of `size`."""
    digits = places(value) if digits is None else digits
    scale = 10**digits
    shares = [100 * k / size for k in range(size + 1)]
    return any(value in (round(share, digits), math.floor(share * scale) / scale) for share in shares)


@pytest.mark.parametrize("name", names())
def test_a_file_says_what_it_is_and_where_every_figure_is_from(name):
    first = TEXTS[name].splitlines()[0]
    assert first.startswith("# ") and "basereward evaluate" in first
    content = yaml.safe_load(TEXTS[name])
    assert content["benchmark"] in (name, None)
    for part in content["tables"]:
        assert part["source"] and {"url", "table", "rows"} <= part.keys(), part
        assert part["url"] is None or part["url"].startswith("https://")


@pytest.mark.parametrize(("name", "row"), ALL, ids=lambda value: getattr(value, "model", value))
def test_a_row_is_whole(name, row):
    columns = read_published(name).columns
    assert row.split in ("official", "legacy", "unstated") and row.kind in ("results", "ablation")
    assert row.values and all(0 <= value <= 100 for value in row.values.values())
    corrected = row.correction.get("values", {})
    assert {*row.values, *row.counts, *row.doubtful, *corrected} <= columns.keys()
    assert {*corrected, *row.doubtful} <= row.values.keys() and not {*corrected} & {*row.doubtful}
    assert not row.correction or (row.correction["why"] and all(row.values[key] != value for key, value in corrected.items()))


def test_whole_numbers_give_the_figures():
    """k / n, to the digits that are printed."""
    checked = 0
    for _, row in ALL:
        for key, (right, size) in row.counts.items():
            digits = max(2, places(row.corrected[key]))
            shares = (round(100 * right / size, digits), math.floor(100 * right / size * 100) / 100)
            assert row.corrected[key] in shares, (row.model, key)
            checked += 1
    assert checked >= 29


def test_buckets_add_up_to_the_total():
    """R1-Reward: 309 + 384 + 206 = 899 of 484 + 448 + 318 = 1,250; BaseReward: 396 + 413 + 218 = 1,027, 82.16."""
    whole = [row for row in read_published("vl_rewardbench").rows if {*VL, "overall"} <= row.counts.keys()]
    assert len(whole) == 6
    for row in whole:
        assert [sum(row.counts[key][i] for key in VL) for i in (0, 1)] == list(row.counts["overall"]), row.model
        assert row.counts["general"][1] == 484 and row.counts["hallucination"][1] == 448
        assert row.corrected["macro"] == pytest.approx(mean(row.corrected[key] for key in VL), abs=0.011)
    ours_ = of("vl_rewardbench", "Table 9", "BaseReward Qwen2.5-VL")
    assert ours_.counts["overall"] == [1027, 1250] and ours_.corrected["overall"] == 82.16
    assert of("vl_rewardbench", "Table 9", "R1-Reward 7B").values["overall"] == 100 * 899 / 1250


def test_exchanged_columns_are_exchanged():
    """As printed, the two columns are no counts of their buckets; exchanged, they are, and only so the total comes out."""
    rows = [row for row in table("vl_rewardbench", "Table 9") if "reasoning" in row.correction.get("values", {})]
    assert [row.model for row in rows] == ["VITA-1.5-7B", "BaseReward Qwen2-VL", "BaseReward Qwen2.5-VL", "BaseReward Ensemble"]
    for row in rows:
        assert row.corrected["general"] == row.values["reasoning"] and row.corrected["reasoning"] == row.values["general"]
        sizes = {key: row.counts[key][1] for key in VL}
        assert weighted(row.corrected, sizes) == pytest.approx(row.values["overall"], abs=0.011)
        assert abs(weighted(row.values, sizes) - row.values["overall"]) > 0.4
        assert not (
            is_count(row.values["general"], sizes["general"], 2) and is_count(row.values["reasoning"], sizes["reasoning"], 2)
        )


def test_the_split_of_a_row_is_what_its_arithmetic_says():
    """Of rows with three categories and a total: official and legacy where those sizes give the total, unstated where none does.

    One row of the benchmark's own leaderboard misses, by what it leaves out of its denominators.
    """
    sizes, missed = read_published("vl_rewardbench").sizes, []
    rows = [
        row for row in read_published("vl_rewardbench").rows if {*VL, "overall"} <= row.values.keys() and row.kind == "results"
    ]
    assert len(rows) > 30
    for row in rows:
        gap = {split: abs(weighted(row.corrected, sizes[split]) - row.corrected["overall"]) for split in sizes}
        if row.split == "unstated":
            assert min(gap.values()) > LOOSE, row.model
        elif gap[row.split] > LOOSE:
            missed.append(row.model)
    assert missed == ["LLaVA-OV-7B"]


def test_slime_fits_but_for_one_misprint():
    """Exchanged legacy columns: 23/318, 90/484, and 238 - 23 - 90 = 125 of 448 would be 27.90, where 27.09 is printed."""
    row = of("vl_rewardbench", "Table 9", "SliME-7B")
    assert (round(2300 / 318, 2), round(9000 / 484, 2), round(23800 / 1250, 2)) == (7.23, 18.60, 19.04)
    assert (row.values["general"], row.values["reasoning"], row.values["overall"]) == (7.23, 18.60, 19.04)
    assert round(12500 / 448, 2) == 27.90 and row.values["hallucination"] == 27.09 and row.split == "unstated"


def test_the_gains_of_the_paper_are_relative():
    """+11.9, +23.32 and +14.2 per cent are quotients, not points."""
    mm = {row.model: row.values for row in table("mm_rlhf_rewardbench", "Table 8")}
    vl = {row.model: row.values for row in table("vl_rewardbench", "Table 9")}
    best, base_reward = mm["MM-RLHF-Reward 7B"], mm["BaseReward Qwen2.5-VL-7B"]
    assert round(100 * (base_reward["acc"] / best["acc"] - 1), 1) == 11.9
    assert round(100 * (base_reward["acc_plus"] / mm["Claude-3.7-Sonnet"]["acc_plus"] - 1), 2) == 23.32
    assert round(100 * (vl["BaseReward Qwen2.5-VL"]["overall"] / vl["R1-Reward 7B"]["overall"] - 1), 1) == 14.2
    assert base_reward["acc"] - best["acc"] == pytest.approx(9.76)


def test_figures_that_are_no_counts_are_marked_and_no_others():
    sizes = read_published("mm_rlhf_rewardbench").sizes["official"]
    for row in read_published("mm_rlhf_rewardbench").rows:
        wrong = {key for key, value in row.values.items() if not is_count(value, sizes[key], max(places(value), 2))}
        if row.model == "R1-Reward Voting@5":  # one decimal is printed
            wrong = {key for key, value in row.values.items() if not is_count(value, sizes[key], 1)}
        assert wrong == set(row.doubtful), row.model


def test_categories_add_up_to_acc():
    """All rows but those with doubtful figures, to two decimals of rounding."""
    sizes = read_published("mm_rlhf_rewardbench").sizes["official"]
    parts = {key: sizes[key] for key in ("mcq", "long", "short", "safety", "video")}
    assert sum(parts.values()) == sizes["acc"] == 170
    sound = [row for row in table("mm_rlhf_rewardbench", "Table 8") if not {*parts, "acc"} & {*row.doubtful}]
    assert len(sound) == 12
    for row in sound:
        assert weighted(row.values, parts) == pytest.approx(row.values["acc"], abs=0.015), row.model
    misprinted = of("mm_rlhf_rewardbench", "Table 8", "BaseReward Qwen2.5-VL-7B")
    assert round(weighted(misprinted.values, parts), 2) == 91.91 and misprinted.counts["acc"] == [156, 170]


def test_overall_of_table_10_is_the_mean_of_its_columns_but_for_baserewards_rows():
    rows = table("multimodal_rewardbench", "Table 10")
    odd = {
        row.model for row in rows if abs(mean(v for k, v in row.values.items() if k != "overall") - row.values["overall"]) > 0.051
    }
    assert odd == {row.model for row in rows if row.model.startswith("BaseReward")} == {r.model for r in rows if r.doubtful}
    assert len(rows) == 18


def test_acc_plus_of_internvl_is_of_37_prompts():
    rows = table("ablations", "Table 6")
    assert len(rows) == 8
    for row in rows:
        value = row.values["mm_rlhf_acc_plus"]
        assert is_count(value, 46, 1) != row.model.startswith("InternVL"), row.model
        assert not row.model.startswith("InternVL") or is_count(value, 37, 1)
        assert ("mm_rlhf_acc_plus" in row.doubtful) == row.model.startswith("InternVL")


def test_means_of_the_ablations():
    def check(word, key, parts, but=(), near=0.061):
        rows = table("ablations", word)
        odd = {row.model for row in rows if abs(mean(row.corrected[part] for part in parts) - row.values[key]) > near}
        assert odd == set(but), (word, key)

    text, mm = ("reward_bench", "rm_bench"), ("vl", "mm_rlhf_acc", "mm_rlhf_acc_plus", "mmrb")
    seven = ("vl_macro", "mm_rlhf_acc", "mm_rlhf_acc_plus", "mmrb", "text_mean", *text)
    categories = [f"vl_{key}" for key in VL]
    mmrb = [f"mmrb_{key}" for key in ("correctness", "preference", "knowledge", "math", "coding", "safety", "vqa")]
    check("Table 1", "both", ("mmrb", "vl_macro"), ["Critic-RM (MM-RLHF)"])
    check("Table 1", "vl_macro", categories, near=0.11)
    check("Table 1", "mmrb", mmrb, near=0.11)
    check("Table 2", "vl_macro", categories, near=0.11)
    check("Table 4", "printed_mean", seven)
    check("Table 4", "text_mean", text)
    check("Table 5", "vl_macro", categories, near=0.11)
    check("Table 6", "mm_mean", mm)
    check("Table 6", "text_mean", text)
    check("Table 7", "text_mean", text)
    check("Figure 2", "text_mean", text)


def test_table_2_is_weighted_by_the_legacy_sizes():
    """Six of seven rows to rounding, the other within 0.2; the official sizes miss the first row by nearly 3 points.

    The row of Tanh comes out with 77.7 alone: (318 * 64.5 + 448 * 77.7 + 484 * 78.9) / 1250 = 74.81, and the mean 73.7.
    """
    sizes = {f"vl_{key}": size for key, size in read_published("vl_rewardbench").sizes["legacy"].items()}
    official = {f"vl_{key}": size for key, size in read_published("vl_rewardbench").sizes["official"].items()}
    rows = table("ablations", "Table 2")
    gaps = [abs(weighted(row.corrected, sizes) - row.values["vl_overall"]) for row in rows]
    assert sum(gap < 0.06 for gap in gaps) == 6 and max(gaps) < 0.2
    (tanh,) = [row for row in rows if row.correction]
    assert abs(weighted(tanh.values, sizes) - tanh.values["vl_overall"]) > 0.3 and is_count(77.7, 448)
    assert rows[0].values["vl_overall"] - weighted(rows[0].values, official) > 2.5


def test_reasoning_of_the_text_sets_in_table_5_is_a_copy():
    rows = table("ablations", "Table 5")
    copies = [row.model for row in rows if row.values["vl_reasoning"] == row.values["vl_macro"]]
    assert copies == ["Others", "Tulu-3", "OLMo-2", "Ultra-Hard"]
    assert copies == [row.model for row in rows if "vl_reasoning" in row.doubtful]
    fourth = {row.model: row.values["vl_macro"] for row in table("ablations", "Table 4")}
    rest = [3 * fourth[r.model] - r.values["vl_hallucination"] - r.values["vl_general"] for r in rows if r.model in copies]
    assert [round(value, 1) for value in rest] == [59.7, 41.5, 49.3, 48.8]


def test_ixc_averages():
    """RewardBench: 88.6 is over the pairs, the mean of the sections is 88.1. RM-Bench: 68.8 over the rows, to its rounding."""
    (ixc,) = table("reward_bench", "RewardBench")
    sizes = yaml.safe_load((CONF / "reward_bench.yaml").read_text())["expected"]
    chat = {"chat": sizes["Chat"], "chat_hard": sizes["Chat Hard"], "safety": sizes["Safety"], "reasoning": sizes["Reasoning"]}
    assert round(weighted(ixc.values, chat), 1) == ixc.values["average"] == 88.6
    assert round(mean(ixc.values[key] for key in chat), 1) == 88.1
    (row,) = table("rm_bench", "RM-Bench")
    assert weighted(row.values, read_published("rm_bench").sizes["legacy"]) == pytest.approx(row.values["average"], abs=0.1)
    (again,) = table("rm_bench", "InternLM")
    levels, domains = ("easy", "normal", "hard"), ("chat", "math", "code", "safety")
    assert mean(again.values[key] for key in levels) == pytest.approx(again.values["average"], abs=0.01)
    assert mean(again.values[key] for key in domains) == pytest.approx(again.values["average"], abs=0.01)


def test_judgebench_is_counts_and_adds_up():
    published = read_published("judgebench")
    sizes = published.sizes["official"]
    for row in published.rows:
        assert all(is_count(value, sizes[key], 2) for key, value in row.values.items())
        right = sum(round(row.values[key] * sizes[key] / 100) for key in sizes if key != "overall")
        assert round(100 * right / 350, 2) == row.values["overall"]


def test_the_sizes_are_those_of_the_benchmarks():
    expected = {name: yaml.safe_load((CONF / f"{name}.yaml").read_text())["expected"] for name in JUDGED}
    assert read_published("vl_rewardbench").sizes["official"] == expected["vl_rewardbench"]
    assert read_published("rm_bench").sizes["legacy"] == expected["rm_bench"]
    for name in ("mm_rlhf_rewardbench", "judgebench"):
        assert expected[name].items() <= read_published(name).sizes["official"].items()


# What stands beside what


def samples_of(name: str) -> list[Sample]:
    """One item for each category of the benchmark, with what its numbers ask of it."""
    subsets = {"Chat": "alpacaeval-easy", "Chat Hard": "mt-bench-hard", "Safety": "donotanswer", "Reasoning": "hep-go"}
    pairs = tuple(itertools.product(range(3), range(3, 6))) if name == "rm_bench" else ((0, 1),)
    rewards = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0) if name == "rm_bench" else (1.0, 0.0)
    expected = yaml.safe_load((CONF / f"{name}.yaml").read_text())["expected"]
    found = []
    for category in ("correctness", "reasoning/math") if "total" in expected else expected:
        meta = {
            "row_id": category,
            "query_id": category,
            "subset": subsets.get(category),
            "response_images": 0,
            "prompt_source": "",
        }
        found.append(Sample(category, category, category, "", pairs, (1,) * len(rewards), rewards, meta=meta))
    return found


def numbers_of(name: str) -> dict:
    benchmark = build(yaml.safe_load((CONF / f"{name}.yaml").read_text()) | {"path": "given"})
    return base.judge(benchmark, samples_of(name)) | {"benchmark": name}


@pytest.mark.parametrize("name", JUDGED)
def test_every_column_that_is_called_comparable_finds_its_number(name):
    columns, numbers = read_published(name).columns, numbers_of(name)
    for split in ("official", "legacy", "unstated"):
        found = ours(columns, split, numbers)
        asked = {key for key, column in columns.items() if split in column}
        unknown = {key for key in asked if name == "multimodal_rewardbench" and key not in ("overall", "correctness", "math")}
        assert found.keys() == asked - unknown, (split, asked - unknown - found.keys())
        assert all(value == 100 for value in found.values())


def vl_numbers() -> dict:
    numbers = {"benchmark": "vl_rewardbench", "edition": "official", "placeholders": 0, "accuracy": 0.70, "macro": 0.61}
    numbers["categories"] = {key: {"accuracy": 0.11 * k} for k, key in enumerate(VL, 1)}
    shares = {key: {"accuracy": 0.21 * k} for k, key in enumerate(VL, 1)}
    return numbers | {"legacy": {"macro": 0.52, "categories": shares}}


def printed(numbers: dict) -> list[dict[str, list[str]]]:
    """The tables: first column -> the other cells, and `model` -> the head."""
    found: list[dict[str, list[str]]] = []
    for line in beside_published(numbers).splitlines():
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if cells[:1] == ["model"]:
            found.append({})
        if len(cells) > 1 and found:
            found[-1][cells[0]] = cells[1:]
    return found


def test_our_row_meets_each_split_with_its_own_numbers():
    official, legacy, unstated = printed(vl_numbers())
    assert official["model"] == ["overall", "macro", "general", "halluc.", "reasoning"]
    assert official[OURS] == ["70.00", "61.00", "11.00", "22.00", "33.00"]
    assert legacy[OURS] == ["70.00", "52.00", "21.00", "42.00", "63.00"]
    assert unstated[OURS] == ["70.00", "-", "-", "-", "-"]
    assert "BaseReward Qwen2.5-VL" in legacy and "R1-Reward 7B" in legacy and "IXC-2.5-Reward 7B" in official
    assert legacy["BaseReward Qwen2.5-VL"] == ["82.16", "80.85", "81.82*", "92.19", "68.55*"]
    assert unstated["UnifiedReward"] == ["66.10", "(66.50)", "(60.60)", "(78.40)", "(60.50)"]
    assert not any("(" in cell for row in (*official.values(), *legacy.values()) for cell in row)


def test_the_best_stands_first_and_ours_in_its_place():
    for found in printed(vl_numbers()):
        overall = [float(row[0].rstrip("*")) for name, row in found.items() if name != "model"]
        assert overall == sorted(overall, reverse=True) and 70.0 in overall


def test_quoted_figures_are_printed_once_and_ablations_are_not():
    models = [row.model for row in distinct(read_published("vl_rewardbench").rows)]
    assert models.count("Claude-3.5-Sonnet") == 1 and "GPT-4o" not in models and "GPT-4o (2024-08-06)" in models
    alike = [row.model for row in distinct(read_published("multimodal_rewardbench").rows) if row.split == "official"]
    assert alike == ["Claude 3.5 Sonnet", "Gemini 1.5 Pro", "GPT-4o", "Llama-3.2-90B"], "two have 72.0, which is chance"
    assert "StableReinforce" in models and "StableReinforce" not in printed(vl_numbers())[1]


def test_what_makes_our_row_another_thing_is_said():
    assert "another edition" not in beside_published(vl_numbers()) and "generated" not in beside_published(vl_numbers())
    said = beside_published(vl_numbers() | {"edition": "copy of 1,247 rows", "placeholders": 3})
    assert "our row is of another edition than theirs: copy of 1,247 rows" in said and "with generated pictures" in said


def test_a_file_of_the_same_name_is_not_the_benchmark():
    """A custom file named vl_rewardbench.jsonl has no edition."""
    assert beside_published(vl_numbers() | {"edition": None}) == ""
    assert beside_published(vl_numbers() | {"benchmark": "demo"}) == ""
    with pytest.raises(ConfigError, match=r"none of 'vl_rewardbenc'.*vl_rewardbench"):
        read_published("vl_rewardbenc")


def rm_numbers(edition: str, **prompts: int) -> dict:
    """Results on so many prompts of each domain, of nine pairs each."""
    shares = {name: {"n": 9 * count, "accuracy": 0.5} for name, count in prompts.items()}
    there = {"num_comparisons": sum(prompts.values()), "n_expected": 1327}
    return {
        "benchmark": "rm_bench",
        "edition": edition,
        "accuracy": 0.4868,
        "categories": shares,
        "official": None,
        "own": {},
    } | there


def test_a_part_of_the_rows_meets_nothing_but_the_categories_that_are_whole():
    """Chat is whole; of safety half is there, and the average would be over 286 prompts beside 1,327."""
    official, legacy = printed(rm_numbers("unknown: expected 1,327; found 286", chat=129, safety=157))[:2]
    assert legacy["model"][:5] == ["average", "chat", "math", "code", "safety"]
    assert legacy["IXC-2.5-Reward 7B"][:5] == ["(68.80)", "65.50", "(55.90)", "(51.70)", "(93.80)"]
    assert legacy[OURS][:5] == ["(48.68)", "50.00", "-", "-", "(50.00)"]
    assert official["IXC-2.5-Reward 7B (shipped scores)"][1:5] == ["65.46", "(55.95)", "(51.71)", "(93.88)"]
    (whole,) = printed(rm_numbers("official", chat=129, math=529, code=228, safety=441))[1:2]
    assert not any("(" in cell for cell in whole["IXC-2.5-Reward 7B"][:5] + whole[OURS])


def test_a_copy_that_lacks_a_few_rows_meets_theirs_and_one_of_other_rows_does_not():
    few = vl_numbers() | {"edition": "copy of 1,247 rows", "num_comparisons": 1247, "n_expected": 1250}
    assert printed(few)[0][OURS][:2] == ["70.00", "61.00"]
    shares = {"knowledge": {"n": 154, "accuracy": 0.5}, "math": {"n": 34, "accuracy": 0.5}}
    other = {"benchmark": "judgebench", "accuracy": 0.5, "categories": shares, "num_comparisons": 270, "n_expected": 350}
    (claude,) = printed(other | {"edition": "split claude"})
    assert claude[OURS][:2] == ["(50.00)", "(50.00)"]
    (part,) = printed(other | {"edition": "unknown: expected math 56, found math 34"})
    assert part[OURS] == ["(50.00)", "50.00", "-", "(50.00)", "-"]
