"""Keys, signatures and hashes against what they stand for, computed the long way."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from drawn import jpeg, png, texture
from PIL import Image, ImageDraw

from basereward.fingerprints import minhash, pictures, text
from basereward.fingerprints.buckets import bucket_pairs, first_of_group

WORDS = [f"word{i}" for i in range(3000)]


def shingles(value: bytes) -> set[bytes]:
    return {value[i : i + minhash.SHINGLE] for i in range(len(value) - minhash.SHINGLE + 1)}


def jaccard(one: bytes, other: bytes) -> float:
    return len(shingles(one) & shingles(other)) / len(shingles(one) | shingles(other))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("It's  RED.", "it's red.", True),
        ("Ｆｕｌｌ width", "full WIDTH", True),
        ("cafe\u0301", "CAFÉ", True),
        ("-2", "2", False),
        ("a[i]", "a(i)", False),
        ("", " \n", True),
        ("**Bold** “words” " + "and many more of them " * 3, 'bold "words"\n' + "and many more of them " * 3, True),
        ("the slope is -2, " + "and so on and so forth " * 3, "the slope is 3, " + "and so on and so forth " * 3, False),
        ("这是一个很长的回答" * 10, "这是一个很长的回答 " * 10, True),
    ],
)
def test_text_keys(one, other, same):
    assert (text.text_key(one) == text.text_key(other)) is same


def test_boilerplate_is_short_and_a_sentence_more_is_long():
    assert not text.is_long("I'm sorry, but I can't assist with that request.")
    assert text.is_long("I'm sorry, but I can't assist with that request. The picture shows two people in a garden.")


def test_half_a_surrogate_pair_has_a_key():
    assert text.text_key("\ud800") != text.text_key("\ud801") and isinstance(text.spaced("\ud800 a"), bytes)


def test_prompt_text_with_and_without_the_system_turn():
    turns = [{"role": role, "content": [{"type": "text", "text": said}]} for role, said in (("system", "s"), ("user", "u"))]
    assert text.prompt_text(turns) == "s\nu" and text.prompt_text(turns, with_system=False) == "u"


def test_numbers_tell_exercises_apart():
    assert text.numbers_key(["What is 3 + 4?"]) != text.numbers_key(["What is 3 + 5?"])
    assert text.numbers_key(["1,000 cars"]) == text.numbers_key(["cars: 1,000"]) != text.numbers_key(["1 car, 000"])


@pytest.mark.parametrize("kept", [0.95, 0.8, 0.5, 0.2])
def test_similarity_is_the_jaccard_of_the_shingles(kept):
    """Within 4 standard errors of the exact value, on 20 texts; their mean within 4 of its own."""
    rng, errors = random.Random(0), []
    for _ in range(20):
        one = rng.choices(WORDS, k=200)
        other = [word if rng.random() < kept else rng.choice(WORDS) for word in one]
        texts = [" ".join(words).encode() for words in (one, other)]
        exact = jaccard(*texts)
        found = minhash.similarity(*(minhash.signature([value]) for value in texts))
        errors.append((found - exact) / math.sqrt(exact * (1 - exact) / minhash.NUM_HASHES))
    assert max(map(abs, errors)) < 4 and abs(np.mean(errors)) < 4 / math.sqrt(20)


def test_a_signature_of_two_texts_is_that_of_their_union():
    one, other = b"the first of two answers", b"and here is the second of them"
    both = minhash.signature([one, other])
    assert (both == minhash.signature([other, one])).all() and (both == minhash.signature([one, other, one])).all()
    assert minhash.similarity(both, minhash.signature([one])) == pytest.approx(
        len(shingles(one)) / len(shingles(one) | shingles(other)), abs=0.15
    )


def test_short_texts_have_signatures():
    yes, no = minhash.signature([b"yes"]), minhash.signature([b"no"])
    assert minhash.similarity(yes, minhash.signature([b"yes"])) == 1 and minhash.similarity(yes, no) < 0.1
    assert minhash.signature([b""]).shape == (minhash.NUM_HASHES,)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_bands_find_what_they_promise(threshold):
    bands, rows = minhash.bands_for(threshold)
    rng = np.random.default_rng(0)
    base = rng.integers(0, 1 << 16, (2000, minhash.NUM_HASHES), dtype=np.uint16)
    changed = np.where(rng.random(base.shape) < threshold, base, rng.integers(0, 1 << 16, base.shape, dtype=np.uint16))
    pairs = minhash.near_pairs(np.concatenate([base, changed]), threshold)
    found = {(one, other) for one, other in pairs.tolist() if other == one + 2000}
    assert bands * rows <= minhash.NUM_HASHES and len(found) >= 0.98 * 2000 and len(pairs) - len(found) < 20


def test_bucket_pairs_meet_the_first_and_the_one_before():
    pairs = bucket_pairs([np.array([7, 5, 7, 7, 7]), np.array([1, 2, 3, 4, 2])])
    assert pairs.tolist() == [[0, 2], [0, 3], [2, 3], [0, 4], [1, 4], [3, 4]]
    assert bucket_pairs([np.array([], dtype=int)]).shape == bucket_pairs([]).shape == (0, 2)


def test_groups_take_the_smallest_index():
    assert first_of_group(6, np.array([[4, 5], [1, 4], [2, 3]])).tolist() == [0, 1, 2, 2, 1, 1]


def test_a_picture_hash_is_the_signs_of_its_low_frequencies():
    image = texture(np.random.default_rng(3))
    grey = np.asarray(image.convert("L").resize((64, 64), Image.Resampling.LANCZOS), dtype=float)

    def wave(k: int, n: int) -> float:
        return math.cos(math.pi * k * (2 * n + 1) / 128)

    table = [[wave(k, n) for n in range(64)] for k in range(16)]
    sums = [
        sum(table[u][y] * table[v][x] * grey[y, x] for y in range(64) for x in range(64)) for u in range(16) for v in range(16)
    ]
    found = pictures.picture_hash(image).view(np.uint8)
    assert np.unpackbits(found[:32]).tolist() == [int(value > np.median(sums)) for value in sums]


def test_the_colours_of_a_picture_hash():
    """A field of one colour each: its Cb and Cr by the formula of JFIF."""
    rng = np.random.default_rng(0)
    fields = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    found = pictures.picture_hash(Image.fromarray(fields.repeat(20, axis=0).repeat(30, axis=1))).view(np.uint8)[32:64]
    red, green, blue = fields.reshape(16, 3).T.astype(float)
    cb = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    cr = 128 + 0.5 * red - 0.418688 * green - 0.081312 * blue
    assert np.abs(found - np.concatenate([cb, cr])).max() <= 1


def test_a_squeezed_picture_is_another_one():
    image = texture(np.random.default_rng(0)).resize((400, 300))

    def hashed(width, height):
        return pictures.picture_hash(image.resize((width, height)))[None]

    assert (
        pictures.is_same(hashed(400, 300), hashed(201, 150)).all()
        and not pictures.is_same(hashed(400, 300), hashed(300, 300)).any()
    )
    assert pictures.differences(hashed(400, 300), hashed(300, 300))[2] == pytest.approx(1 / 3, abs=1e-3)


def test_drawings_that_differ_in_colour_alone_are_different():
    def disc(colour):
        image = Image.new("RGB", (100, 80), "white")
        ImageDraw.Draw(image).ellipse((20, 10, 70, 60), fill=colour)
        return pictures.picture_hash(image)[None]

    assert (
        pictures.is_same(disc("#c00000"), disc("#c00000")).all() and not pictures.is_same(disc("#c00000"), disc("#0066c0")).any()
    )
    assert pictures.differences(disc("#c00000"), disc("#0066c0"))[0] <= pictures.MAX_DISTANCE


def test_blank_pictures_have_no_hash():
    assert pictures.picture_hash(Image.new("RGB", (90, 60), "teal")) is None
    assert pictures.picture_hash(Image.linear_gradient("L")) is not None


def test_same_pictures_by_counting_bits():
    rng = np.random.default_rng(1)
    some = rng.integers(0, 1 << 63, (30, 9), dtype=np.uint64)
    some[:, 8] = 40_000
    others = some[rng.permutation(30)].copy()
    for row, flips in enumerate(rng.integers(0, 33, 30)):
        for bit in rng.choice(256, flips, replace=False).tolist():
            others[row, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)

    others.view(np.uint8).reshape(30, 72)[:, 40] += rng.integers(0, 2 * pictures.MAX_COLOUR, 30, dtype=np.uint8)

    others[:, 8] += rng.integers(0, 2, 30, dtype=np.uint64) * 30

    def distance(one, other):
        return sum((int(a) ^ int(b)).bit_count() for a, b in zip(one[:4], other[:4]))

    def levels(one, other):
        return max(abs(int(a) - int(b)) for a, b in zip(one.tobytes()[32:64], other.tobytes()[32:64]))

    def is_same(one, other):
        return distance(one, other) <= pictures.MAX_DISTANCE and levels(one, other) <= pictures.MAX_COLOUR and one[8] == other[8]

    expected = [[j for j in range(30) if is_same(row, others[j])] for row in some]
    assert [found.tolist() for found in pictures.same_pictures(some, others)] == expected and 2 < sum(map(len, expected)) < 12
    both, known = np.concatenate([some, others]), np.ones(60, dtype=bool)
    first = pictures.first_of_same(both, known)
    assert all(first[30 + j] == i for i, row in enumerate(expected) for j in row) and (first[:30] == np.arange(30)).all()
    known[:30] = False
    assert (pictures.first_of_same(both, known) == np.arange(60)).all()


def test_hashes_of_a_path_of_bytes_and_of_what_is_not_there(tmp_path):
    image = texture(np.random.default_rng(5))
    (tmp_path / "a.png").write_bytes(png(image))
    refs = [str(tmp_path / "a.png"), jpeg(image), str(tmp_path / "gone.png")]
    hashes, known = pictures.picture_hashes(refs, workers=2)
    assert known.tolist() == [True, True, False] and not hashes[2].any()
    assert pictures.same_pictures(hashes[:1], hashes[1:2])[0].tolist() == [0]


def test_names_of_pictures(tmp_path):
    for name in ("a.png", "copy.png"):
        (tmp_path / name).write_bytes(b"not even a picture")
    here, copy, gone, empty = str(tmp_path / "a.png"), str(tmp_path / "copy.png"), str(tmp_path / "gone"), ""
    contents = [pictures.content_key(ref) for ref in (here, copy, b"not even a picture", gone, empty)]
    references = [pictures.reference_name(ref) for ref in (here, copy, b"not even a picture", gone, empty)]
    assert contents[0] == contents[1] == contents[2] == references[2] and contents[3:] == references[3:]
    assert len(set(references)) == 5 and {len(name) for name in contents + references} == {32}


def test_copies_are_found_and_others_are_not():
    """60 textures here; bench/overlap.py measures crops of photos too, over a thousand of them."""
    rng = np.random.default_rng(0)
    originals = [texture(rng) for _ in range(60)]
    hashes, known = pictures.picture_hashes([*map(png, originals), *map(jpeg, originals)])
    found = [row.tolist() for row in pictures.same_pictures(hashes[:60], hashes[60:])]
    assert (
        known.all() and sum(i in row for i, row in enumerate(found)) >= 57 and all(set(row) <= {i} for i, row in enumerate(found))
    )
