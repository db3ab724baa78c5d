"""The embedded demo: drawn from seeds, pictures of one split only, no answer without the picture, a loadable tiny backbone."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from basereward.accounts import read
from basereward.config import build
from basereward.demo import DEMO_KINDS, IMAGE_KINDS, LONG_KINDS, build_tiny_backbone, make_comparisons, make_rows
from basereward.demo.backbone import SPECIAL_TOKENS, build_tokenizer
from basereward.demo.pictures import COLOURS, NUMBERS
from basereward.errors import ConfigError
from basereward.records import Comparison

ALL_IMAGE_KINDS = [name for name in LONG_KINDS if name != "text"]


def pixels(comparison: Comparison) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(png))) for png in comparison.images]


def question(comparison: Comparison) -> str:
    return comparison.messages[-1]["content"][-1]["text"]


def last_words(comparison: Comparison) -> list[str]:
    """The words that the responses end with, best first."""
    order = sorted(range(len(comparison.responses)), key=lambda index: comparison.ranks[index])
    return [comparison.responses[index].rstrip(".").split()[-1] for index in order]


def surprise(votes: Iterable[tuple[Hashable, float]]) -> float:
    """How far cells of votes in [-1, 1] are from fair, in standard deviations of chi-square.

    For a fair cell with n votes, (sum of votes)^2 / n has mean and half variance of at most 1.
    Returned: (sum over the cells - cells) / sqrt(2 cells).
    """
    sums: Counter = Counter()
    sizes: Counter = Counter()
    for cell, vote in votes:
        sums[cell] += vote
        sizes[cell] += 1
    total = sum(sums[cell] ** 2 / size for cell, size in sizes.items())
    return (total - len(sizes)) / (2 * len(sizes)) ** 0.5


def pair_votes(comparisons: Iterable[Comparison]) -> Iterator[tuple[Hashable, float]]:
    """For each question and two of its answers: is the one that comes first in the alphabet better?"""
    for comparison in comparisons:
        for pair in comparison.pairs:
            better, worse = comparison.responses[pair.better], comparison.responses[pair.worse]
            yield (question(comparison), frozenset((better, worse))), 1 if better < worse else -1


def pairs_of(comparison: Comparison) -> list[tuple[int, int]]:
    return [(pair.better, pair.worse) for pair in comparison.pairs]


def answer_votes(comparisons: Iterable[Comparison]) -> Iterator[tuple[Hashable, float]]:
    """For each answer: pairs in which it is better less those in which it is worse, over all pairs of its comparison."""
    for comparison in comparisons:
        for index, response in enumerate(comparison.responses):
            wins, losses = (sum(side == index for side in sides) for sides in zip(*pairs_of(comparison), strict=True))
            yield response, (wins - losses) / len(comparison.pairs)


@pytest.fixture(scope="module")
def by_kind() -> dict[str, list[Comparison]]:
    return {kind: make_comparisons("train", 2500, kinds={kind: 1}) for kind in ALL_IMAGE_KINDS}


def test_same_seed_same_bytes_other_seed_other_rows():
    first, again, other = (list(make_rows("train", 60, seed)) for seed in (3, 3, 4))
    assert first == again
    assert not {row["id"] for row in first} & {row["id"] for row in other}
    assert [row["responses"] for row in first] != [row["responses"] for row in other]


def test_no_picture_is_in_two_splits():
    def hashes(split):
        rows = itertools.chain.from_iterable(make_rows(split, 700, seed, kinds=LONG_KINDS) for seed in (0, 1))
        return {hashlib.sha256(np.asarray(Image.open(io.BytesIO(p))).tobytes()).digest() for r in rows for p in r["images"]}

    train, val, test = hashes("train"), hashes("val"), hashes("test")
    assert min(len(train), len(val), len(test)) > 1500
    assert not train & val and not train & test and not val & test


def test_kinds_get_exactly_their_shares():
    counts = Counter(row["category"] for row in make_rows("test", 1000, kinds=IMAGE_KINDS))
    assert counts == dict.fromkeys(IMAGE_KINDS, 200)
    assert Counter(row["category"] for row in make_rows("train", 113))["text"] == 5  # 0.25 of 5.65 shares


@pytest.mark.parametrize("kind", ALL_IMAGE_KINDS)
def test_text_does_not_tell_the_better_answer(by_kind, kind):
    comparisons = by_kind[kind]
    assert surprise(pair_votes(comparisons)) < 5
    assert surprise(answer_votes(comparisons)) < 5
    pairs = [(c, pair) for c in comparisons for pair in c.pairs]
    sd = 0.5 / len(comparisons) ** 0.5  # pairs of one comparison are not independent
    assert abs(np.mean([pair.better < pair.worse for _, pair in pairs]) - 0.5) < 4 * sd
    longer = [len(c.responses[p.better]) - len(c.responses[p.worse]) for c, p in pairs]
    unequal = [difference > 0 for difference in longer if difference]
    if unequal:
        assert abs(np.mean(unequal) - 0.5) < 4 * 0.5 / (len(unequal) / 5) ** 0.5


def test_the_balance_check_notices_a_answer_that_is_right_too_rarely(by_kind):
    biased = [c for i, c in enumerate(by_kind["colour"]) if last_words(c)[0] != "red" or i % 2]
    assert surprise(answer_votes(biased)) > 5


def colour_of(image: np.ndarray) -> str:
    """The colour nearest to most of what is not paper."""
    ink = image[np.abs(image.astype(int) - image[0, 0]).sum(-1) > 150]
    return min(COLOURS, key=lambda name: np.abs(np.median(ink, 0) - COLOURS[name]).sum())


def test_the_better_colour_is_in_the_picture(by_kind):
    for comparison in by_kind["colour"][:100]:
        assert colour_of(pixels(comparison)[0]) == last_words(comparison)[0]
    for comparison in by_kind["of_two"][:100]:
        asked = "second" in question(comparison)
        assert colour_of(pixels(comparison)[asked]) == last_words(comparison)[0]
        assert colour_of(pixels(comparison)[not asked]) == last_words(comparison)[1]


def test_the_better_colours_are_those_of_both_pictures(by_kind):
    for comparison in by_kind["two_pictures"][:100]:
        shown = {colour_of(image) for image in pixels(comparison)}
        right = [rank for rank, text in zip(comparison.ranks, comparison.responses, strict=True) if all(c in text for c in shown)]
        assert right == [0]


def test_the_better_number_is_in_the_picture(by_kind):
    for comparison in by_kind["count"][:100]:
        assert count_islands(pixels(comparison)[0]) == 1 + NUMBERS.index(last_words(comparison)[0])


def test_the_better_picture_has_more_dots(by_kind):
    for comparison in by_kind["more_dots"][:100]:
        first, second = map(count_islands, pixels(comparison))
        assert first != second
        better = comparison.responses[comparison.ranks.index(0)]
        assert ("first" if first > second else "second") in better


def count_islands(image: np.ndarray) -> int:
    """Connected sets of pixels (4 neighbours) that differ from the corner's colour, by flooding."""
    ink = np.abs(image.astype(int) - image[0, 0]).sum(-1) > 60
    left = {(int(y), int(x)) for y, x in np.argwhere(ink)}
    islands = 0
    while left:
        islands += 1
        border = [left.pop()]
        while border:
            y, x = border.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            border += near
    return islands


def test_rankings_have_all_their_pairs(by_kind):
    sizes = {
        kind: Counter((len(c.responses), len(c.pairs)) for c in by_kind[kind]) for kind in ("ranking", "two_pictures", "count")
    }
    assert set(sizes["ranking"]) == {(3, 3), (4, 5)}
    assert set(sizes["count"]) == {(2, 1), (3, 2), (4, 3)}
    assert all(number > 700 for counts in sizes.values() for number in counts.values())


def test_text_rows_have_no_picture():
    assert all(not c.images and len(c.responses) == 2 for c in make_comparisons("train", 50, kinds={"text": 1}))


def test_recipe_is_built_from_config_and_accounts_for_its_rows():
    node = {"_target_": "basereward.demo.DemoRecipe", "split": "val", "n": 40, "seed": 5}
    data = read(build(node, "sources.demo", source="demo"))
    expected = make_comparisons("val", 40, 5)
    assert [c.responses for c in data.comparisons] == [c.responses for c in expected]
    assert (data.manifest["rows_read"], data.manifest["used"]) == (40, 40)
    assert {c.category for c in data.comparisons} == set(DEMO_KINDS)


@pytest.mark.parametrize(
    ("split", "kinds", "message"),
    [
        ("trian", None, "did you mean 'train'"),
        ("train", {"color": 1}, "did you mean 'colour'"),
        ("train", {"text": 0}, "share above 0"),
    ],
)
def test_mistakes_are_refused_with_advice(split, kinds, message):
    with pytest.raises(ConfigError, match=message):
        make_comparisons(split, 1, kinds=kinds)


def test_backbone_is_a_small_member_of_the_family(tiny_folder: Path, tmp_path: Path):
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(tiny_folder), AutoTokenizer.from_pretrained(tiny_folder)
    assert model.config.model_type == "qwen2_5_vl"
    assert sum(p.numel() for p in model.parameters()) < 5_000_000
    assert model.config.image_token_id == tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")
    assert all(len(tokenizer(token)["input_ids"]) == 1 for token in SPECIAL_TOKENS)
    again = AutoModel.from_pretrained(build_tiny_backbone(tmp_path / "again"))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_tokenizer_gives_back_any_text_and_is_always_the_same():
    tokenizer = build_tokenizer()
    text = "How many dots? 12 Käfer, 猫 & \n\ttabs."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.get_vocab() == build_tokenizer().get_vocab()
    assert len(tokenizer(" purple circle")["input_ids"]) == 2


def test_chat_template_speaks_the_familys_format():
    tokenizer = build_tokenizer()
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    asked = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?<|im_end|>\n"
    assert tokenizer.apply_chat_template([user], tokenize=False) == system + asked
    answer = {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}
    given = [{"role": "system", "content": "Be brief."}, user, answer]
    expected = f"<|im_start|>system\nBe brief.<|im_end|>\n{asked}<|im_start|>assistant\nA cat.<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=True) == expected


def test_pictures_keep_their_size(tiny_folder: Path):
    import json

    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    limits = json.loads((tiny_folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    height, width = pixels(make_comparisons("test", 1, kinds={"colour": 1})[0])[0].shape[:2]
    assert smart_resize(height, width, 28, limits["min_pixels"], limits["max_pixels"]) == (height, width)
