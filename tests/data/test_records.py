"""Each spelling of a preference row gives the same comparison, and each problem is named."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from basereward.records import Pair, RowError, image_key, parse_prompt, parse_row

USER = {"role": "user", "content": "Which is red?"}
GOOD = {"role": "assistant", "content": "The first."}
BAD = {"role": "assistant", "content": "The second."}
PLAIN = {"prompt": "Which is red?", "chosen": "The first.", "rejected": "The second."}


def typed(turn: dict, key: str = "text") -> dict:
    return {"role": turn["role"], "content": [{"type": "text", key: turn["content"]}]}


def sharegpt(turn: dict) -> dict:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return {"from": names[turn["role"]], "value": turn["content"]}


SPELLINGS = {
    "strings": PLAIN,
    "trl prompt and answers as message lists": {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
    "trl typed content": {"prompt": [typed(USER)], "chosen": [typed(GOOD)], "rejected": [typed(BAD)]},
    "trl implicit prompt": {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "implicit prompt with its text repeated": {"prompt": "Which is red?", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "messages with chosen and rejected": {"messages": [USER], "chosen": "The first.", "rejected": "The second."},
    "ranks": {"messages": [USER], "responses": ["The first.", "The second."], "ranks": [0, 1]},
    "ranks from 1": {"messages": [USER], "responses": ["The first.", "The second."], "ranks": [1, 2.0]},
    "scores": {"prompt": "Which is red?", "responses": ["The first.", "The second."], "scores": [4.5, 3]},
    "responses as messages": {"prompt": [USER], "responses": [GOOD, [BAD]], "scores": [1, 0]},
    "llamafactory sharegpt": {"conversations": [sharegpt(USER)], "chosen": sharegpt(GOOD), "rejected": sharegpt(BAD)},
    "llamafactory typed": {
        "chosen_messages": [typed(USER, "value") | {"loss_weight": 0.0}, typed(GOOD, "value") | {"loss_weight": 1.0}],
        "rejected_messages": [typed(USER, "value") | {"loss_weight": 0.0}, typed(BAD, "value") | {"loss_weight": 1.0}],
    },
    "llamafactory alpaca": {"instruction": "Which is red?", "input": "", "chosen": "The first.", "rejected": "The second."},
    "ms-swift rejected_response": {"messages": [USER, GOOD], "rejected_response": "The second."},
    "ms-swift rejected_messages": {"messages": [USER, GOOD], "rejected_messages": [USER, BAD]},
    "columns of None, as Arrow fills them": PLAIN | {"images": None, "messages": None, "ranks": None, "id": None},
}


@pytest.mark.parametrize("row", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_every_spelling_is_the_same_comparison(row):
    comparison = parse_row(row, where="a.jsonl:3")
    assert comparison.messages == ({"role": "user", "content": [{"type": "text", "text": "Which is red?"}]},)
    assert comparison.responses == ("The first.", "The second.")
    assert comparison.pairs == (Pair(0, 1),)
    assert comparison.images == () and comparison.id == comparison.where == "a.jsonl:3"
    assert comparison.group == parse_row(PLAIN, where="elsewhere").group


@pytest.mark.parametrize(
    ("row", "system"),
    [
        (
            {"conversations": [{"from": "system", "value": "Be brief."}, sharegpt(USER)], "chosen": "a", "rejected": "b"},
            "Be brief.",
        ),
        (
            {"system": "Be brief.", "conversations": [sharegpt(USER)], "chosen": sharegpt(GOOD), "rejected": sharegpt(BAD)},
            "Be brief.",
        ),
        ({"system": "Be brief.", "instruction": "Sum", "input": "1 2", "chosen": "3", "rejected": "4"}, "Be brief."),
        ({"system": "", "prompt": "Sum", "chosen": "3", "rejected": "4"}, None),
    ],
)
def test_system_prompts(row, system):
    first = parse_row(row, where="x").messages[0]
    assert first["role"] == ("system" if system else "user")
    assert system is None or first["content"] == [{"type": "text", "text": system}]


def test_alpaca_joins_input_and_history():
    row = {"instruction": "Now", "input": "this", "history": [["Hi", "Hello"]], "chosen": "a", "rejected": "b"}
    texts = [(turn["role"], turn["content"][0]["text"]) for turn in parse_row(row, where="x").messages]
    assert texts == [("user", "Hi"), ("assistant", "Hello"), ("user", "Now\nthis")]


def test_pairs_of_a_ranking_leave_ties_out():
    row = {"prompt": "p", "responses": ["a", "b", "c", "d"], "ranks": [2, 0, 2, 1], "margin": 0.5, "weight": 2}
    comparison = parse_row(row, where="x")
    assert comparison.pairs == tuple(Pair(i, j, 0.5) for i, j in [(1, 0), (1, 2), (1, 3), (3, 0), (3, 2)])
    assert (comparison.ranks, comparison.scores, comparison.weight) == ((2, 0, 2, 1), None, 2.0)


def test_equal_ranks_and_scores_are_kept_as_ties():
    row = {"prompt": "p", "responses": ["a", "b", "c", "d"]}
    assert parse_row(row | {"ranks": [2, 0, 2, 1]}, where="x").ties == ((0, 2),)
    assert parse_row(row | {"scores": [1, 5, 1, 1]}, where="x").ties == ((0, 2), (0, 3), (2, 3))
    assert parse_row(PLAIN, where="x").ties == ()


def test_a_row_of_ties_alone_is_kept_when_asked_for():
    row = {"prompt": "p", "responses": ["a", "b", "c"], "ranks": [4, 4, 4]}
    comparison = parse_row(row, where="x", keep_ties=True)
    assert comparison.pairs == () and comparison.ties == ((0, 1), (0, 2), (1, 2)) and comparison.ranks == (0, 0, 0)
    with pytest.raises(RowError, match="keep_ties=true"):
        parse_row(row, where="x")


@pytest.mark.parametrize(
    ("probability", "pair"),
    [(1, Pair(0, 1)), (0.75, Pair(0, 1, probability=0.75)), (0.5, Pair(0, 1, probability=0.5)), (0.25, Pair(1, 0, probability=0.75)),
     (0, Pair(1, 0)), (None, Pair(0, 1))],
)  # fmt: skip
def test_a_probability_says_how_often_the_chosen_one_wins(probability, pair):
    """Below 1/2 the other one is the better, so that accuracy counts what most judges said."""
    assert parse_row(PLAIN | {"probability": probability}, where="x").pairs == (pair,)


def test_scores_are_higher_for_better():
    comparison = parse_row({"prompt": "p", "responses": ["a", "b", "c"], "scores": [3.0, 4.5, 3]}, where="x")
    assert comparison.pairs == (Pair(1, 0), Pair(1, 2)) and comparison.scores == (3.0, 4.5, 3.0)


def test_ranks_are_made_dense():
    assert parse_row({"prompt": "p", "responses": ["a", "b", "c"], "ranks": [7, 3, 7]}, where="x").ranks == (1, 0, 1)


IMAGE = {"type": "image"}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("Look.", [IMAGE, IMAGE, {"type": "text", "text": "Look."}]),
        ("<image>\n<image>\nLook.", [IMAGE, IMAGE, {"type": "text", "text": "Look."}]),
        ("<image><image>Look.", [IMAGE, IMAGE, {"type": "text", "text": "Look."}]),
        ("A: <image>\nB: <image>", [{"type": "text", "text": "A: "}, IMAGE, {"type": "text", "text": "\nB: "}, IMAGE]),
        ([IMAGE, {"type": "text", "text": "or"}, IMAGE], [IMAGE, {"type": "text", "text": "or"}, IMAGE]),
        ([{"type": "image", "text": None}, "<image>"], [IMAGE, IMAGE]),
    ],
)
def test_where_images_stand(content, parts):
    row = {"messages": [{"role": "user", "content": content}], "images": ["a.png", "b.png"], "chosen": "a", "rejected": "b"}
    comparison = parse_row(row, where="x", image_root="/data")
    assert list(comparison.messages[0]["content"]) == parts
    assert comparison.images == ("/data/a.png", "/data/b.png")


def test_images_without_marker_go_to_the_first_user_turn():
    turns = [{"role": "system", "content": "s"}, USER, GOOD, {"role": "user", "content": "And now?"}]
    comparison = parse_row({"messages": turns, "image": "a.png", "chosen": "a", "rejected": "b"}, where="x")
    assert [[part["type"] for part in turn["content"]] for turn in comparison.messages] == [
        ["text"],
        ["image", "text"],
        ["text"],
        ["text"],
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "image": "a.png"},
        {"type": "image_url", "image_url": {"url": "a.png"}},
        {"type": "image_url", "value": "a.png"},
        {"type": "image", "path": "a.png"},
    ],
)
def test_images_inside_messages(part):
    row = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}], "chosen": "a", "rejected": "b"}
    assert parse_row(row, where="x", image_root="r").images == ("r/a.png",)


def test_kinds_of_image_references():
    picture = Image.new("RGB", (2, 2))
    given = [{"bytes": b"raw", "path": "ignored"}, {"bytes": None, "path": "a.png"}, b"raw", picture, "/abs/./b.png"]
    images = parse_row(PLAIN | {"images": given}, where="x", image_root="/r").images
    assert images == (b"raw", "/r/a.png", b"raw", picture, "/abs/b.png")
    assert image_key(b"raw") == image_key(bytearray(b"raw")) != image_key(b"war")
    assert image_key(picture) != image_key(Image.new("RGB", (4, 1)))


def test_group_is_the_prompt_with_its_images():
    base = parse_row(PLAIN | {"images": ["a.png"]}, where="x")
    assert base.group == parse_row(PLAIN | {"images": ["a.png"], "chosen": "Other.", "id": 7, "weight": 3}, where="y").group
    assert base.group != parse_row(PLAIN | {"images": ["b.png"]}, where="x").group
    assert base.group != parse_row(PLAIN | {"images": ["a.png"], "prompt": "Which is blue?"}, where="x").group
    assert base.group != parse_row(PLAIN | {"images": ["a.png"], "system": "s"}, where="x").group


def test_nothing_of_a_row_is_lost():
    row = PLAIN | {"id": 7, "source": "web", "category": "colour", "meta": {"a": 1}, "judge": "me"}
    comparison = parse_row(row, where="x", source="mine")
    assert (comparison.id, comparison.source, comparison.category) == ("7", "mine", "colour")
    assert comparison.meta == {"a": 1, "judge": "me", "source": "web"}
    assert parse_row(row, where="x").source == "web"


TWO = {"prompt": "p", "responses": ["a", "b"]}
PROBLEMS = [
    (PLAIN | {"rejected": " The first. "}, "chosen equals rejected"),
    (PLAIN | {"rejected": " \n"}, "empty response"),
    (PLAIN | {"chosen": 3}, "wrong type"),
    (PLAIN | {"chosen": ["a", "b"]}, "wrong type"),
    (PLAIN | {"prompt": 3}, "wrong type"),
    (PLAIN | {"prompt": " "}, "empty prompt"),
    (PLAIN | {"prompt": []}, "last turn not user"),
    (PLAIN | {"prompt": [USER, GOOD]}, "last turn not user"),
    (PLAIN | {"prompt": [{"role": "tool", "content": "x"}, USER]}, "unknown role"),
    (PLAIN | {"prompt": [{"content": "x"}]}, "unknown role"),
    (PLAIN | {"prompt": ["x"]}, "wrong type"),
    (PLAIN | {"prompt": [USER, {"role": "system", "content": "s"}, USER]}, "misplaced system turn"),
    (PLAIN | {"prompt": [{"role": "user", "content": [{"type": "video", "video": "v.mp4"}]}]}, "wrong type"),
    (PLAIN | {"chosen": [{"role": "user", "content": "x"}]}, "wrong type"),
    (PLAIN | {"chosen": {"role": "user", "content": "x"}}, "unknown role"),
    (PLAIN | {"prompt": "<image><image>?", "images": ["a"]}, "more image markers than images"),
    (PLAIN | {"prompt": "<image>?"}, "more image markers than images"),
    (PLAIN | {"prompt": "<image>?", "images": ["a", "b"]}, "fewer image markers than images"),
    (PLAIN | {"image": "a", "images": ["a"]}, "two image keys"),
    (PLAIN | {"images": ["https://example.com/a.png"]}, "wrong type"),
    (PLAIN | {"images": [3]}, "wrong type"),
    (PLAIN | {"images": [""]}, "wrong type"),
    (PLAIN | {"images": [b""]}, "wrong type"),
    (PLAIN | {"margin": math.nan}, "margin not a number"),
    (PLAIN | {"weight": 0}, "weight not a number"),
    (PLAIN | {"weight": "1"}, "weight not a number"),
    (PLAIN | {"meta": 3}, "wrong type"),
    (PLAIN | {"imges": ["a.png"]}, "misspelt key"),
    (PLAIN | {"rejected_images": ["a.png"]}, "images differ"),
    ({"prompt": "p", "choosen": "a", "rejected": "b"}, "missing keys"),
    ({"promt": "p", "chosen": "a", "rejected": "b"}, "missing keys"),
    (TWO, "missing keys"),
    (TWO | {"ranks": [0, 1], "scores": [1, 0]}, "missing keys"),
    (TWO | {"ranks": [0]}, "wrong number of ranks"),
    (TWO | {"scores": [0, 1, 2]}, "wrong number of scores"),
    (TWO | {"scores": 3}, "wrong number of scores"),
    (TWO | {"scores": [math.nan, 1]}, "score not a finite number"),
    (TWO | {"scores": [math.inf, 1]}, "score not a finite number"),
    (TWO | {"scores": ["4.5", 1]}, "score not a finite number"),
    (TWO | {"scores": [True, 0]}, "score not a finite number"),
    (TWO | {"scores": [None, 0]}, "score not a finite number"),
    (TWO | {"ranks": [0, 0.5]}, "rank not a whole number"),
    (TWO | {"ranks": [-1, 0]}, "rank not a whole number"),
    (TWO | {"ranks": [1, 1]}, "all responses tied"),
    (PLAIN | {"probability": 1.5}, "probability not from 0 to 1"),
    (PLAIN | {"probability": "often"}, "probability not from 0 to 1"),
    (PLAIN | {"probabilty": 0.7}, "misspelt key"),
    (TWO | {"ranks": [0, 1], "probability": 0.7}, "probability of a ranking"),
    (TWO | {"scores": [0, 0]}, "all responses tied"),
    (TWO | {"responses": ["a", "a "], "ranks": [0, 1]}, "same text, different rank"),
    (TWO | {"responses": ["a", ""], "ranks": [0, 1]}, "empty response"),
    (TWO | {"responses": ["a"], "ranks": [0]}, "fewer than two responses"),
    (TWO | {"responses": "ab", "ranks": [0, 1]}, "wrong type"),
    ({"chosen": [USER, GOOD], "rejected": [{"role": "user", "content": "Other"}, BAD]}, "conversations diverge early"),
    ({"chosen": [USER, GOOD, USER, GOOD], "rejected": [USER, GOOD]}, "conversations diverge early"),
    ({"prompt": "Other", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "prompt contradicts"),
    ({"chosen": [USER, USER], "rejected": [USER, BAD]}, "unknown role"),
    ({"messages": [USER], "rejected_response": "x"}, "missing answer"),
    ({"instruction": "i", "history": [["q"]], "chosen": "a", "rejected": "b"}, "wrong type"),
    ({"system": 3, "prompt": "p", "chosen": "a", "rejected": "b"}, "wrong type"),
    ({}, "missing keys"),
    ([1, 2], "wrong type"),
]


@pytest.mark.parametrize(("row", "kind"), PROBLEMS)
def test_every_problem_is_named(row, kind):
    with pytest.raises(RowError) as caught:
        parse_row(row, where="a.jsonl:9")
    assert kind in [problem.kind for problem in caught.value.problems]
    assert all(problem.where == "a.jsonl:9" and problem.advice and problem.found for problem in caught.value.problems)


def test_all_problems_of_a_row_are_reported():
    row = {"id": "r1", "prompt": "<image>", "images": ["a", "b"], "responses": ["a", ""], "scores": [1, math.nan], "weight": -1}
    with pytest.raises(RowError) as caught:
        parse_row(row, where="f:1")
    kinds = {problem.kind for problem in caught.value.problems}
    assert kinds == {"fewer image markers than images", "empty response", "score not a finite number", "weight not a number"}
    assert str(caught.value).count("f:1 (r1): expected ") == 4


@pytest.mark.parametrize(
    ("row", "advice"),
    [
        ({"prompt": "p", "choosen": "a", "rejected": "b"}, "rename `choosen` to `chosen`"),
        ({"promt": "p", "chosen": "a", "rejected": "b"}, "rename `promt` to `prompt`"),
        ({"chosen": "\n\nHuman: a", "rejected": "\n\nHuman: b"}, "recipe=hh_rlhf"),
        (PLAIN | {"wieght": 2}, "rename it to `weight`"),
    ],
)
def test_advice_names_the_near_match(row, advice):
    with pytest.raises(RowError, match=advice):
        parse_row(row, where="x")


def test_a_prompt_alone():
    messages, images = parse_prompt([{"role": "user", "content": "<image> Which?"}], ["a.png"])
    assert images == ("a.png",) and messages[0]["content"] == [IMAGE, {"type": "text", "text": " Which?"}]
    with pytest.raises(RowError, match="1 marker and 0 images"):
        parse_prompt("<image> Which?")


def test_two_spellings_in_one_row_are_refused():
    row = {"prompt": "q", "chosen": "a", "rejected": "b", "responses": ["c", "d"], "ranks": [0, 1]}
    with pytest.raises(RowError, match="`chosen`, `rejected` beside it"):
        parse_row(row, where="f:1")


def test_messages_say_what_the_row_says():
    tied = {"prompt": "q", "responses": ["a", "b"], "ranks": [1, 1]}
    with pytest.raises(RowError, match="all equal to 1"):
        parse_row(tied, where="f:1")
    pair = {"prompt": "q", "chosen": "a", "rejected": "b"}
    with pytest.raises(RowError, match=r"found \{\}"):
        parse_row(pair | {"images": {}}, where="f:1")
    with pytest.raises(RowError, match=r"found 'x\\x00.png'"):
        parse_row(pair | {"images": ["x\0.png"]}, where="f:1")
