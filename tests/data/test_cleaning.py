"""Who goes, who stays, and why: every case written out; the counts in the accounts; the same answer for the same rows."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from drawn import jpeg, png, texture

from basereward.cleaning.clean import reasons_to_drop
from basereward.cleaning.language import LANGUAGES, language
from basereward.cleaning.settings import read_settings
from basereward.errors import ConfigError, DataError
from basereward.mixture import load_data
from basereward.records import Comparison, Pair, parse_row

CUSTOM = "basereward.data_recipes.custom.Custom"
LONG = "The picture shows a red car that stands in front of a white house with a garden and two tall trees beside the road. "

# The first sentence of the Universal Declaration of Human Rights, as the United Nations publish it.
RIGHTS = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir "
          "uns para com os outros em espírito de fraternidade.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en geweten.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De har utrustats med förnuft och samvete och bör handla "
          "gentemot varandra i en anda av gemenskap.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i "
          "powinni postępować wobec innych w duchu braterstwa. Nie jest to dla nich tylko prawo.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı "
          "kardeşlik zihniyeti ile hareket etmelidirler.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "id": "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "zh": "人人生而自由，在尊严和权利上一律平等。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
}  # fmt: skip


def pair(prompt="Which colour?", chosen="Red.", rejected="Blue.", source="a", **extra) -> Comparison:
    return parse_row({"prompt": prompt, "chosen": chosen, "rejected": rejected} | extra, where="f:1", source=source)


def reasons(items, **clean):
    return reasons_to_drop(items, read_settings(clean), ("a", "b"))


def test_duplicates_and_what_is_none():
    twice = {"prompt": "Which colour?", "responses": ["Blue.", "Red."], "ranks": [1, 0]}
    items = [
        pair(),
        pair(source="b"),
        parse_row(twice, where="f:2", source="a"),
        pair(prompt="Which shape?"),
        pair(rejected="Green."),
        pair(images=["a.png"]),
        pair(images=["b.png"]),
        pair(images=["a.png"]),
        pair(chosen="red."),
    ]
    expected = [None, "duplicate", "duplicate", None, None, None, None, "duplicate", None]
    assert reasons(items) == expected
    assert reasons(items, duplicates=False) == [None] * 9


def test_conflicting_labels():
    items = [pair(), pair(), pair(chosen="BLUE.", rejected=" red."), pair(chosen="Green.")]
    assert reasons(items) == ["conflicting labels"] * 3 + [None]
    assert reasons(items, conflicts="keep_first") == [None, "duplicate", "conflicting labels", None]
    assert reasons(items, conflicts=None) == [None, "duplicate", None, None]


def test_no_conflict_over_another_picture_system_turn_or_letter_case():
    def with_system(text, **kwargs):
        messages = [{"role": "system", "content": text}, {"role": "user", "content": "Which colour?"}]
        return parse_row({"messages": messages} | kwargs, where="f:1", source="a")

    items = [
        pair(images=["a.png"]),
        pair(images=["b.png"], chosen="Blue.", rejected="Red."),
        with_system("Lie.", responses=["Red.", "Blue."], ranks=[1, 0]),
        with_system("Be honest.", responses=["Red.", "Blue."], ranks=[0, 1]),
        pair(prompt="In capitals?", chosen="RED.", rejected="red."),
        pair(prompt="In small letters?", chosen="red.", rejected="RED."),
        pair(prompt="In capitals?", chosen="red.", rejected="RED."),
    ]
    assert reasons(items) == [None] * 7


def test_a_ranking_that_contradicts_a_pair():
    ranking = parse_row(
        {"prompt": "Which colour?", "responses": ["Green.", "Blue.", "Red."], "ranks": [0, 1, 2]}, where="f:2", source="b"
    )
    assert reasons([pair(), ranking, pair(chosen="Green.")]) == ["conflicting labels", "conflicting labels", None]


def test_near_duplicates_need_a_similar_prompt_and_the_same_numbers_and_pictures():
    items = [
        pair(chosen=LONG * 2, rejected=LONG[::-1]),
        pair(chosen=LONG * 2 + "Indeed.", rejected=LONG[::-1]),
        pair(prompt="Describe the weather on this day.", chosen=LONG * 2 + "Indeed.", rejected=LONG[::-1]),
        pair(chosen=LONG * 2 + "7 cars.", rejected=LONG[::-1]),
        pair(chosen=LONG * 2, rejected=LONG[::-1], images=["a.png"]),
        pair(chosen="**" + LONG * 2 + "**", rejected=LONG[::-1]),
    ]
    assert reasons(items, near_duplicates=0.8) == [None, "near duplicate", None, None, None, "near duplicate"]
    assert reasons(items, near_duplicates=1.0) == [None, None, None, None, None, "near duplicate"]
    assert reasons(items) == [None] * 6


def test_near_duplicates_among_many():
    """60 copies with one word in a hundred changed, among 340 rows of the same words in another order."""
    rng = random.Random(0)
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(500)]
    texts = [rng.choices(words, k=120) for _ in range(340)]
    for i in range(60):
        texts.append([word if rng.random() > 0.01 else "changed" for word in texts[5 * i]])
    items = [pair(chosen=" ".join(text), rejected="no") for text in texts]
    expected = [None] * 340 + ["near duplicate"] * 60
    assert reasons(items, near_duplicates=0.7, duplicates=False) == expected


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("reference", [None] * 4),
        ("content", [None, "duplicate", None, None]),
        ("looks", [None, "duplicate", "duplicate", None]),
    ],
)
def test_which_pictures_are_the_same(by, expected, tmp_path):
    rng = np.random.default_rng(0)
    image, other = texture(rng), texture(rng)
    for name, data in {"a.png": png(image), "copy.png": png(image), "a.jpg": jpeg(image), "b.png": png(other)}.items():
        (tmp_path / name).write_bytes(data)
    items = [pair(images=[str(tmp_path / name)]) for name in ("a.png", "copy.png", "a.jpg", "b.png")]
    assert reasons(items, pictures=by) == expected


def test_empty_and_identical_responses():
    def made(*responses):
        messages = ({"role": "user", "content": [{"type": "text", "text": "q"}]},)
        return Comparison(messages, (), responses, (Pair(0, 1),), id="x", source="a")

    assert reasons([made("Red.", " "), made("Red.", "Red.\n"), made("Red.", "red.")]) == [
        "empty response", "identical responses", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"prompt_chars": [14, None]}, "too few characters of the prompt"),
        ({"prompt_words": [None, 1]}, "too many words of the prompt"),
        ({"response_chars": [None, 4]}, "too many characters of a response"),
        ({"response_chars": [5, None]}, "too few characters of a response"),
        ({"response_words": [2, 9]}, "too few words of a response"),
        ({"prompt_chars": [13, 13], "prompt_words": [2, 2], "response_chars": [4, 5], "response_words": [1, 1]}, None),
    ],
)
def test_length_limits(limits, expected):
    assert reasons([pair()], **limits) == [expected]


def test_languages_of_one_sentence():
    assert set(RIGHTS) == set(LANGUAGES)
    assert {code: language(text) for code, text in RIGHTS.items()} == {code: code for code in RIGHTS}


def test_language_filter():
    items = [
        pair(),
        pair(prompt=RIGHTS["fr"], chosen=RIGHTS["en"]),
        pair(prompt=RIGHTS["en"], chosen=RIGHTS["zh"]),
        pair("x = 1", "7", "8"),
    ]
    assert reasons(items, languages=["en"]) == [None, "language: fr", "language: zh", None]
    assert reasons(items, languages=["en", "zh"]) == [None, "language: fr", None, None]


def scores(path, **rewards):
    rows = [
        {"id": name, "rewards": value, "pairs": []} if value else {"id": name, "error": "no"} for name, value in rewards.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_margins(tmp_path):
    file = scores(tmp_path / "s.jsonl", easy=[5.0, -1.0], hard=[0.0, 2.0], fair=[1.0, 0.5], failed=None)
    items = [pair(id=name) for name in ("easy", "hard", "fair", "failed", "new")] + [pair(id="easy", source="b")]
    limits = {"scores": {"a": file}, "min": -1, "max": 3}
    found = reasons(items, margin=limits, duplicates=False)
    assert found == ["margin too large", "margin too small", None, "no rewards for its id", "no rewards for its id", None]
    (tmp_path / "s.jsonl").write_text((tmp_path / "s.jsonl").read_text() * 2)
    assert reasons(items[:1], margin=limits | {"scores": file}) == ["two rewards for its id"]


def test_the_margin_of_a_ranking_is_the_mean_of_its_pairs(tmp_path):
    file = scores(tmp_path / "s.jsonl", r=[4.0, 2.0, 0.0])
    item = parse_row({"id": "r", "prompt": "q", "responses": ["x", "y", "z"], "ranks": [0, 1, 2]}, where="f:1", source="a")
    margin = (2 + 4 + 2) / 3
    assert reasons([item], margin={"scores": file, "min": margin - 0.01, "max": margin + 0.01}) == [None]
    assert reasons([item], margin={"scores": file, "max": margin - 0.01}) == ["margin too large"]


def test_rewards_of_other_rows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected 2 rewards, found 3"):
        reasons([pair(id="r")], margin={"scores": scores(tmp_path / "s.jsonl", r=[1.0, 2.0, 3.0]), "max": 1})
    (tmp_path / "s.jsonl").write_text('{"prompt": "q"}\n')
    with pytest.raises(DataError, match=r"s\.jsonl:1: expected a line of basereward score"):
        reasons([pair(id="r")], margin={"scores": str(tmp_path / "s.jsonl"), "max": 1})
    with pytest.raises(DataError, match=r"expected a file, found .*gone"):
        reasons([pair(id="r")], margin={"scores": str(tmp_path / "gone.jsonl"), "max": 1})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"duplicate": True}, r"data\.clean\.duplicate: no such key; did you mean 'duplicates'"),
        ({"duplicates": "yes"}, r"data\.clean\.duplicates: expected true or false"),
        ({"near_duplicates": 80}, r"data\.clean\.near_duplicates: expected a similarity.*found 80"),
        ({"near_duplicates": True}, r"near_duplicates"),
        ({"conflicts": "keep_frist"}, r"data\.clean\.conflicts: .*did you mean 'keep_first'"),
        ({"pictures": "content hash"}, r"data\.clean\.pictures: .*did you mean 'content'"),
        ({"languages": ["english"]}, r"data\.clean\.languages: .*found 'english'"),
        ({"languages": "en"}, r"data\.clean\.languages: expected a list"),
        ({"response_words": [10]}, r"data\.clean\.response_words: expected \[least, most\]"),
        ({"response_words": [10, 1]}, r"least below most"),
        ({"margin": {"max": 1}}, r"data\.clean\.margin: expected \{scores"),
        ({"margin": {"scores": "s", "maximum": 1}}, r"data\.clean\.margin\.maximum: no such key"),
        ({"margin": {"scores": "s"}}, r"min or max"),
        ({"margin": {"scores": "s", "min": 2, "max": 1}}, r"min below max"),
        ({"margin": {"scores": {"c": "s"}, "max": 1}}, r"data\.clean\.margin\.scores\.c: no such source"),
    ],
)
def test_settings_that_cannot_be_used(node, message):
    with pytest.raises(ConfigError, match=message):
        reasons([pair()], **node)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"_target_": CUSTOM, "path": str(path)}


def test_the_accounts_add_up(tmp_path):
    rows = [{"id": f"r{i}", "prompt": f"q{i}", "chosen": "good", "rejected": "bad"} for i in range(20)]
    one = write(tmp_path / "one.jsonl", [*rows, rows[0]])
    two = write(tmp_path / "two.jsonl", [*rows[:5], {"prompt": "q7", "chosen": "bad", "rejected": "good"}, *rows[:2]])
    clean = {"prompt_chars": [3, None]}
    bundle = load_data({"sources": {"one": one, "two": two}, "clean": clean, "val_fraction": 0.2}, seed=0)
    accounts = bundle.manifest["sources"]
    assert accounts["one"]["dropped"] == {"too few characters of the prompt": 11}
    assert accounts["two"]["dropped"] == {"too few characters of the prompt": 8}
    assert all(item["rows_read"] == item["used"] + sum(item["dropped"].values()) for item in accounts.values())
    kept = [item.id for item in sorted([*bundle.train, *bundle.val], key=lambda item: item.where)]
    assert sorted(kept) == [f"r{i}" for i in range(10, 20)]
    bundle = load_data({"sources": {"one": one, "two": two}, "clean": {}, "val_fraction": 0}, seed=0)
    accounts = bundle.manifest["sources"]
    assert accounts["one"]["dropped"] == {"conflicting labels": 1, "duplicate": 1} and accounts["one"]["used"] == 19
    assert accounts["two"]["dropped"] == {"conflicting labels": 1, "duplicate": 7} and accounts["two"]["used"] == 0
    assert [item.id for item in bundle.train] == [f"r{i}" for i in range(20) if i != 7]
    assert "dropped" in accounts["one"] and load_data({"sources": {"one": one}, "val_fraction": 0}, seed=0).train[20].id == "r0#2"


def test_nothing_left_is_an_error(tmp_path):
    source = write(tmp_path / "a.jsonl", [{"prompt": "q", "chosen": "x", "rejected": "y"}])
    with pytest.raises(DataError, match=r"data\.clean: expected comparisons to be left"):
        load_data({"sources": {"a": source}, "clean": {"prompt_chars": [2, None]}}, seed=0)


def test_a_mistyped_key_is_found_before_anything_is_read():
    with pytest.raises(ConfigError, match=r"data\.clean\.near"):
        load_data({"path": "nowhere.jsonl", "clean": {"near": 0.8}}, seed=0)
