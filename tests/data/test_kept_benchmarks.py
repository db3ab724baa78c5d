"""Benchmarks that were read once: found again while nothing changed, read again when anything did; on drawn and on real rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from drawn import jpeg, png, texture

from basereward import data_prepare
from basereward.config import build
from basereward.fingerprints import pictures as fingerprints
from basereward.mixture import load_data
from basereward.named_recipes import recipe_node
from basereward.overlap import listed
from basereward.overlap.keeping import place_of_recipe

CUSTOM = "basereward.data_recipes.custom.Custom"
DEMO = {"_target_": "basereward.demo.DemoRecipe", "n": 300, "seed": 0}
DEMO_BENCHMARK = {"_target_": "basereward.benchmarks.demo.DemoBenchmark", "num_comparisons": 60}
SOCCER = "The picture shows a group of children who play soccer on a field, while several parents watch them from the side."


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read(monkeypatch):
    """Names of the benchmarks whose keys were worked out."""
    seen, plain = [], listed.Known.of
    monkeypatch.setattr(listed.Known, "of", lambda name, *given, **more: seen.append(name) or plain(name, *given, **more))
    return seen


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def config(tmp_path):
    """Five rows; two of the benchmark's three items are among them, one by its picture; another item's picture is not there."""
    rng = np.random.default_rng(0)
    first, second = texture(rng), texture(rng)
    for name, content in {"a.jpg": jpeg(first), "b.jpg": jpeg(second), "held.png": png(first)}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "later.png.aside").write_bytes(png(second))
    rows = [{"prompt": f"q{k}", "chosen": f"good {k}", "rejected": "bad"} for k in range(3)]
    rows += [{"prompt": "p", "chosen": "a", "rejected": "b", "images": [name]} for name in ("a.jpg", "b.jpg")]
    rows += [{"prompt": "What?", "chosen": SOCCER, "rejected": "Nothing."}]
    held = [
        {"prompt": "x", "chosen": "c", "rejected": "d", "images": ["held.png"]},
        {"prompt": "y", "chosen": "e", "rejected": "f", "images": ["later.png"]},
        {"prompt": "z", "chosen": SOCCER, "rejected": "g"},
    ]
    benchmark = write(tmp_path / "held_out.jsonl", held)
    return {"sources": {"mine": {"_target_": CUSTOM, "path": write(tmp_path / "mine.jsonl", rows)}}, "overlap_with": [benchmark]}


def found(config):
    return load_data(config, seed=0).manifest["overlap"]


def prepare(config):
    data_prepare.run(data_prepare.DataPrepareSettings(data=config, workers=1))


def change(folder, what):
    if what == "row":
        (folder / "held_out.jsonl").write_text((folder / "held_out.jsonl").read_text().replace("children", "dogs"))
    elif what == "picture":
        (folder / "held.png").write_bytes((folder / "later.png.aside").read_bytes())
    elif what == "gone":
        (folder / "held.png").unlink()
    elif what == "appears":
        (folder / "later.png.aside").rename(folder / "later.png")


@pytest.mark.parametrize("what", ["row", "picture", "gone", "appears", None])
def test_a_benchmark_is_read_again_when_anything_changed(what, config, tmp_path, read):
    before = found(config)
    prepare(config)
    assert read == ["held_out", "held_out"]
    assert found(config) == before and read == ["held_out", "held_out"]
    change(tmp_path, what)
    after = found(config)
    assert len(read) == 2 + (what is not None) and (after == before) == (what is None)
    assert after == found(config | {"prepared": str(tmp_path / "nowhere")})


def test_with_and_without_pictures_are_two(config, read):
    prepare(config)
    texts = found(config | {"overlap_pictures": False})["benchmarks"]["held_out"]
    assert (texts["items"], texts["texts_alone"]) == ([2], 0) and len(read) == 2
    assert found(config)["benchmarks"]["held_out"]["items"] == [0, 2] and len(read) == 2


def test_nothing_is_written_where_nothing_was_prepared(config, tmp_path):
    found(config)
    assert not (tmp_path / "cache").exists()


def test_a_dataset_of_the_hub_is_kept_when_its_revision_is_pinned(tmp_path):
    node = recipe_node("judgebench", "k")
    for revision, is_kept in ((None, False), ("0" * 40, True)):
        pinned = node | {"card": node["card"] | {"revision": revision}}
        assert (place_of_recipe(build(pinned, "k"), pinned, True, tmp_path) is not None) == is_kept
        other = pinned | {"path": "somebody/other"}
        assert place_of_recipe(build(other, "k"), other, True, tmp_path) is None


@pytest.mark.parametrize("by", ["content", "looks"])
def test_the_demo_is_judged_alike_with_kept_facts(by, monkeypatch, read):
    config = {"sources": {"demo": DEMO}, "overlap_with": [DEMO_BENCHMARK], "overlap": "drop"}
    config |= {"clean": {"pictures": by, "near_duplicates": 0.7, "languages": ["en"]}}
    fresh = load_data(config, seed=0)
    prepare(config)
    decoded, plain = [], fingerprints.load_image
    monkeypatch.setattr(fingerprints, "load_image", lambda ref: decoded.append(ref) or plain(ref))
    again = load_data(config, seed=0)
    assert [item.id for item in again.train] == [item.id for item in fresh.train] and not decoded and len(read) == 2
    for key in ("sources", "overlap", "split"):
        assert again.manifest[key] == fresh.manifest[key], key


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
def test_real_rows_are_judged_alike_with_kept_facts(read):
    """Those of hh-rlhf, and of VL-RewardBench, which stand in the benchmark."""
    root = Path(os.environ["BASEREWARD_REAL_DATA"])
    rewardbench = {"recipe": "vl_rewardbench", "path": str(root / "vl_rewardbench" / "data.json")}
    hh = {"_target_": "basereward.data_recipes.hh_rlhf.HHRLHF", "path": str(root / "hh_rlhf" / "harmless-base_test.jsonl.gz")}
    vl = {key: value for key, value in listed.node_of(rewardbench, "k").items() if key != "source"} | {"text_only": True}
    config = {"sources": {"hh": hh, "vl": vl}, "overlap_with": [rewardbench], "overlap": "report"}
    config |= {"clean": {"near_duplicates": 0.7, "languages": ["en"], "response_words": [None, 300]}}
    fresh = load_data(config, seed=0)
    prepare(config)
    again = load_data(config, seed=0)
    assert [item.id for item in again.train] == [item.id for item in fresh.train] and len(read) == 2
    assert again.manifest["overlap"] == fresh.manifest["overlap"]
    assert [account["dropped"] for account in again.manifest["sources"].values()] == [
        account["dropped"] for account in fresh.manifest["sources"].values()
    ]
    assert fresh.manifest["overlap"]["benchmarks"]["vl_rewardbench"]["found"] > 1000
