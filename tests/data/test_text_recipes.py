"""Options of the text sets' recipes; their rows as they come stand in `recipe_rows`, and `test_recipe_contract` reads those."""

from __future__ import annotations

import json

import pytest
from basereward.data_recipes.helpsteer2 import HelpSteer2
from basereward.data_recipes.helpsteer2_preference import HelpSteer2Preference
from basereward.data_recipes.olmo_2 import OLMo2
from basereward.data_recipes.shp import SHP
from basereward.data_recipes.ultrafeedback import UltraFeedback
from recipe_texts import completion, order, pair, post, preference, steer, talk, ultra

from basereward.accounts import read
from basereward.data_check import account
from basereward.errors import ConfigError
from basereward.problems import BadRows

WEIGHTS = {"helpfulness": 1}


def read_rows(folder, recipe, rows, **options):
    """(comparisons, reason -> count, notes) of rows written as JSON lines."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read(recipe(path, **options))
    return data.comparisons, data.manifest["dropped"], data.manifest["notes"]


def test_ties_are_kept_where_a_loss_reads_them(tmp_path):
    tied = pair(talk("Q", "a"), talk("Q", "b"), id="t", source="s", chosen_rating=4.0, rejected_rating=4.0)
    (item,), dropped, _ = read_rows(tmp_path, OLMo2, [tied], keep_ties=True)
    assert item.pairs == () and item.ties == ((0, 1),) and dropped == {}
    rows = [ultra(completion("a", 5.0), completion("b", 5.0)), ultra(completion("a", 5.0), completion("b", 6.0))]
    kept, _, _ = read_rows(tmp_path, UltraFeedback, rows, keep_ties=True)
    assert [item.ties for item in kept] == [((0, 1),), ()]
    # The best and the worst of equals are no pair, whatever the loss reads.
    widest, dropped, _ = read_rows(tmp_path, UltraFeedback, rows, keep_ties=True, pairs="widest")
    assert len(widest) == 1 and dropped == {"all responses tied": 1}


def test_ultrafeedback_by_its_aspects(tmp_path):
    rows = [
        ultra(
            completion("a", 1.0, "5", "N/A", "4", "3"),  # (5 + 4 + 3) / 3 = 4
            completion("b", 9.0, "4", "4", "4", "3"),  # 15 / 4 = 3.75
            completion("c", 9.0, "N/A", "N/A", "N/A", "N/A"),
        )
    ]
    (item,), _, _ = read_rows(tmp_path, UltraFeedback, rows, score="aspects")
    assert item.scores == (4.0, 3.75) and order(item) == [("a", "b")]
    with pytest.raises(ConfigError, match="did you mean 'overall'"):
        UltraFeedback(tmp_path, score="overal")
    with pytest.raises(ConfigError, match="all or widest"):
        UltraFeedback(tmp_path, pairs="hardest")


def test_scores_that_are_set_right_are_counted_in_each_reading(tmp_path):
    rows = [ultra(completion("a", 10.0, "1", "2", "2", "1"), completion("b", 5.0))]
    (item,), _, notes = read_rows(tmp_path, UltraFeedback, rows)
    assert item.scores == (1.0, 5.0) and notes == ["1 overall_score of 10 with low ratings read as 1"]
    recipe = UltraFeedback(tmp_path / "rows.jsonl")
    assert read(recipe).manifest["notes"] == read(recipe).manifest["notes"] == notes
    rows = [ultra(completion("a", 10.0) | {"annotations": None}, completion("b", 3.0) | {"annotations": {"honesty": None}})]
    (item,), _, notes = read_rows(tmp_path, UltraFeedback, rows)
    assert item.scores == (10.0, 3.0) and notes == []


def test_helpsteer2_by_other_weights(tmp_path):
    rows = [steer("q", "a", 3, 4, 4, 2, 1), steer("q", "b", 1, 2, 4, 0, 0)]
    (item,), _, _ = read_rows(tmp_path, HelpSteer2, rows, weights=WEIGHTS)
    assert item.scores == (3.0, 1.0)
    with pytest.raises(ConfigError, match="did you mean 'helpfulness'"):
        HelpSteer2(tmp_path, weights={"helpfullness": 1})
    with pytest.raises(ConfigError, match="at least one that is not 0"):
        HelpSteer2(tmp_path, weights={"helpfulness": 0})
    with pytest.raises(ConfigError, match="weights.verbosity: expected a finite number; found 'no'"):
        HelpSteer2(tmp_path, weights={"verbosity": "no"})


def test_rows_and_the_prompts_that_they_join_in_are_told_apart(tmp_path):
    """Five rows of two prompts: the card counts rows, and the account of what was judged counts prompts."""
    rows = [steer("q", text, k, 4, 4, 2, 1) for k, text in enumerate("abc")] + [
        steer("p", text, k, 4, 4, 2, 1) for k, text in enumerate("ab")
    ]
    path = tmp_path / "sample.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = {"hub_id": "nvidia/HelpSteer2", "rows_expected": {"train": 20324}}
    data = read(HelpSteer2(path, split="train", weights=WEIGHTS, card=card))
    counted, joined = data.manifest["notes"]
    assert counted.startswith("the card counts 20,324 rows of train, 5 were read from files: a part of it")
    assert "changed" not in counted and joined == "several rows of a file are one here: 5 rows in the files, 2 read and judged"
    words = [line.split() for line in account(data).splitlines()]
    assert ["rows", "in", "the", "files", "5"] in words and ["rows", "read", "2"] in words


def test_broken_lines_stay_problems_between_rows_that_are_joined(tmp_path):
    row = json.dumps(steer("q", "a", 1, 1, 1, 1, 1))
    (tmp_path / "broken.jsonl").write_text(f"{row}\n{{broken\n{{broken\n{row}\n")
    with pytest.raises(BadRows) as caught:
        read(HelpSteer2(tmp_path / "broken.jsonl", weights=WEIGHTS))
    assert [problem.kind for problem in caught.value.problems] == ["not JSON", "not JSON"]


def test_preferences_with_margins_and_both_parts(tmp_path):
    rows = [preference(-3), preference(2), preference(0), preference(1, "val")]
    found, dropped, _ = read_rows(tmp_path, HelpSteer2Preference, rows, margin_per_step=0.5, part=None, keep_ties=True)
    assert [[pair.margin for pair in item.pairs] for item in found] == [[1.5], [1.0], [], [0.5]] and dropped == {}
    assert found[2].ties == ((0, 1),)
    with pytest.raises(ConfigError, match="train, val or null"):
        HelpSteer2Preference(tmp_path, part="validation")


def test_weak_votes_of_shp_can_be_left_out(tmp_path):
    rows = [post(1), post(1, score_ratio=1.2), post(1, score_ratio=2.0)]
    found, dropped, _ = read_rows(tmp_path, SHP, rows, min_score_ratio=2)
    assert len(found) == 2 and dropped == {"score ratio below the least": 1}


def test_one_subreddit_of_the_hub_or_of_a_copy(tmp_path):
    for name in ("askvet", "askbaking"):
        (tmp_path / name).mkdir()
        for split in ("train", "test"):
            (tmp_path / name / f"{split}.json").write_text(json.dumps(post(1, post_id=f"{name}-{split}")))
    card = {"hub_id": "stanfordnlp/SHP"}
    assert SHP(card=card, subset="askvet", split="train").data.pattern == "askvet/train.json"
    assert [item.meta["score_ratio"] for item in read(SHP(tmp_path, split="train")).comparisons] == [2.0481927711] * 2
    (item,) = read(SHP(tmp_path, subset="askvet", split="test")).comparisons
    assert item.id.startswith("askvet-test-")
