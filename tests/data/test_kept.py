"""Facts that were kept give the verdicts of facts computed afresh; nothing is decoded twice; what changed is computed again."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest
from drawn import jpeg, png, texture

from basereward import data_prepare, image_checks, images
from basereward.errors import DataError
from basereward.fingerprints import pictures as fingerprints
from basereward.fingerprints import text
from basereward.kept import facts, kinds, tables
from basereward.kept.tables import Table, read_table, write_table
from basereward.mixture import load_data
from basereward.store import writing

CUSTOM = "basereward.data_recipes.custom.Custom"
CLEAN = {"near_duplicates": 0.8, "pictures": "looks", "languages": ["en"], "response_words": [None, 30]}
WORDS = [
    "red",
    "car",
    "white",
    "house",
    "garden",
    "tall",
    "tree",
    "beside",
    "long",
    "road",
    "dog",
    "door",
    "window",
    "sky",
    "river",
]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "SHARD_ROWS", 16)


@pytest.fixture
def config(tmp_path):
    """60 rows that repeat, contradict and resemble one another, with pictures of 6 files, and a benchmark that holds some."""
    rng = np.random.default_rng(0)
    textures = [texture(rng) for _ in range(4)]
    files = {f"{k}.png": png(image) for k, image in enumerate(textures)}
    files |= {"copy.png": files["0.png"], "like.jpg": jpeg(textures[0]), "held.png": files["2.png"]}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    rows = []
    for k in range(60):
        words = np.random.default_rng(k % 30).choice(WORDS, 18)
        answers = ["The picture shows the " + " ".join(words), f"There is no {words[0]} in the picture that I can see"]
        answers = answers[::-1] if k in (41, 50) else answers
        row = {"id": f"r{k}", "prompt": f"What is this, {k % 30}?", "chosen": answers[0], "rejected": answers[1]}
        row |= {"images": [list(files)[k % 30 // 5]]} if k % 3 else {}
        rows.append(row | ({"chosen": "Das ist ein Auto und nicht das Haus der Frau."} if k == 7 else {}))
    rows[45]["chosen"] += " and a lake"
    benchmark = [rows[3] | {"id": "b0"}, {"prompt": "q", "chosen": "a", "rejected": "b", "images": ["held.png"], "id": "b1"}]
    for name, items in {"mine": rows, "held_out": benchmark}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items))
    return {
        "path": str(tmp_path / "mine.jsonl"),
        "clean": CLEAN,
        "overlap_with": [str(tmp_path / "held_out.jsonl")],
        "overlap": "drop",
    }


@pytest.fixture
def decoded(monkeypatch):
    """The pictures that were decoded, to check them or to hash them."""
    seen = []
    for module, name in ((fingerprints, "load_image"), (image_checks, "check_image")):
        plain = getattr(module, name)
        monkeypatch.setattr(module, name, lambda ref, plain=plain: seen.append(ref) or plain(ref))
    return seen


@pytest.fixture
def worked_out(monkeypatch):
    """How many comparisons facts were computed of."""
    seen = []
    plain = facts._worked_out
    monkeypatch.setattr(facts, "_worked_out", lambda items, wanted: seen.append([k.name for k in wanted]) or plain(items, wanted))
    return seen


def prepare(config, *, with_facts=False):
    """As the command does, in this process."""
    asked_for = config if with_facts else {"path": config["path"]}
    data_prepare.run(data_prepare.DataPrepareSettings(data=dict(asked_for)))


def outcome(config):
    bundle = load_data(config, seed=0)
    return [item.id for item in bundle.train], bundle.manifest["sources"]["custom"]["dropped"], bundle.manifest["overlap"]


def facts_files(tmp_path):
    return sorted((tmp_path / "cache").rglob("facts-*/*.npz"))


@pytest.mark.parametrize("by", ["reference", "content", "looks"])
def test_the_verdicts_are_those_of_facts_computed_afresh(by, config, tmp_path):
    config["clean"] = CLEAN | {"pictures": by}
    fresh = outcome(config)
    prepare(config)
    assert outcome(config) == fresh and facts_files(tmp_path) and outcome(config) == fresh
    assert set(fresh[1]) >= {"conflicting labels", "duplicate", "near duplicate", "language: de", "stands in a benchmark"}


@pytest.mark.parametrize("by", ["reference", "content", "looks"])
def test_training_starts_at_once_after_prepare(by, config, decoded, worked_out, monkeypatch):
    config["clean"] = CLEAN | {"pictures": by}
    fresh = outcome(config)
    prepare(config, with_facts=True)
    decoded.clear(), worked_out.clear()
    opened = []
    plain = fingerprints.read_bytes
    monkeypatch.setattr(fingerprints, "read_bytes", lambda ref: opened.append(ref) or plain(ref))
    assert outcome(config) == fresh and decoded == [] and worked_out == [] and opened == []


def test_equal_pictures_are_decoded_once(config, tmp_path, monkeypatch):
    prepare(config)
    seen, plain = [], fingerprints.load_image
    monkeypatch.setattr(fingerprints, "load_image", lambda ref: seen.append(ref) or plain(ref))
    outcome(config | {"overlap": None})
    assert len(seen) == 5


@pytest.mark.parametrize("after", [1, 2, 5, 11, 13])
def test_an_interrupted_prepare_goes_on(after, config, tmp_path, monkeypatch, worked_out):
    prepare(config, with_facts=True)
    expected = {file: file.read_bytes() for file in facts_files(tmp_path)}
    for file in expected:
        file.unlink()
    written, plain = [], tables.write_bytes

    def interrupt(file, content):
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(file)
        plain(file, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tables, "write_bytes", interrupt)
        prepare(config, with_facts=True)
    monkeypatch.setattr(tables, "write_bytes", lambda file, content: written.append(file) or plain(file, content))
    prepare(config, with_facts=True)
    assert {file: file.read_bytes() for file in facts_files(tmp_path)} == expected
    assert len(written) == len(set(written)) == len(expected)


def test_another_mixture_of_the_rows_asks_for_nothing_new(config, decoded, worked_out):
    prepare(config)
    outcome(config)
    both = {name: value for name, value in config.items() if name != "path"}
    both |= {
        "sources": {"custom": {"_target_": CUSTOM, "path": config["path"], "keep_ties": False, "image_root": None, "cap": 9}}
    }
    both |= {"clean": {"pictures": "looks", "near_duplicates": 0.5, "response_words": [None, 25]}}
    worked_out.clear(), decoded.clear()
    assert load_data(both, seed=1).manifest["overlap"]["benchmarks"]["held_out"]["found"]
    assert not worked_out and not decoded


def test_a_file_that_is_cut_off_or_changed_is_computed_again(config, tmp_path, worked_out):
    fresh = outcome(config)
    prepare(config)
    outcome(config)
    rng = np.random.default_rng(1)
    for file in facts_files(tmp_path):
        whole = file.read_bytes()
        cut, flipped = whole[: rng.integers(len(whole))], bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 255
        for broken in (cut, bytes(flipped), b""):
            file.write_bytes(broken)
            assert outcome(config) == fresh, file
    worked_out.clear()
    assert outcome(config) == fresh and not worked_out


def test_facts_of_other_rows_are_not_taken(config, tmp_path):
    prepare(config)
    fresh = outcome(config)
    for folder in {file.parent for file in facts_files(tmp_path)}:
        files = sorted(folder.glob("*.npz"))
        files[0].write_bytes(files[-1].read_bytes())
    assert outcome(config) == fresh


def test_a_changed_picture_is_looked_at_again(config, tmp_path):
    prepare(config, with_facts=True)
    before = outcome(config)
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes())
    assert outcome(config) == before
    (tmp_path / "2.png").write_bytes(png(texture(np.random.default_rng(9))))
    with pytest.raises(DataError, match="1 picture changed"):
        outcome(config)
    prepare(config)
    assert outcome(config) == outcome(config | {"prepared": str(tmp_path / "nowhere")}) != before


def test_a_picture_that_is_replaced_while_it_is_looked_at_leaves_nothing(config, tmp_path, monkeypatch):
    """Its looks would be kept under the name of its former content."""
    prepare(config)
    content = (tmp_path / "2.png").read_bytes()
    with monkeypatch.context() as patch:
        other = png(texture(np.random.default_rng(9)))
        patch.setattr(
            "basereward.kept.pictures.read_bytes", lambda ref: other if str(ref).endswith("2.png") else images.read_bytes(ref)
        )
        outcome(config)
    assert (tmp_path / "2.png").read_bytes() == content
    assert outcome(config) == outcome(config | {"prepared": str(tmp_path / "nowhere")})


def test_changed_code_is_noticed(config, tmp_path, worked_out, monkeypatch):
    prepare(config)
    outcome(config)
    names = {file.parent.name for file in facts_files(tmp_path)}
    plain = kinds.Path.read_bytes
    changed = lambda path: plain(path) + (b"#" if str(path) == text.__file__ else b"")  # noqa: E731
    monkeypatch.setattr(kinds.Path, "read_bytes", changed)
    worked_out.clear()
    outcome(config)
    assert {name for row in worked_out for name in row} == {"statements", "claims", "signatures", "languages", "answers"}
    assert len({file.parent.name for file in facts_files(tmp_path)} - names) == 5


def test_a_folder_that_cannot_be_written(config, monkeypatch):
    fresh = outcome(config)
    prepare(config)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "read-only")

    monkeypatch.setattr("basereward.kept.tables.write_bytes", refuse)
    said = []
    monkeypatch.setattr(facts.log, "warning", lambda text, *values: said.append(text % values))
    assert outcome(config) == fresh
    assert said == ["custom: what was worked out of its rows cannot be kept and will be worked out again: [Errno 13] read-only"]
    with pytest.raises(DataError, match="read-only"):
        prepare(config, with_facts=True)


def test_a_table_and_its_file(tmp_path):
    counts = np.array([2, 0, 3, 1])
    table = Table(counts, {"a": np.arange(8).reshape(4, 2)}, {"b": np.array([1, 2, 3, 4, 5, 6], dtype="S4")})
    taken = table.take(np.array([0, 1, 3]))
    assert taken.counts.tolist() == [2, 0, 1] and taken.rows["a"].tolist() == [[0, 1], [2, 3], [6, 7]]
    assert taken.entries["b"].tolist() == [b"1", b"2", b"6"] and table.owners.tolist() == [0, 0, 2, 2, 2, 3]
    none = table.take(np.array([], dtype=int))
    for joined in (Table.joined([none, table, taken, none]), Table.joined([table, taken])):
        assert joined.counts.tolist() == [2, 0, 3, 1, 2, 0, 1] and joined.rows["a"][4:].tolist() == taken.rows["a"].tolist()
        assert joined.entries["b"].tolist() == [b"1", b"2", b"3", b"4", b"5", b"6", b"1", b"2", b"6"]
    assert Table.joined([none, none]).rows["a"].shape == (0, 2) and Table.joined([none, taken]) is taken
    write_table(tmp_path / "t" / "x.npz", table, "of this")
    again = read_table(tmp_path / "t" / "x.npz", "of this")
    assert again.rows["a"].tolist() == table.rows["a"].tolist() and again.entries["b"].dtype == "S4"
    assert read_table(tmp_path / "t" / "x.npz", "of that") is None and read_table(tmp_path / "t" / "y.npz", "of this") is None
