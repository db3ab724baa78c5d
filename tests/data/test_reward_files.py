"""Rewards that were written by `basereward score`, met again: by source and id, else by id, never by guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from basereward.errors import ConfigError, DataError
from basereward.mixture import load_data
from basereward.records import parse_row
from basereward.reward_files import NO_SCORE, TWO_SCORES, RewardFiles
from basereward.sources import check_sources

CUSTOM = "basereward.data_recipes.custom.Custom"


def item(name: str = "1", source: str = "a"):
    row = {"id": name, "prompt": "q", "chosen": "yes", "rejected": "no"}
    return parse_row(row, where="f:1", source=source)


def write(file: Path, *rows: dict) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def test_two_sources_may_have_the_same_ids(tmp_path):
    lines = [{"id": "1", "source": name, "rewards": [reward, 0.0]} for name, reward in (("a", 1.0), ("val", 2.0))]
    files = RewardFiles(write(tmp_path / "s.jsonl", *lines), ("a", "b", "val"), "key")
    assert files.of(item()) == (1.0, 0.0) and files.of(item(source="val")) == (2.0, 0.0)
    assert files.of(item(source="b")) == NO_SCORE, "another source's row with the id was taken"


def test_a_file_that_was_scored_by_itself_is_met_by_id_alone(tmp_path):
    file = write(tmp_path / "s.jsonl", {"id": "1", "source": "", "rewards": [1.0, 0.0]}, {"id": "2", "error": "too long"})
    files = RewardFiles({"a": file}, ("a", "b"), "key")
    assert files.of(item()) == (1.0, 0.0)
    assert files.of(item("2")) == files.of(item("3")) == files.of(item(source="b")) == NO_SCORE
    assert files.covers("a") and not files.covers("b")
    twice = write(tmp_path / "t.jsonl", *[{"id": "1", "source": "", "rewards": [1.0, 0.0]}] * 2)
    assert RewardFiles(twice, ("a",), "key").of(item()) == TWO_SCORES


def test_what_cannot_be_used_is_named(tmp_path):
    file = write(tmp_path / "s.jsonl", {"id": "1", "source": "a", "rewards": [1.0]})
    with pytest.raises(DataError, match=r"f:1 \(1\): expected 2 rewards, found 1 in .*s\.jsonl"):
        RewardFiles(file, ("a",), "key").of(item())
    with pytest.raises(ConfigError, match=r"key\.aa: no such source; did you mean 'a'"):
        RewardFiles({"aa": file}, ("a",), "key")
    with pytest.raises(DataError, match="key: expected a file, found .*gone"):
        RewardFiles("gone", ("a",), "key")


def test_ids_that_a_run_makes_unique_do_not_depend_on_cleaning(tmp_path):
    """Two rows of one id, of which cleaning leaves the second: it keeps the name under which it was scored, and its rewards."""
    rows = [{"id": "1", "prompt": prompt, "chosen": "yes", "rejected": "no"} for prompt in ("short", "a longer prompt")]
    data = {"sources": {"a": {"_target_": CUSTOM, "path": write(tmp_path / "rows.jsonl", *rows)}}, "val_fraction": 0}
    names = [one.id for one in load_data(data, seed=0).train]
    assert names == ["1", "1#2"]
    lines = [{"id": name, "source": "a", "rewards": [float(i), 0.0]} for i, name in enumerate(names)]
    scores = write(tmp_path / "s.jsonl", *lines)
    (left,) = load_data(data | {"clean": {"prompt_chars": [8, None]}, "text_only_scores": scores}, seed=0).train
    assert (left.id, left.text_rewards) == ("1#2", (1.0, 0.0))
    (left,) = load_data(data | {"clean": {"margin": {"scores": scores, "min": 0.5}}}, seed=0).train
    assert left.id == "1#2"


@pytest.mark.parametrize("value", [3, ["s.jsonl"], True])
def test_scores_of_another_kind_are_refused(tmp_path, value):
    rows = write(tmp_path / "rows.jsonl", {"prompt": "q", "chosen": "yes", "rejected": "no"})
    with pytest.raises(
        ConfigError, match=r"data\.text_only_scores: expected an output of basereward score, or \{source: output\}"
    ):
        check_sources({"path": rows, "text_only_scores": value})
    with pytest.raises(ConfigError, match=r"data\.without_images: expected true or false"):
        check_sources({"path": rows, "without_images": "yes"})


def test_a_comparison_without_rewards_has_none(tmp_path):
    rows = write(tmp_path / "rows.jsonl", {"id": "x", "prompt": "q", "chosen": "yes", "rejected": "no"})
    scores = write(tmp_path / "s.jsonl", {"id": "y", "source": "custom", "rewards": [1.0, 0.0]})
    (only,) = load_data({"path": rows, "val_fraction": 0, "text_only_scores": scores}, seed=0).train
    assert only.text_rewards is None
