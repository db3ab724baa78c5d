"""A picture is its content: copies under other names never stand on both sides of a validation split, prepared or not."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image
from prepared_rows import CUSTOM, prepare

from basereward.fingerprints import contents
from basereward.mixture import load_data

PICTURES = 12


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))


def copies(folder, name="a"):
    """Two files of one question: about each picture under one name, and about its copy under another; and a source node."""
    (folder / name).mkdir(parents=True)
    made = []
    for k in range(PICTURES):
        Image.new("RGB", (40, 40), (20 * k, 0, 0)).save(folder / name / f"{k}.png")
        shutil.copy(folder / name / f"{k}.png", folder / name / f"copy-{k * 7 % 5}-{k}.png")
        for file in (f"{k}.png", f"copy-{k * 7 % 5}-{k}.png"):
            made.append({"prompt": "What colour?", "images": [f"{name}/{file}"], "chosen": f"good {file}", "rejected": "bad"})
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return {"_target_": CUSTOM, "path": str(path)}


def colours(items):
    """What the pictures show, whatever they are called."""
    found = set()
    for item in items:
        with Image.open(item.images[0]) as image:
            found.add(image.getpixel((0, 0))[0])
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_split_is_the_same_wherever_pictures_lie_and_whatever_they_are_called(tmp_path, seed):
    node = copies(tmp_path)
    made = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number, row in enumerate(made):
            archive.write(tmp_path / row["images"][0], f"{number:04d}.png")
    moved = [row | {"images": [f"all.zip::{number:04d}.png"]} for number, row in enumerate(made)]
    (tmp_path / "moved.jsonl").write_text("".join(json.dumps(row) + "\n" for row in moved))
    here = load_data({"sources": {"a": node}, "val_fraction": 0.5}, seed=seed)
    there = load_data(
        {"sources": {"a": {"_target_": CUSTOM, "path": str(tmp_path / "moved.jsonl")}}, "val_fraction": 0.5}, seed=seed
    )
    assert {item.responses for item in here.val} == {item.responses for item in there.val}
    assert here.manifest["split"]["val_groups"] == there.manifest["split"]["val_groups"]


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_copies_stay_on_one_side(tmp_path, seed, prepared):
    cfg = {"sources": {"a": copies(tmp_path)}, "val_fraction": 0.5}
    if prepared:
        prepare(cfg)
    data = load_data(cfg, seed=seed)
    assert len(data.val) == len(data.train) == PICTURES
    assert not colours(data.train) & colours(data.val) and len(data.manifest["split"]["val_groups"]) == PICTURES / 2


def test_prepared_and_direct_split_alike_also_beside_each_other(tmp_path):
    nodes = {"a": copies(tmp_path), "b": copies(tmp_path, "b")}  # b holds the pictures of a again
    cfg = {"sources": nodes, "val_fraction": 0.5}
    direct = load_data(cfg, seed=1)
    assert not colours(direct.train) & colours(direct.val) and len(direct.val) == 2 * PICTURES
    prepare({"sources": {"a": nodes["a"]}})
    half = load_data(cfg, seed=1)
    prepare(cfg)
    whole = load_data(cfg, seed=1)
    assert direct.manifest["split"] == half.manifest["split"] == whole.manifest["split"]


def test_a_prepared_source_is_split_without_reading_a_picture(tmp_path, monkeypatch):
    cfg = {"sources": {"a": copies(tmp_path)}}
    prepare(cfg)
    monkeypatch.setattr("basereward.images.read_bytes", lambda *_: pytest.fail("a picture was read"))
    monkeypatch.setattr("basereward.fingerprints.pictures.read_bytes", lambda *_: pytest.fail("a picture was read"))
    monkeypatch.setattr("basereward.store.pictures.read_bytes", lambda *_: pytest.fail("a picture was read"))
    assert len(load_data(cfg, seed=0).val) == 2


def test_where_nothing_is_set_apart_no_picture_is_read_for_it(tmp_path, monkeypatch):
    cfg = {"sources": {"a": copies(tmp_path)}, "val_fraction": 0}
    monkeypatch.setattr(contents, "content_key", lambda *_: pytest.fail("a picture was read"))
    assert load_data(cfg, seed=0).manifest["split"]["val_groups"] == []


def test_each_file_is_read_once(tmp_path, monkeypatch):
    read, key = [], contents.content_key
    monkeypatch.setattr(contents, "content_key", lambda ref: read.append(ref) or key(ref))
    load_data({"sources": {"a": copies(tmp_path)}}, seed=0)
    assert sorted(read) == sorted(set(read)) and len(read) == 2 * PICTURES


def test_a_picture_in_a_file_in_an_archive_and_in_the_row_is_one(tmp_path):
    node = copies(tmp_path)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for k in range(PICTURES):
            archive.write(tmp_path / "a" / f"{k}.png", f"in/{k}.png")
    rows = [
        {"prompt": "What colour?", "images": [f"more.zip::in/{k}.png"], "chosen": "x", "rejected": "y"} for k in range(PICTURES)
    ]
    (tmp_path / "z.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    embedded = pytest.importorskip("datasets").Dataset.from_list(
        [
            {"prompt": "What colour?", "image": (tmp_path / "a" / f"{k}.png").read_bytes(), "chosen": "x", "rejected": "z"}
            for k in range(PICTURES)
        ]
    )
    embedded.to_parquet(str(tmp_path / "e.parquet"))
    sources = {"a": node} | {
        name: {"_target_": CUSTOM, "path": str(tmp_path / file)} for name, file in (("z", "z.jsonl"), ("e", "e.parquet"))
    }
    data = load_data({"sources": sources, "val_fraction": 0.5}, seed=0)
    groups = np.concatenate([data.train.groups(), data.val.groups()])
    assert len(groups) == 4 * PICTURES and len(np.unique(groups)) == PICTURES
    assert not np.intersect1d(data.train.groups(), data.val.groups()).size


def test_data_val_with_the_same_pictures_is_counted(tmp_path):
    cfg = {"sources": {"a": copies(tmp_path)}, "val": copies(tmp_path, "b")}
    assert load_data(cfg, seed=0).manifest["split"]["groups_also_in_train"] == PICTURES


def test_other_pictures_under_one_name_are_two(tmp_path):
    for name, colour in (("x", "red"), ("y", "blue")):
        (tmp_path / name).mkdir()
        Image.new("RGB", (30, 30), colour).save(tmp_path / name / "1.png")
    rows = [{"prompt": "q", "images": [f"{name}/1.png"], "chosen": f"c{i}", "rejected": "r"} for name in "xy" for i in range(3)]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load_data({"path": str(tmp_path / "f.jsonl"), "val_fraction": 0.5}, seed=0)
    assert len(data.val) == 3 and len({item.images for item in data.val}) == 1
