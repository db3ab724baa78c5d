"""Counts on real rows, which are not part of this tree: BASEREWARD_REAL_DATA names the folder that holds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from basereward.config import build
from basereward.images import check_image, load_image
from basereward.recipes import read

FOLDER = os.environ.get("BASEREWARD_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
CONF = Path(__file__).parents[2] / "conf"


def read_real(recipe: str, path: str):
    yaml = pytest.importorskip("yaml")
    node = yaml.safe_load((CONF / "recipe" / f"{recipe}.yaml").read_text())
    return read(build(node | {"path": os.path.join(FOLDER or "", path)}))


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
    ],
)
def test_counts(recipe, path, rows, dropped):
    data = read_real(recipe, path)
    account = data.manifest
    assert (account["rows_read"], account["dropped"], account["used"]) == (rows, dropped, rows - sum(dropped.values()))
    assert len(data.comparisons) == account["used"] and not any("card says" in note for note in account["notes"])


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
