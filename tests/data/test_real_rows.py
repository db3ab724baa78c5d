"""Counts on real rows, which are not part of this tree: BASEREWARD_REAL_DATA names the folder that holds them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from basereward.accounts import read
from basereward.config import build
from basereward.errors import DataError
from basereward.images import check_image, load_image

FOLDER = os.environ.get("BASEREWARD_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
CONF = Path(__file__).parents[2] / "conf"


def read_real(recipe: str, path: str, **options):
    yaml = pytest.importorskip("yaml")
    node = yaml.safe_load((CONF / "recipe" / f"{recipe}.yaml").read_text())
    return read(build(node | {"path": os.path.join(FOLDER or "", path)} | options))


@pytest.mark.parametrize(
    ("recipe", "path", "rows", "dropped"),
    [
        ("hh_rlhf", "hh_rlhf/harmless-base_test.jsonl.gz", 2312, {"diverges before the last answer": 5, "empty answer": 4}),
        ("ixc", "ixc_reward_pair/example.json", 1, {}),
        ("custom", "ixc_reward_pair/cars_pair_from_readme.json", 1, {}),
        ("ixc", "ixc_reward_pair/*.json", 2, {}),
        ("llava_bench_reviews", "llava_bench_wild_ratings", 60, {"the judge scored both answers the same": 8}),
        ("custom", "llamafactory/dpo_en_demo.json", 300, {}),
        ("custom", "llamafactory/v1_dpo_demo.jsonl", 10, {}),
        ("llamafactory", "llamafactory/dpo_en_demo.json", 300, {}),
        ("llamafactory", "llamafactory/v1_dpo_demo.jsonl", 10, {}),
        ("judgebench", "judgebench/claude-3-5-sonnet-20240620.jsonl", 270, {"chosen equals rejected": 1}),
        ("rm_bench", "rm_bench/chat_filtered.json", 129, {}),
        ("rm_bench", "rm_bench/safety-response_filtered.json", 157, {}),
        ("nemo_rm", "nemo_rm/test-rm.jsonl", 4, {}),
    ],
)
def test_counts(recipe, path, rows, dropped):
    data = read_real(recipe, path)
    account = data.manifest
    assert (account["rows_read"], account["dropped"], account["used"]) == (rows, dropped, rows - sum(dropped.values()))
    assert len(data.comparisons) == account["used"] and not any("the card counts" in note for note in account["notes"])


def test_vl_rewardbench():
    """Counts of the benchmark's own script: categories, 25 ids twice, 5 rows whose second response is the better."""
    data = read_real("vl_rewardbench", "vl_rewardbench/data.json", text_only=True)
    items = data.comparisons
    assert Counter(item.category for item in items) == {"general": 183, "hallucination": 749, "reasoning": 318}
    assert len({item.id for item in items}) == 1250 and len({item.meta["row_id"] for item in items}) == 1225
    assert sum(item.pairs[0].better == 1 for item in items) == 5 and not any(item.images for item in items)
    assert "text only" in data.manifest["notes"][0] and not any("the card counts" in note for note in data.manifest["notes"])
    # Always the first response: 0.996 of all rows, and 178 of 183 in "general", where the five others are.
    assert Counter(item.category for item in items if item.pairs[0].better == 1) == {"general": 5}
    with pytest.raises(DataError, match="1,250 rows, dropped: 1,250 image missing.*text_only=true"):
        read_real("vl_rewardbench", "vl_rewardbench/data.json")


def test_mm_rlhf_rewardbench():
    items = read_real("mm_rlhf_rewardbench", "mm_rlhf_rewardbench/mm_reward_bench.jsonl", text_only=True).comparisons
    pairs = Counter(item.category for item in items)
    assert pairs == {"mcq": 42, "long": 37, "short": 34, "safety": 32, "video": 25}
    queries = {item.meta["query_id"]: item.category for item in items}
    assert Counter(queries.values()) == {"mcq": 10, "long": 10, "short": 10, "safety": 6, "video": 10}
    assert sum(len(item.responses[0]) > len(item.responses[1]) for item in items) == 122


def test_judgebench_and_rm_bench():
    items = read_real("judgebench", "judgebench/claude-3-5-sonnet-20240620.jsonl").comparisons
    assert Counter(item.category for item in items) == {"knowledge": 154, "reasoning": 51, "math": 34, "coding": 30}
    assert sum(item.pairs[0].better == 0 for item in items) == 143
    items = read_real("rm_bench", "rm_bench/*.json").comparisons
    assert Counter(item.category for item in items) == {"chat": 129, "safety": 157}
    assert {(len(item.responses), len(item.pairs), len(item.ties)) for item in items} == {(6, 9, 0)}


def test_a_whole_copy_is_read_as_its_files(tmp_path):
    """Splits of hh_rlhf lie in folders of the same file names."""
    folder = tmp_path / "hh" / "harmless-base"
    folder.mkdir(parents=True)
    (folder / "test.jsonl.gz").symlink_to(os.path.join(FOLDER or "", "hh_rlhf/harmless-base_test.jsonl.gz"))
    (folder / "train.jsonl").write_text("")
    data = read_real("hh_rlhf", str(tmp_path / "hh"), split="test")
    assert data.manifest["used"] == 2303 and data.comparisons[0].id == "harmless-base/test.jsonl.gz:1"
    assert "the card counts 8,552 rows of test, 2,312 were read from files: a part of it" in data.manifest["notes"][0]


def test_the_dropped_transcripts_are_other_rows():
    kept = {
        int(item.where.rpartition(":")[2]) for item in read_real("hh_rlhf", "hh_rlhf/harmless-base_test.jsonl.gz").comparisons
    }
    assert sorted(set(range(1, 2313)) - kept) == [87, 517, 926, 1104, 1255, 1689, 1951, 1953, 2037]


def test_judged_answers_are_text_only_and_marked_so():
    data = read_real("llava_bench_reviews", "llava_bench_wild_ratings")
    assert all(not item.images and item.meta["image_included"] is False and item.meta["image_file"] for item in data.comparisons)
    assert sum(item.pairs[0].better == 0 for item in data.comparisons) == 36 and "text only" in data.manifest["notes"][0]


def test_the_system_turns_of_sharegpt_rows():
    comparisons = read_real("custom", "llamafactory/dpo_en_demo.json").comparisons
    assert sum(item.messages[0]["role"] == "system" for item in comparisons) == 80
    assert sum(len(item.messages) == 1 for item in comparisons) == 114


def test_the_pictures():
    receipt, car = (read_real("ixc", "ixc_reward_pair/*.json").comparisons[i].images[0] for i in (1, 0))
    assert check_image(receipt) == load_image(receipt).size == (864, 1296)
    assert check_image(car) == (512, 341)
