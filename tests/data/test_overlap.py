"""What is found in training data and what is not; what becomes of it; rates on real rows are measured by bench/overlap.py."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from drawn import jpeg, picture_rates, planted_rows, png, text_rates, texture

from basereward.compose import compose
from basereward.errors import ConfigError, DataError, MissingDependency
from basereward.fingerprints.text import is_long
from basereward.hub import unreachable
from basereward.mixture import load_data
from basereward.overlap.account import account, overlap_table, sentence
from basereward.overlap.find import PICTURE, QUESTION, RESPONSE, find, rows_found
from basereward.overlap.known import Known, content_of
from basereward.overlap.listed import node_of
from basereward.records import Comparison, parse_row
from basereward.settings import TrainSettings
from basereward.sources import check_sources

CUSTOM = "basereward.data_recipes.custom.Custom"
DESCRIBE = "Describe this image in detail."
SOCCER = "The picture shows a group of children who play soccer on a field, while several parents watch them from the side."
KITCHEN = "A kitchen with a wooden table, on which there are two bowls, a vase with flowers and a newspaper that is open."


def pair(prompt, chosen, rejected, source="mine", **extra) -> Comparison:
    return parse_row({"prompt": prompt, "chosen": chosen, "rejected": rejected} | extra, where="f:1", source=source)


def kinds(items, *benchmark, **options):
    """For each training comparison by what it was found."""
    (hits,), _ = find(items, [Known.of("b", "1", benchmark)], **options)
    return [sorted({hit.kind for hit in hits if hit.row == row}) for row in range(len(items))]


def test_a_long_response_under_another_case_spacing_order_and_question():
    known = pair(DESCRIBE, SOCCER, KITCHEN, id="k")
    items = [
        pair(DESCRIBE, f"  {KITCHEN.upper()}\n", SOCCER.replace(" ", "\n ")),
        pair("What is in the picture?", SOCCER.replace(",", " -"), "No idea."),
        pair(DESCRIBE, SOCCER + " A dog runs after the ball.", KITCHEN + " Nobody is there."),
        pair(DESCRIBE, "Children.", "A kitchen."),
    ]
    assert kinds(items, known) == [[RESPONSE], [RESPONSE], [], []]


def test_short_responses_count_with_their_question_and_two_at_a_time():
    known = pair("Is there a dog in the picture?", "Yes, there is.", "No, there is none.")
    items = [
        pair("is there a DOG in the picture?", "no, there is none.", "Yes,  there is."),
        pair("Is there a dog in the picture?", "Yes, there is.", "No."),
        pair("Is there a cat in the picture?", "Yes, there is.", "No, there is none."),
    ]
    assert not is_long("Yes, there is.") and kinds(items, known) == [[QUESTION], [], []]


def test_a_question_alone_never_counts():
    known = [pair(DESCRIBE, f"{SOCCER} {i}", f"{KITCHEN} {i}") for i in range(20)]
    assert kinds([pair(DESCRIBE, f"{KITCHEN} But {i}", f"{SOCCER} But {i}") for i in range(20)], *known) == [[]] * 20


def test_system_turns_do_not_count():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which colour?"}]
    item = parse_row({"messages": messages, "responses": ["Red.", "Blue."], "ranks": [0, 1]}, where="f:1", source="mine")
    assert kinds([item], pair("Which colour?", "Red.", "Blue.")) == [[QUESTION]]


def test_boilerplate_counts_only_under_its_question():
    refusal = "I'm sorry, but I cannot help with that request. Is there anything else that I can do for you today?"
    known = pair("How do I pick a lock?", refusal, "With a hairpin.")
    items = [pair(f"How do I do thing {i}?", refusal, f"Like this: {i}.") for i in range(9)]
    assert kinds([*items, pair("How do I pick a lock?", refusal, "Ask somebody.")], known) == [[]] * 9 + [[RESPONSE]]
    assert kinds(items[:2], known) == [[RESPONSE]] * 2


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [texture(rng) for _ in range(3)]


def test_pictures_are_found_by_themselves(images):
    known = [pair("q1", "x", "y", images=[png(images[0])]), pair("q2", "x", "y", images=[png(images[1])])]
    items = [
        pair("other", "a", "b", images=[jpeg(images[1])]),
        pair("other", "a", "b", images=[png(images[2]), png(images[0])]),
        pair("other", "a", "b", images=[png(images[2])]),
        pair("other", "a", "b"),
    ]
    assert kinds(items, *known) == [[PICTURE], [PICTURE], [], []]
    assert kinds(items, *known, by_picture=False) == [[]] * 4
    assert kinds(items[2:], *known) == [[], []]


def test_short_responses_to_another_picture_do_not_count(images):
    known = pair("How many cars?", "Two.", "Three.", images=[png(images[0])])
    items = [
        pair("How many cars?", "Two.", "Three.", images=[jpeg(images[0])]),
        pair("How many cars?", "Two.", "Three.", images=[png(images[1])]),
        pair("How many cars?", "Two.", "Three."),
    ]
    assert kinds(items, known) == [[PICTURE, QUESTION], [], [QUESTION]]
    assert kinds(items, known, by_picture=False) == [[QUESTION]] * 3


def test_the_account_of_two_sources():
    known = Known.of("bench", "7", [pair(DESCRIBE, SOCCER, "x", id="k0"), pair("q", "u", "v", id="k1"), pair("p", "s", "t")])
    items = [
        pair(DESCRIBE, SOCCER, "Nothing.", id="a"),
        pair("p", "a", "b", source="other", id="b"),
        pair("Describe.", SOCCER, "Nobody.", id="c"),
        pair("q", "u", "v", id="d"),
    ]
    (hits,), sources = find(items, [known])
    numbers = account(known, hits, sources, items.__getitem__)
    assert json.loads(json.dumps(numbers)) == numbers and rows_found(hits).tolist() == [0, 2, 3]
    assert (numbers["version"], numbers["comparisons"], numbers["found"], numbers["items"]) == ("7", 3, 2, [0, 1])
    mine, other = numbers["sources"]["mine"], numbers["sources"]["other"]
    assert (mine["checked"], mine["comparisons"], other["checked"], other["comparisons"]) == (3, 3, 1, 0)
    assert mine["by"] == {RESPONSE: 2, QUESTION: 1, PICTURE: 0} and other["examples"] == []
    assert [(row["id"], row["benchmark_id"], row["by"]) for row in mine["examples"]] == [
        ("a", "k0", RESPONSE), ("c", "k0", RESPONSE), ("d", "k1", QUESTION),
    ]  # fmt: skip
    everything = {"mode": "report", "benchmarks": {"bench": numbers}, "not_checked": {"far": "no network"}}
    lines = overlap_table(everything).splitlines()
    assert (
        lines[2].split() == ["bench", "in", "mine", "3", "(100.0%)", "2", "1", "0"] and lines[4] == "not checked: far: no network"
    )
    found = "overlap with the training data: 2 (66.7%) of its comparisons; 3 in mine"
    assert sentence(everything, "bench", known.content) == found
    assert sentence(everything, "copy", known.content) == f"{found}; looked for as bench"
    assert "that was on other rows, version 7: training with data.overlap_with=[b.jsonl]" in sentence(
        everything, "bench", "", "b.jsonl"
    )
    assert "not checked (no network)" in sentence(everything, "far", "") and "not checked;" in sentence(
        None, "bench", known.content
    )
    assert "left out of training" in sentence(everything | {"mode": "drop"}, "bench", known.content)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def files(tmp_path):
    """12 training rows, of which two stand in the benchmark of three."""
    benchmark = [
        {"id": "k0", "prompt": DESCRIBE, "chosen": SOCCER, "rejected": "Soccer."},
        {"id": "k1", "prompt": "Which colour?", "chosen": "Red.", "rejected": "Blue."},
        {"id": "k2", "prompt": DESCRIBE, "chosen": KITCHEN, "rejected": "Kitchen."},
    ]
    rows = [{"id": f"r{i}", "prompt": f"q{i}", "chosen": f"good {i}", "rejected": "bad"} for i in range(10)]
    rows += [benchmark[1] | {"id": "t1"}, {"id": "t2", "prompt": "What?", "chosen": "Nothing.", "rejected": SOCCER.lower()}]
    return write(tmp_path / "train.jsonl", rows), write(tmp_path / "held_out.jsonl", benchmark)


def test_report_drop_fail_and_null(files):
    train, benchmark = files
    config = {"sources": {"mine": {"_target_": CUSTOM, "path": train}}, "overlap_with": [benchmark], "val_fraction": 0}
    reported = load_data(config, seed=0)
    found = reported.manifest["overlap"]["benchmarks"]["held_out"]
    assert len(reported.train) == 12 and found["found"] == 2 and found["sources"]["mine"]["comparisons"] == 2
    assert found["version"].startswith("sha256:") and reported.manifest["overlap"]["mode"] == "report"
    dropped = load_data(config | {"overlap": "drop"}, seed=0)
    assert [item.id for item in dropped.train] == [f"r{i}" for i in range(10)]
    assert dropped.manifest["sources"]["mine"]["dropped"] == {"stands in a benchmark": 2}
    assert (
        dropped.manifest["sources"]["mine"]["used"] == 10 and dropped.manifest["overlap"]["benchmarks"]["held_out"]["found"] == 2
    )
    with pytest.raises(DataError, match=r"(?s)data\.overlap: .*held_out in mine +2 \(16\.7%\).*data\.overlap=drop"):
        load_data(config | {"overlap": "fail"}, seed=0)
    assert load_data(config | {"overlap": None}, seed=0).manifest["overlap"] == {}


def test_a_run_that_fails_shows_the_table_once(files, caplog):
    train, benchmark = files
    config = {"sources": {"mine": {"_target_": CUSTOM, "path": train}}, "overlap_with": [benchmark], "val_fraction": 0}
    caplog.set_level("INFO")
    with pytest.raises(DataError) as caught:
        load_data(config | {"overlap": "fail"}, seed=0)
    assert (str(caught.value) + caplog.text).count("held_out in mine") == 1
    load_data(config, seed=0)
    assert caplog.text.count("held_out in mine") == 1


def test_validation_data_are_looked_at_and_stay(files):
    train, benchmark = files
    config = {"path": train, "val": benchmark, "overlap_with": [benchmark], "overlap": "drop"}
    bundle = load_data(config, seed=0)
    assert len(bundle.val) == 3 and len(bundle.train) == 10
    assert bundle.manifest["overlap"]["benchmarks"]["held_out"]["sources"]["val"]["comparisons"] == 3


def test_cleaned_rows_are_not_looked_at(files):
    train, benchmark = files
    config = {"path": train, "overlap_with": [benchmark], "clean": {"response_chars": [None, 20]}}
    assert load_data(config, seed=0).manifest["overlap"]["benchmarks"]["held_out"]["sources"]["custom"]["comparisons"] == 1


@pytest.mark.parametrize("entry", ["demo", {"_target_": CUSTOM, "path": "held_out.jsonl", "source": "apart"}])
def test_names_and_nodes(entry, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = load_data({"path": files[0], "overlap_with": [entry]}, seed=0).manifest["overlap"]["benchmarks"]
    assert {name: numbers["found"] for name, numbers in found.items()} in ({"demo": 0}, {"apart": 2})


def test_a_benchmark_that_cannot_be_read(files, tmp_path):
    broken = write(tmp_path / "broken.jsonl", [{"prompt": "q"}])
    config = {"path": files[0], "overlap_with": [broken, files[1]]}
    overlap = load_data(config, seed=0).manifest["overlap"]
    assert list(overlap["benchmarks"]) == ["held_out"] and list(overlap["not_checked"]) == [broken]
    with pytest.raises(DataError, match="broken"):
        load_data(config | {"overlap": "drop"}, seed=0)


@pytest.fixture
def vl(tmp_path, images):
    """Three rows in the shape of VL-RewardBench, of which the last alone has its picture; and training rows that repeat the others."""
    texts = [[SOCCER, "Soccer."], [KITCHEN, "Kitchen."], ["Red.", "Blue."]]
    rows = [
        {"id": f"RLAIF-{i}", "query": f"q{i}?", "response": answers, "human_ranking": [0, 1], "image": f"{i}.png"}
        for i, answers in enumerate(texts)
    ]
    (tmp_path / "2.png").write_bytes(png(images[0]))
    (tmp_path / "copy.jpg").write_bytes(jpeg(images[0]))
    train = [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": "bad"} for i in range(5)]
    train += [
        {"prompt": "q1?", "chosen": KITCHEN, "rejected": SOCCER},
        {"prompt": "p", "chosen": "a", "rejected": "b", "images": ["copy.jpg"]},
    ]
    return write(tmp_path / "vl.jsonl", rows), write(tmp_path / "mine.jsonl", train)


def test_a_recipe_by_its_name_with_a_copy_of_which_pictures_are_missing(vl, caplog):
    entry = {"recipe": "vl_rewardbench", "path": vl[0]}
    with caplog.at_level("INFO"):
        overlap = load_data({"path": vl[1], "overlap_with": [entry]}, seed=0).manifest["overlap"]
    found = overlap["benchmarks"]["vl_rewardbench"]
    assert (found["comparisons"], found["texts_alone"], found["items"]) == (3, 2, [0, 1, 2])
    assert found["sources"]["custom"]["by"] == {RESPONSE: 1, QUESTION: 0, PICTURE: 1}
    assert "vl_rewardbench: the pictures of 2 comparisons are not at hand; looked for by their texts alone" in caplog.text
    texts = load_data({"path": vl[1], "overlap_with": [entry], "overlap_pictures": False}, seed=0).manifest["overlap"]
    alone = texts["benchmarks"]["vl_rewardbench"]
    assert (alone["items"], alone["texts_alone"], alone["content"]) == ([0, 1], 0, found["content"])


def test_a_file_whose_pictures_are_missing_is_compared_by_its_texts(files, tmp_path):
    row = {"prompt": DESCRIBE, "chosen": SOCCER, "rejected": "Soccer.", "images": ["gone.png"]}
    benchmark = write(tmp_path / "bare.jsonl", [row])
    found = load_data({"path": files[0], "overlap_with": [benchmark]}, seed=0).manifest["overlap"]["benchmarks"]["bare"]
    assert (found["found"], found["texts_alone"]) == (1, 1)


def test_one_recipe_twice_under_two_names(vl):
    entries = [{"recipe": "vl_rewardbench", "path": vl[0]}, {"recipe": "vl_rewardbench", "path": vl[0], "source": "again"}]
    found = load_data({"path": vl[1], "overlap_with": entries}, seed=0).manifest["overlap"]["benchmarks"]
    assert list(found) == ["vl_rewardbench", "again"] and found["again"]["found"] == found["vl_rewardbench"]["found"]


@pytest.mark.parametrize("library", [True, False])
def test_a_benchmark_of_the_hub_without_a_network_or_without_its_library(library, files, monkeypatch):
    def refuse(card, **_):
        raise unreachable(card, "no network here") if library else MissingDependency(f"no datasets for {card.hub_id}")

    monkeypatch.setattr("basereward.data_place.read_hub", refuse)
    monkeypatch.setattr("basereward.data_place.commit_on_hub", lambda card: None)
    config = {"path": files[0], "overlap_with": ["rm_bench", {"recipe": "judgebench", "split": "gpt", "source": "gpt"}, files[1]]}
    overlap = load_data(config, seed=0).manifest["overlap"]
    assert list(overlap["benchmarks"]) == ["held_out"] and list(overlap["not_checked"]) == ["rm_bench", "gpt"]
    assert ("no network here" in overlap["not_checked"]["rm_bench"]) == library and "not checked: gpt: " in overlap_table(overlap)
    with pytest.raises((DataError, MissingDependency), match="THU-KEG/RM-Bench"):
        load_data(config | {"overlap": "fail"}, seed=0)


def test_the_content_is_that_of_all_texts_in_their_order():
    items = [pair("q", "a", "b", id="1"), pair("q", "c", "d", id="2")]
    copies = [pair("q", "a", "b", id="x", category="c"), pair("q", "c", "d", id="y")]
    contents = [items, copies, items[::-1], items[:1], [items[0], pair("q", "c", "e")], [pair("Q", "a", "b"), items[1]]]
    keys = [content_of(found) for found in contents]
    assert keys[0] == keys[1] and len(set(keys)) == 5


@pytest.mark.parametrize("name", ["basereward_mix", "basereward_mix_lite", "text_mix"])
def test_the_mixtures_of_the_paper_are_compared_with_public_benchmarks(name):
    data = compose("train", [f"data={name}", "backbone=tiny", "run.dir=none"], TrainSettings).data
    nodes = [node_of(entry, "k") for entry in data["overlap_with"]]
    assert [node["source"] for node in nodes] == [
        "vl_rewardbench", "mm_rlhf_rewardbench", "judgebench", "judgebench_gpt", "rm_bench",
    ]  # fmt: skip
    assert nodes[3]["split"] == "gpt" and data["overlap"] == "report"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"overlap": "remove"}, r"data\.overlap: expected report, drop, fail or null; found 'remove'"),
        ({"overlap": "drop"}, r"data\.overlap_with: expected what to compare with"),
        ({"overlap_with": "demo"}, r"data\.overlap_with: expected a list.*write \[demo\]"),
        ({"overlap_with": ["dmeo"]}, r"data\.overlap_with\[0\]: found no benchmark.*did you mean 'demo'"),
        ({"overlap_with": ["vl_rewrdbench"]}, r"found no benchmark, no recipe and no file.*did you mean 'vl_rewardbench'"),
        (
            {"overlap_with": [{"recipe": "rm_bnch"}]},
            r"data\.overlap_with\[0\]: found no recipe 'rm_bnch'; did you mean 'rm_bench'",
        ),
        ({"overlap_with": [{"recipe": "ixc"}]}, r"data\.overlap_with\[0\]: path: expected a value, found none"),
        ({"overlap_with": [{"recipe": "rm_bench", "pth": "x"}]}, r"data\.overlap_with\[0\]\.pth: RMBench takes no such key"),
        ({"overlap_with": [{"recipe": "rm_bench", "path": "gone.json"}]}, r"data\.overlap_with\[0\]: expected .*gone\.json"),
        ({"overlap_with": [7]}, r"data\.overlap_with\[0\]: expected a benchmark's name"),
    ],
)
def test_settings_are_refused_before_anything_is_read(config, message, files):
    with pytest.raises(ConfigError, match=message):
        check_sources({"path": files[0]} | config)


def test_one_name_twice_and_a_node_that_is_no_benchmark(files):
    with pytest.raises(ConfigError, match="'held_out' twice"):
        load_data({"path": files[0], "overlap_with": [files[1], files[1]]}, seed=0)
    node = {"_target_": "fractions.Fraction", "numerator": 1}
    with pytest.raises(ConfigError, match=r"data\.overlap_with\[0\]: expected a benchmark or a recipe; found Fraction"):
        load_data({"path": files[0], "overlap_with": [node]}, seed=0)


def test_everything_in_a_benchmark_leaves_nothing(files):
    with pytest.raises(DataError, match=r"data.overlap: expected comparisons to be left; found none of 3"):
        load_data({"path": files[1], "overlap_with": [files[1]], "overlap": "drop"}, seed=0)


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
@pytest.mark.parametrize("whole", [False, True])
def test_planted_rows_are_found_among_recombined_ones(whole):
    """4,000 rows here, 100,000 in bench/overlap.py; half ask the benchmark's own questions and give other answers."""
    benchmark, rows = planted_rows(os.environ["BASEREWARD_REAL_DATA"], 4000, 0, whole=whole)
    recall, others = text_rates(benchmark, rows)
    assert len(rows) == 4000 and recall >= 0.99 and others <= 0.001


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
def test_copies_of_real_photos_are_found():
    recall, false, spread = picture_rates(os.environ["BASEREWARD_REAL_DATA"], 120, 0)
    assert recall >= 0.95 and false <= 0.001 and len(spread["bits"]) == 120
