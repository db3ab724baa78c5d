"""Models of ours among the published rows on a page: sorted in, with what can be compared, what was corrected, and where rows are from."""

from __future__ import annotations

import html
import re

import pytest
from html_pages import Page
from report_files import add_evaluation, items
from test_report import make_run
from test_report_evidence import N, margins
from test_report_pages import compare

from basereward.published import distinct, read_published
from basereward.report import render


def vl_results(accuracy: float) -> dict:
    shares = dict(zip(("general", "hallucination", "reasoning"), (0.11, 0.22, 0.33)))
    legacy = {"split": "legacy", "macro": 0.52, "categories": {"general": {"n": 484, "accuracy": 0.21}}}
    return {"benchmark": "vl_rewardbench", "accuracy": accuracy, "macro": 0.61, "legacy": legacy, "placeholders": 0,
            "categories": {name: {"accuracy": share} for name, share in shares.items()}}  # fmt: skip


WHOLE = {"num_comparisons": 1247, "n_expected": 1250}


def marked(page: Page) -> list[list[str]]:
    """The cells of rows that are set off."""
    found = [row.partition("</tr>")[0] for row in page.source.split('<tr class="marked">')[1:]]
    return [[html.unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall("<t[hd].*?</t[hd]>", row)] for row in found]


def published(page: Page) -> dict[str, list[str]]:
    """The model of each published row -> its other cells."""
    part = page.source.partition("Among published results")[2].partition("Sources and notes")[0]
    found = [row.partition("</tr>")[0] for row in part.split("<tr>")[1:]]
    cells = [[html.unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall("<t[hd].*?</t[hd]>", row)] for row in found]
    return {row[0]: row[1:] for row in cells if row[0] != "model"}


def test_our_row_stands_among_those_it_can_be_compared_with(tmp_path):
    run = make_run(tmp_path / "run")
    add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(0.70))
    page = Page(render(run))
    assert marked(page) == [
        ["this model", "70.00", "61.00", "11.00", "22.00", "33.00", ""],
        ["this model", "70.00", "52.00", "21.00", "-", "-", ""],
        ["this model", "70.00", "-", "-", "-", "-", ""],
    ]
    cells = published(page)
    assert cells["BaseReward Qwen2.5-VL"][:5] == ["82.16", "80.85", "81.82*", "(92.19)", "(68.55*)"]
    assert cells["UnifiedReward"][:5] == ["66.10", "(66.50)", "(60.60)", "(78.40)", "(60.50)"]
    assert len(cells) == len({row.model for row in distinct(read_published("vl_rewardbench").rows) if row.kind == "results"}) > 30
    assert "General and Reasoning change places" in page.text and "printed: general 68.55, reasoning 81.82" in page.text
    assert "another edition" not in page.text


def test_each_row_names_its_source_and_only_links_lead_out(tmp_path):
    run = make_run(tmp_path / "run")
    add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(0.70))
    page = Page(render(run))
    links = [each["href"] for each in page.all("a") if each["href"].startswith("https://")]
    wanted = {row.url for row in read_published("vl_rewardbench").rows if row.kind == "results" and row.url}
    assert set(links) == wanted and len(links) < 12
    listed = page.source.partition("<h4>Sources</h4>")[2].partition("</ol>")[0].count("<li>")
    assert {row[-1] for row in published(page).values()} == {str(place) for place in range(1, listed + 1)}
    for tag, attributes in page.tags:
        for key in ("src", "srcset", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/")), (tag, attributes)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"edition": "copy of 1,247 rows"}, "our row is of another edition than theirs: copy of 1,247 rows"),
     ({"placeholders": 3}, "our row is no result of this benchmark: it was reached with generated pictures")],
)  # fmt: skip
def test_what_makes_our_row_another_thing_is_said(tmp_path, more, words):
    run = make_run(tmp_path / "run")
    add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(0.70) | more)
    assert words in Page(render(run)).text


def test_a_file_of_ones_own_meets_no_published_rows(tmp_path):
    run = make_run(tmp_path / "run")
    add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(0.70) | {"edition": None})
    assert "published" not in Page(render(run)).text.lower()


def test_a_comparison_has_a_row_for_each_run(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("first", "second")]
    for run, share, edition in zip(runs, (0.70, 0.80), ("official", "copy of 1,247 rows")):
        add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(share) | {"edition": edition, **WHOLE})
    page = compare(runs, tmp_path / "both.html")
    assert [row[:2] for row in marked(page)] == 3 * [["second", "80.00"], ["first", "70.00"]]
    assert "second: our row is of another edition" in page.text and "first: our row" not in page.text


def test_a_part_beside_a_whole_stands_in_brackets(tmp_path):
    runs = [make_run(tmp_path / name) for name in ("first", "second")]
    part = {"edition": "unknown: expected 1250; found 20", "num_comparisons": 20, "n_expected": 1250}
    for run, share, more in zip(runs, (0.70, 0.80), ({}, part)):
        add_evaluation(run, items("bench", N), margins(0), "vl_rewardbench", **vl_results(share) | more)
    page = compare(runs, tmp_path / "both.html")
    assert [row[:2] for row in marked(page)] == 3 * [["second", "(80.00)"], ["first", "70.00"]]
    assert published(page)["BaseReward Qwen2.5-VL"][0] == "82.16"
    page = Page(render(runs[1]))
    assert published(page)["BaseReward Qwen2.5-VL"][0] == "(82.16)" and "not over the items" in page.text
