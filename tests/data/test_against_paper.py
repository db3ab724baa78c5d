"""The table of a mixture beside the paper: sums and differences worked out by hand, and no number where no card has one."""

from __future__ import annotations

import pytest

from basereward.against_paper import paper_lines, paper_table, rows_by_card
from basereward.errors import ConfigError


def source(rows=None, in_paper=None, **node):
    return {"_target_": "x", "card": {"rows_expected": rows or {}, "pairs_in_paper": in_paper}} | node


def test_sums_leave_out_what_no_card_counts():
    sources = {
        "olmo_2": source({"train": 378341}, 378000, split="train"),
        "tulu_3": source({"train": 65551, "test": 10}, 65000, split="train"),
        "mmpr": source(None, 2000000),
        "extra": source({"a.jsonl": 30, "b.jsonl": 12}),
    }
    # 378,341 + 65,551 + 42 = 443,934; 378,000 + 65,000 = 443,000; 443,934 - 443,000 = 934
    text = paper_table(sources)
    assert [line.split() for line in text.splitlines()[2:7]] == [
        ["olmo_2", "378,341", "378,341", "378,000", "+341"],
        ["tulu_3", "65,551", "65,551", "65,000", "+551"],
        ["mmpr", "?", "?", "2,000,000", "?"],
        ["extra", "42", "42", "-", "-"],
        ["all", "that", "is", "known", "443,934", "443,934", "443,000", "+934"],
    ]
    assert "the paper's pairs of all these sources: 2,443,000" in text and "how many rows mmpr has" in text
    assert paper_table({"extra": sources["extra"]}) == ""


def test_what_an_epoch_takes():
    rows = {"train": 100}
    sources = {
        "count": source(rows, 5, count=7),
        "unknown": source(None, 5, count=7),
        "cap": source(rows, 5, cap=40),
        "epochs": source(rows, 5, cap=40, epochs=1.5),
        "weight": source(rows, 5, weight=2),
    }
    assert [line.taken for line in paper_lines(sources)] == [7, 7, 40, 60, None]
    with pytest.raises(ConfigError, match=r"data.sources.a: expected one of weight, count and epochs"):
        paper_lines({"a": source(rows, 5, count=7, weight=2)})


def test_the_file_or_the_split_that_is_read():
    expected = {"train": 160800, "test": 8552, "part.jsonl.gz": 2312}
    assert rows_by_card(source(expected, split="test")) == 8552
    assert rows_by_card(source(expected, path="/data/part.jsonl.gz", split="train")) == 2312
    assert rows_by_card(source({"a": 1, "b": 2}, split="other")) == 3
    assert rows_by_card(source()) is None


def test_parts_of_a_source_and_their_sampled_share():
    parts = {"whole": source({"train": 100}), "some": source({"train": 200}), "more": source({"train": 50})}
    assert rows_by_card(source(parts=parts, sampled=["some", "more"], share=0.5)) == 225
    assert rows_by_card(source(parts=parts)) == 350
    assert rows_by_card(source(parts=parts | {"unknown": source()})) is None
