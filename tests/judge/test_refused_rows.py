"""What is said of rows and items that cannot be judged: the reason, the line once, and an advice that can be followed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from made_samples import pair

from basereward.benchmarks.custom import CustomBenchmark
from basereward.config import build
from basereward.diagnose import diagnose
from basereward.diagnostics.base import Subject
from basereward.errors import DataError
from basereward.evaluate import Task
from basereward.problems import BadRows
from basereward.results_tables import failures
from basereward.samples import parse_samples

ROW = {"prompt": "Où ?", "chosen": "Là.", "rejected": "Non"}


def refusal(path) -> str:
    with pytest.raises(BadRows) as error:
        CustomBenchmark(str(path)).comparisons()
    return str(error.value)


def test_a_text_in_latin_1_is_to_be_saved_as_utf_8(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes((json.dumps(ROW, ensure_ascii=False) + "\n").encode("latin-1"))
    said = refusal(file)
    assert "found byte 0xf9 at byte 13" in said and "save the file as UTF-8" in said
    file.write_bytes((json.dumps(ROW, ensure_ascii=False) + "\n").encode()[:14])
    assert "complete or delete the line" in refusal(file), "a line that is cut off within a character is UTF-8"


def test_a_tied_row_is_not_kept_by_a_setting_of_training(tmp_path):
    file = tmp_path / "rows.json"
    file.write_text(
        json.dumps([{"id": "mathverse_1", "query": "q", "response": ["a", "b"], "image": "p.png", "human_ranking": [0, 0]}])
    )
    made = build({"_target_": "basereward.benchmarks.vl_rewardbench.VLRewardBench", "path": str(file)})
    with pytest.raises(BadRows) as error:
        made.comparisons()
    assert "take the row out of the file" in str(error.value) and "keep_ties" not in str(error.value)


def test_an_item_is_named_once_in_its_message():
    by_line = pair(None, name="long.jsonl:4", error="../w/long.jsonl:4: expected at most 8 tokens, found 9")
    by_id = pair(None, name="q1", error="image missing: expected a file")
    _, first, second = failures([by_line, by_id])
    assert first == "  ../w/long.jsonl:4: expected at most 8 tokens, found 9" and second == "  q1: image missing: expected a file"


@pytest.mark.parametrize("word", ["NaN", "Infinity"])
def test_rewards_that_are_no_numbers_are_refused(word):
    line = pair(1.0, name="a").line().replace("1.0", word)
    with pytest.raises(DataError, match=r"there.jsonl:1: expected an item.*rewards with (nan|inf)"):
        list(parse_samples([line], "there.jsonl"))
    assert len(list(parse_samples([pair(1.0, name="a").line()], "there.jsonl"))) == 1


def test_diagnosing_no_pair_says_why(tmp_path, capsys):
    benchmark = SimpleNamespace(name="rows", version="1", notes=["none is both right and wrong"])
    settings = SimpleNamespace(model=str(tmp_path), against=None)
    (tmp_path / "config.json").write_text("{}")
    diagnose(Task({}, benchmark, tmp_path), Subject([pair(1.0, pairs=())]), {}, settings)
    assert "no pair has two rewards" in (told := capsys.readouterr().out) and "none is both right and wrong" in told
    diagnose(Task({}, benchmark, tmp_path), Subject([pair(1.0)]), {}, settings)
    assert "no pair has" not in capsys.readouterr().out
