"""The table of a mixture beside the paper: sums and differences worked out by hand, and no number where no card has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from basereward import data_prepare, train
from basereward.against_paper import epoch_beside_paper, paper_lines, paper_table, rows_by_card
from basereward.compose import compose
from basereward.errors import ConfigError
from basereward.settings import TrainSettings
from basereward.shares import apportion, read_share


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
    assert "the paper's pairs of all these sources: 2,443,000" in text and "no card counts the rows of mmpr;" in text
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
    assert rows_by_card(source(expected, path="/data/copy")) == 160_800 + 8552, "a file beside the splits is a part of one"
    assert rows_by_card(source({"a": 1, "b": 2}, split="other")) == 3
    assert rows_by_card(source()) is None


def test_pairs_that_were_read_take_the_place_of_what_cards_expect():
    """10 + 30 = 40 pairs; 40 - 50 = -10."""
    taken = {"ultra_all": {"comparisons": 5, "pairs": 30}, "mine": {"comparisons": 10, "pairs": 10}}
    accounts = {"ultra_all": {"pairs_in_paper": 50}, "mine": {"pairs_in_paper": None}}
    text = epoch_beside_paper({"sources": accounts, "mixture": {"sources": taken}})
    assert [line.split() for line in text.splitlines()[2:5]] == [
        ["ultra_all", "5", "30", "50", "-20"],
        ["mine", "10", "10", "-", "-"],
        ["all", "15", "40", "50", "-10"],
    ]
    assert epoch_beside_paper({"sources": {"mine": {}}, "mixture": {"sources": {"mine": taken["mine"]}}}) == ""


def sources_of(name):
    return compose("train", [f"data={name}", "run.dir=some"], TrainSettings).data["sources"]


def test_the_mixtures_hold_the_sets_of_the_paper():
    mix, lite, text = sources_of("basereward_mix"), sources_of("basereward_mix_lite"), sources_of("text_mix")
    others = ["others_wildchat", "others_swe_arena"]
    assert list(mix) == ["mmpr", "rlaif_v", "r1_reward", "olmo_2", "tulu_3", "ultra_hard", *others] == list(lite)
    assert list(text) == ["olmo_2", "tulu_3", "ultra_hard", *others]
    # Table 3: 2,000 + 83 + 200 + 378 + 65 + 63 + 63 thousand pairs.
    assert sum(line.in_paper or 0 for line in paper_lines(mix)) == 2_852_000
    assert mix["mmpr"]["exclude"] == ["rlaif_v"], "83,121 rows of RLAIF-V would count twice"
    assert all(read_share(node, "").is_open for node in (*mix.values(), *text.values()))


def test_the_documents_show_the_table_as_it_is_printed():
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert paper_table(sources_of("basereward_mix")) in page


def test_the_lite_mixture_keeps_the_proportions_of_the_paper():
    counts = {name: node["count"] for name, node in sources_of("basereward_mix_lite").items()}
    in_paper = {line.name: line.in_paper for line in paper_lines(sources_of("basereward_mix")) if line.in_paper}
    wanted = apportion(200_000, in_paper)
    wanted |= apportion(wanted["others_wildchat"], {"others_wildchat": 56034, "others_swe_arena": 4730})
    assert counts == wanted and sum(counts.values()) == 200_000


@pytest.mark.parametrize(("stage", "config"), [(train, "train"), (data_prepare, "data_prepare")])
def test_a_plan_prints_the_table(stage, config, tmp_path):
    given = ["run.dir=some"] if stage is train else []
    overrides = ["data=text_mix", f"+data.prepared={tmp_path}", *given]
    text = stage.plan(compose(config, overrides, stage.SETTINGS))
    # 378,341 + 65,551 + 63,967 + 56,034 = 563,893; 378,000 + 65,000 + 63,000 + 63,000 = 569,000
    assert re.search(r"all that is known +563,893 +563,893 +569,000 +-5,107", text)
