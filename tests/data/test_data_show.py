"""The page about data: its numbers are those of the rows, its sample is spread and repeatable, and rows never become markup."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from basereward.data_recipes.custom import Custom
from html_pages import Page, widths
from PIL import Image

from basereward.cli import main
from basereward.data_show import KIND
from basereward.encode import Encoder
from basereward.recipes import Dropped
from basereward.records import Comparison, Pair, parse_row
from basereward.report.document import kind_of
from basereward.show.charts import differences, numbers
from basereward.show.prompts import Prompts
from basereward.show.rows import Rows
from basereward.show.sample import MAX_STRATA, Sample
from basereward.show.source import look

ATTACK = '</p></div></main><script>document.title = "x"</script><img src=x onerror=alert(1)> & "\'>'
ROWS = [
    {"id": "one", "prompt": "Which colour?", "image": "a.png", "chosen": "Red, I think.", "rejected": "Blue.", "margin": 0.5},
    {"id": "two", "prompt": "Rank these.", "responses": ["a", "bb", "bb!", "d"], "ranks": [0, 1, 1, 2], "category": "text"},
    {"id": "three", "prompt": "Sum?", "responses": ["3", "4 "], "scores": [4.5, 1.0], "category": "text", "source": "school"},
    {"id": "again", "prompt": "Sum?", "chosen": "It is 3.", "rejected": "Four is it.", "probability": 0.75},
    {"id": "gone", "prompt": "See?", "image": "nowhere.png", "chosen": "yes", "rejected": "no!"},
    {"id": "bad", "prompt": "Empty?", "chosen": "", "rejected": "x"},
]


def write(folder: Path, rows: list[dict], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def file(tmp_path) -> Path:
    Image.new("RGB", (90, 30), "red").save(tmp_path / "a.png")
    return write(tmp_path, ROWS)


def show(file: Path, *words: str) -> Page:
    out = file.with_name("page.html")
    assert main(["data", "show", f"path={file}", f"out={out}", *words]) == 0
    return Page(out)


# Shows pictures that cannot be opened too: without it their rows are left out, as in training.
UNSEEN = "+recipe.check_images=false"


def source_of(file: Path, **changes):
    return look(Custom(file, check_images=False), "rows", **{"size": 8, "seed": 0, "limit": None, "encoder": None} | changes)


def bare(name: str, category: str = "", text: str = "q") -> Comparison:
    messages = ({"role": "user", "content": [{"type": "text", "text": text}]},)
    return Comparison(messages, (), ("a", "b"), (Pair(0, 1),), id=name, category=category, where=f"file:{name}")


def test_everything_is_counted(file):
    """By hand: pairs of `two` are a>bb, a>bb!, a>d, bb>d, bb!>d, with lengths 1, 2, 3, 1."""
    found = source_of(file).statistics
    assert found.totals == {"comparisons": 5, "pairs": 9, "ties": 1, "images": 2, "longer": 3, "shorter": 4, "equal": 2,
                            "picture: image missing": 1}  # fmt: skip
    assert found.counts["difference"] == {13 - 5: 1, 1 - 2: 2, 1 - 3: 1, 0: 2, 2 - 1: 1, 3 - 1: 1, 8 - 11: 1}
    assert found.counts["better"] == {13: 1, 1: 4, 2: 1, 3: 2, 8: 1}
    assert found.counts["worse"] == {5: 1, 2: 2, 3: 2, 1: 3, 11: 1}
    assert found.counts["prompt"] == {13: 1, 11: 1, 4: 3}
    assert found.counts["responses"] == {2: 4, 4: 1} and found.counts["images"] == {1: 2, 0: 3}
    assert found.counts["width"] == {90: 1} and found.counts["height"] == {30: 1} and found.counts["pixels"] == {2700: 1}
    assert found.counts["margin"] == {0.5: 1} and found.counts["score difference"] == {3.5: 1}
    assert found.counts["turns"] == {1: 5} and found.categories == {"": 3, "text": 2}


def test_turns_are_those_of_the_user(tmp_path):
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Sum?")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns], "chosen": "3", "rejected": "4"}
    found = source_of(write(tmp_path, [row])).statistics
    assert found.counts["turns"] == {2: 1} and found.counts["prompt"] == {9 + 2 + 5 + 4: 1}


def test_lengths_are_those_of_the_encoder(file, tiny_folder):
    encoder = Encoder.from_folder(tiny_folder)
    source = source_of(file, encoder=encoder)
    items = [parse_row(row, where="x", image_root=file.parent) for row in ROWS[:4]]  # the picture of the fifth is gone
    lengths = [encoder.length(item) for item in items]
    assert source.statistics.counts["prompt"] == Counter(length.prefix for length in lengths)
    pairs = [(found.responses[p.better], found.responses[p.worse]) for item, found in zip(items, lengths) for p in item.pairs]
    assert source.statistics.counts["difference"] == Counter(a - b for a, b in pairs)
    assert {shown.comparison.id for shown in source.sample if shown.tokens is None} == {"gone"}
    page = show(file, f"model={tiny_folder}", UNSEEN)
    assert f"1 character, {lengths[1].responses[0]} tokens" in page.text and "Prompts, tokens" in page.text


def test_percentiles_are_those_of_all_values(tmp_path):
    rows = [{"prompt": "x" * (1 + k * k % 97), "chosen": "y" * (1 + k), "rejected": "z"} for k in range(50)]
    found = source_of(write(tmp_path, rows)).statistics
    np.testing.assert_array_equal(np.sort([1 + k * k % 97 for k in range(50)]), found.values("prompt"))
    page = show(tmp_path / "rows.jsonl")
    (row,) = [row for row in page.cell_rows() if "preferred response, characters" in row]
    assert [f">{value}<" in row for value in (1, 3, 13, 26, 38, 48, 50)] == [True] * 7  # np.percentile of 1 .. 50, rounded


def test_the_page_says_what_was_counted(file):
    page = show(file, UNSEEN)
    (row,) = [row for row in page.cell_rows() if "1 empty response" in row]
    assert [f">{value}<" in row for value in ("6", "5", "9", "2", "100.0%", "unknown")] == [True] * 6
    assert (
        "of 9 pairs, the preferred response is longer in 33.3% (3), shorter in 44.4% (4), of equal length in 2."
        in page.text.lower()
    )
    assert "Cannot be opened: 1 image missing." in page.text and "picture not shown: image missing" in page.text
    assert f"{file}:6 (bad): expected `chosen` to have text; found ''" in page.text
    (row,) = [row for row in page.cell_rows() if "Sum?" in row]
    assert ">2<" in row and f"{file}:4" in row
    assert len(page.all("article")) == 5 and "5 of 5" in page.text


def test_a_card_says_the_label(file):
    page = show(file)
    cards = {name: card for card in page.source.split("<article")[1:] for name in ("one", "two", "three", "again")
             if f"\n{name} " in card or f">{name} \N{MIDDLE DOT}" in card}  # fmt: skip
    assert "A over B (margin 0.500)" in cards["one"] and "data:image/" in cards["one"] and 'width="90"' in cards["one"]
    assert [cards["two"].count(f">{word}<") for word in ("preferred", "in between", "rejected")] == [1, 2, 1]
    assert "A over D" in cards["two"] and "B = C" in cards["two"] and "rank 0, 1 character<" in cards["two"]
    assert "score 4.50, 1 character<" in cards["three"] and "score 1.00, 2 characters" in cards["three"]
    assert ">school<" in cards["three"] and ">text<" in cards["three"]
    assert "A over B (probability 0.750)" in cards["again"] and f"{file}:4" in cards["again"]


def test_tied_responses_alone(tmp_path):
    rows = [{"prompt": "p", "responses": ["x", "y"], "ranks": [0, 0]}]
    source = look(Custom(write(tmp_path, rows), keep_ties=True), "rows", size=8, seed=0, limit=None, encoder=None)
    assert source.statistics.totals == {"comparisons": 1, "ties": 1, "pairs": 0, "images": 0}
    page = show(tmp_path / "rows.jsonl", "recipe.keep_ties=true")
    assert page.words.count("tied") == 2 and "A = B" in page.text


def test_rows_never_become_markup(tmp_path):
    rows = [
        {
            "id": ATTACK,
            "prompt": ATTACK,
            "chosen": ATTACK,
            "rejected": "a\ud7ff\x00\x1b[31m",
            "category": ATTACK,
            "source": ATTACK,
        },
        {"id": "again", "prompt": ATTACK, "chosen": "a", "rejected": "b"},
        {"id": ATTACK, "prompt": ATTACK, "chosen": "", "rejected": ATTACK},
    ]
    page = show(write(tmp_path, rows, f"{ATTACK[:20].replace('/', '')}.jsonl"))
    assert not page.all("script") and len(page.all("main")) == 1
    assert not [image for image in page.all("img") if "onerror" in image]
    # id, category, source, both questions, answer; the category as a bar; the id of the row left out; the repeated prompt
    assert page.text.count(ATTACK) == 9
    assert "\\x00\\x1b[31m" in page.text


def test_what_no_page_can_hold_is_written_out_everywhere(tmp_path):
    page = show(write(tmp_path, [{"prompt": "p\x00", "chosen": "a", "rejected": "b", "category": "c\x00"}] * 2))
    assert "\x00" not in page.source and page.text.count("c\\x00") == 3  # two chips and a bar
    assert page.text.count("p\\x00") == 3  # two questions and the repeated prompt


def test_the_page_fetches_nothing(file):
    page = show(file)
    for tag, attributes in page.tags:
        for key in ("src", "srcset", "href", "action", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/")), (tag, attributes)
    assert "default-src 'none'" in page.source and "url(" not in page.source and "@import" not in page.source
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert links == {section["id"] for section in page.all("section")} and len(links) == 5


def test_long_texts_and_many_responses_unfold(tmp_path):
    rows = [{"prompt": "q" * 40_000, "chosen": "c" * 10_000, "rejected": "r" * 30_000},
            {"prompt": "p", "responses": [f"answer {k}" for k in range(40)], "scores": list(range(40))}]  # fmt: skip
    page = show(write(tmp_path, rows))
    assert "9,500 more characters" in page.text and "c" * 9_500 in page.text
    assert "29,500 more characters" in page.text and "(9,500 more are not on this page)" in page.text
    assert "39,500 more characters" in page.text and "(19,500 more are not on this page)" in page.text
    assert page.text.count("r" * 20_000) == 1 and "r" * 20_001 not in page.text
    assert "18 more responses" in page.text and "16 more responses not on this page" in page.text
    assert "answer 39" in page.text and "answer 15" not in page.text and "and 756 more" in page.text  # 780 pairs, 24 shown


def test_a_bounded_sample_of_every_category():
    sample = Sample(4, seed=1)
    for k in range(1000):
        sample.add(bare(str(k), category="rare" if k == 500 else "often"))
    assert sum(len(stratum.items) for stratum in sample.strata.values()) == 5
    taken = sample.take()
    assert len({item.id for item in taken}) == 4 and Counter(item.category for item in taken) == {"often": 3, "rare": 1}
    assert "500" in {item.id for item in taken}
    many = Sample(2, seed=1)
    for k in range(200):
        many.add(bare(str(k), category=str(k)))
    assert len(many.strata) == MAX_STRATA + 1 and sum(len(stratum.items) for stratum in many.strata.values()) == MAX_STRATA + 2


def test_each_comparison_is_as_likely():
    """2 of 10, 4,000 times: each is drawn 800 times, give or take four standard deviations of sqrt(4000 * 0.2 * 0.8) = 25."""
    drawn: Counter = Counter()
    items = [bare(str(k)) for k in range(10)]
    for seed in range(4000):
        sample = Sample(2, seed)
        for item in items:
            sample.add(item)
        drawn.update(item.id for item in sample.take())
    assert len(drawn) == 10 and all(abs(count - 800) < 101 for count in drawn.values()), drawn


def test_each_comparison_of_a_category_is_as_likely():
    """1 of 6 in each of two categories, 3,000 times: 500 times, give or take four of sqrt(3000 / 6 * 5 / 6) = 20."""
    drawn: Counter = Counter()
    items = [bare(f"{category}{k}", category=category) for k in range(6) for category in "ab"]
    for seed in range(3000):
        sample = Sample(2, seed)
        for item in items:
            sample.add(item)
        drawn.update(item.id for item in sample.take())
    assert len(drawn) == 12 and all(abs(count - 500) < 82 for count in drawn.values()), drawn


def test_sources_that_rows_name_are_spread_too():
    sample = Sample(2, seed=0)
    for k in range(50):
        sample.add(replace(bare(str(k)), source="mine", meta={"source": "rare"} if k == 7 else {}))
    assert "7" in {item.id for item in sample.take()}


def test_the_seed_decides_the_sample(tmp_path):
    rows = [{"id": f"r{k}", "prompt": f"p{k}", "chosen": "a", "rejected": "b"} for k in range(100)]
    path = write(tmp_path, rows)
    pages = [show(path, "n=3", f"run.seed={seed}").source for seed in (0, 0, 1)]
    assert pages[0] == pages[1] != pages[2] and pages[0].count("<article") == 3


def test_a_scan_reads_the_first_rows_alone_and_says_so(file):
    rows = Rows(Custom(file), 2)
    assert [item.id for item in rows] == ["one", "two"] and (rows.rows_read, rows.is_cut) == (2, True)
    rows = Rows(Custom(file), 6)
    assert len(list(rows)) == 4 and (rows.rows_read, rows.is_cut) == (6, False)
    assert "the first 2 rows alone" in show(file, "scan=2").text and "alone" not in show(file, "scan=6").text


def test_dropped_rows_have_examples(file):
    class Picky(Custom):
        def comparison(self, row, where):
            return Dropped("no category") if "category" not in row else super().comparison(row, where)

    rows = Rows(Picky(file))
    assert [item.id for item in rows] == ["two", "three"]
    assert rows.dropped == {"no category": 4} and len(rows.examples["no category"]) == 3
    assert rows.examples["no category"][0].startswith(f"{file}:1: id: 'one', prompt: 'Which colour?'")


def test_the_most_repeated_prompts_are_found_late():
    """60 prompts twice, then one 5 times: it takes the place of a rarer one."""
    prompts = Prompts()
    for k in [*range(60), *range(60)]:
        prompts.add(bare(str(k), text=f"prompt {k}"))
    for k in range(5):
        prompts.add(bare(f"late{k}", text="late"))
    first, second = prompts.most_common(2)
    assert (first.text, first.count) == ("late", 5) and second.count == 2
    assert prompts.num_repeating == 125 and len(prompts.counts) == 61 and len(prompts.candidates) == 40
    other = Prompts()
    other.add(bare("x", text="late"))
    other.add(bare("y", text="new"))
    assert prompts.num_shared(other) == 1


def test_ranges():
    signed = dict(differences(np.array([-1024, -1023, -16, -15, -1, 0, 0, 1, 15, 16, 1023, 1024, 9999])))
    assert {name: count for name, count in signed.items() if count} == {
        "\N{MINUS SIGN}1,024 or less": 1, "\N{MINUS SIGN}1,023 to \N{MINUS SIGN}256": 1, "\N{MINUS SIGN}63 to \N{MINUS SIGN}16": 1,
        "\N{MINUS SIGN}15 to \N{MINUS SIGN}1": 2, "0": 2, "+1 to +15": 2, "+16 to +63": 1, "+256 to +1,023": 1, "+1,024 or more": 2,
    }  # fmt: skip
    assert numbers(np.array([0.5, -1.0, 0.5])) == [("\N{MINUS SIGN}1", 1), ("0.5", 2)]
    many = numbers(np.arange(120))
    assert len(many) == 12 and {count for _, count in many} == {10}


def test_sources_of_a_mixture_stand_side_by_side(file, tmp_path):
    other = write(tmp_path, [ROWS[3], ROWS[1] | {"prompt": "New."}], "other.jsonl")
    node = "{_target_: basereward.data_recipes.custom.Custom, path: %s}"
    out = tmp_path / "page.html"
    second = (node % other).replace("}", ", count: 1500, cap: 3}")
    sources = f"+data.sources={{first: {node % file}, second: {second}}}"
    assert main(["data", "show", sources, f"out={out}"]) == 0
    page = Page(out)
    rows = {name: row for row in page.cell_rows() for name in ("first", "second") if f">{name}<" in row and "unknown" in row}
    assert "66.7%" in rows["first"] and "33.3%" in rows["second"]  # 4 and 2 of 6 comparisons
    assert ">all of it once<" in rows["first"] and ">count 1,500, cap 3<" in rows["second"]
    (row,) = [row for row in page.cell_rows() if "first and second" in row]
    assert ">1<" in row


def test_a_missing_source_is_found_before_the_first_is_read(file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("basereward.data_show.look", lambda *_, **__: pytest.fail("rows were read"))
    node = "{_target_: basereward.data_recipes.custom.Custom, path: %s}"
    sources = f"+data.sources={{first: {node % file}, second: {node % 'absent.jsonl'}}}"
    assert main(["data", "show", sources, f"out={tmp_path / 'page.html'}"]) == 2
    assert "absent.jsonl" in capsys.readouterr().err


def test_a_data_config_by_name(tmp_path):
    out = tmp_path / "page.html"
    words = ["data=demo", "data.sources.demo.n=40", "data.val.n=20", "n=2", f"out={out}"]
    assert main(["data", "show", *words, "--dry-run"]) == 0 and not out.exists()
    assert main(["data", "show", *words]) == 0
    page = Page(out)
    assert "2 of 40" in page.text and "2 of 20" in page.text and page.all("img")


@pytest.mark.parametrize("cleans", [True, False])
def test_the_page_says_that_it_shows_rows_before_cleaning(file, cleans):
    out = file.with_name("page.html")
    words = [f"+data.path={file}", *(["+data.clean.duplicates=true"] if cleans else [])]
    assert main(["data", "show", *words, f"out={out}"]) == 0
    assert ("data.clean is not applied" in Page(out).text) == cleans


def test_rows_of_which_none_is_a_comparison_still_make_a_page(tmp_path):
    page = show(write(tmp_path, [ROWS[5]]))
    assert "no row is a comparison" in page.text and "found ''" in page.text and not page.all("article")


def test_nothing_else_is_written_over(file, capsys):
    page = file.with_name("page.html")
    show(file)
    first = page.read_bytes()
    assert kind_of(page) == KIND
    show(file)
    assert page.read_bytes() == first and sorted(os.listdir(file.parent)) == ["a.png", "page.html", "rows.jsonl"]
    page.write_text(page.read_text().replace(KIND, "another program"))
    before = page.read_bytes()
    assert main(["data", "show", f"path={file}", f"out={page}"]) == 2
    assert "out: expected a new file or an earlier page" in capsys.readouterr().err and page.read_bytes() == before


def test_an_interrupted_write_leaves_nothing(file, monkeypatch, capsys):
    show(file)
    first = file.with_name("page.html").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("basereward.runtime.os.replace", fail)
    assert main(["data", "show", f"path={file}", f"out={file.with_name('page.html')}"]) == 2
    assert "error: expected room to write; found none (No space left on device" in capsys.readouterr().err
    assert file.with_name("page.html").read_bytes() == first
    assert sorted(os.listdir(file.parent)) == ["a.png", "page.html", "rows.jsonl"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["path={file}", "out={folder}/page.txt"], "out: expected a file ending in .html"),
        (["path={file}", "out={file}"], "out: expected a file ending in .html"),
        (["path={file}"], "out"),
        (["out=page.html"], "add path="),
        (["path={file}", "data=demo", "out=page.html"], "path: expected data=<name> or path=<file>, found both"),
        (["path={file}", "n=0", "out=page.html"], "n: expected a whole number from 1"),
        (["path={file}", "scan=0", "out=page.html"], "scan: expected a whole number from 1"),
        (["path={folder}/row.jsonl", "out=page.html"], "rows.jsonl"),
        (["data=dmo", "out=page.html"], "did you mean 'demo'"),
        (["+data.path={folder}/none.jsonl", "out=page.html"], "none.jsonl"),
    ],
)
def test_mistakes_are_one_message_and_leave_nothing(file, capsys, monkeypatch, words, message):
    monkeypatch.chdir(file.parent)
    words = [word.format(file=file, folder=file.parent) for word in words]
    for flag in ([], ["--dry-run"]):
        assert main(["data", "show", *words, *flag]) == 2
        assert message in capsys.readouterr().err
    assert sorted(os.listdir(file.parent)) == ["a.png", "rows.jsonl"]


@pytest.mark.parametrize("window", [360, 1200])
def test_nothing_is_wider_than_the_window(tmp_path, window):
    """In a real browser: long words, right-to-left text, many and wide pictures, long categories, wide tables."""
    Image.new("RGB", (900, 90), "teal").save(tmp_path / "wide.png")
    rows = [
        {"id": "i" * 300, "prompt": "w" * 400, "chosen": "x" * 3000, "rejected": "y" * 30_000, "category": "c" * 300, "source": "s" * 300},
        {"prompt": "\u202eمرحبا", "images": ["wide.png"] * 12, "chosen": "العربية " * 90, "rejected": "\u202eevil"},
        {"prompt": "p", "responses": ["r" * 200 + str(k) for k in range(30)], "scores": [k * 1e9 for k in range(30)]},
        {"prompt": "p", "chosen": "z" * 100, "rejected": ""},
    ]  # fmt: skip
    page = tmp_path / "page.html"
    assert main(["data", "show", f"path={write(tmp_path, rows + rows, 'n' * 200 + '.jsonl')}", f"out={page}"]) == 0
    needed, there = widths(page, tmp_path, window=window)
    assert needed <= there <= window
