"""Prepared sources: what is read back is what was written, kills leave no trace, and training from them is the same training."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image
from prepared_rows import CUSTOM, config, files, folder_for, picture, prepare, rows, write

from basereward.batches import EncodedDataset
from basereward.cli import main
from basereward.comparisons import Listed
from basereward.encode import Encoder
from basereward.errors import DataError
from basereward.images import load_image
from basereward.lengths import lengths_folder, stored_lengths
from basereward.mixture import load_data
from basereward.records import Comparison, Pair, parse_row
from basereward.sources import make_sources
from basereward.store import writing
from basereward.store.identity import folder_of
from basereward.store.stored import MANIFEST, Stored
from basereward.store.writing import write_store


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "SHARD_ROWS", 16)


class Stream(list):
    manifest = {"rows_read": 0, "used": 0, "dropped": {}}


def stored(items, folder):
    write_store(Stream(items), {"source": "s"}, folder, lambda count: None)
    return Stored(folder, "s")


def test_what_is_read_is_what_was_written(tmp_path):
    items = [parse_row(row, where=f"f:{i}", image_root=tmp_path, source="s") for i, row in enumerate(rows(tmp_path))]
    again = stored(items, tmp_path / "s")
    assert len(again) == 60 and len(again.sizes) == 4 and list(again) == items
    direct = Listed(items)
    for name in ("groups", "num_pairs", "num_images"):
        assert np.array_equal(getattr(again, name)(), getattr(direct, name)()), name
    assert again.ids() == direct.ids()
    for mine, theirs in zip(again.preferences(), items, strict=True):
        assert all(getattr(mine, name) == getattr(theirs, name) for name in ("id", "source", "pairs", "ties", "ranks", "scores"))
    sizes = [size for k in range(4) for size in again.image_sizes(k)]
    assert sizes == [[load_image(ref).size for ref in item.images] for item in items]
    assert pickle.loads(pickle.dumps(again))[17] == items[17]


def test_embedded_pictures_are_stored_once(tmp_path):
    red, blue = picture("red"), picture("blue")
    clear = Image.new("RGBA", (30, 50), (0, 90, 0, 100))
    user = ({"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q"}]},)
    images = [red, blue, red, clear] * 10
    items = [Comparison(user, (ref,), ("a", "b"), (Pair(0, 1),), id=str(i), source="s") for i, ref in enumerate(images)]
    again = stored(items, tmp_path / "s")
    assert [item.images[0] for item in again][:3] == [red, blue, red]
    assert sum(file.stat().st_size for file in (tmp_path / "s").glob("*.images")) < len(red) + len(blue) + 1000
    assert np.array_equal(np.asarray(load_image(again[39].images[0])), np.asarray(load_image(clear)))
    assert np.array_equal(again.groups(), Listed(items).groups())  # of the pixels, not of the file that they became


def odd_names(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (30, 30)).save(tmp_path / name)
    return name


def test_names_and_values_that_arrow_cannot_hold(tmp_path):
    item = parse_row(
        {"prompt": "q", "chosen": "a", "rejected": "b", "image": odd_names(tmp_path)}, where="w", image_root=tmp_path
    )
    item = dataclasses.replace(item, meta={"bytes": b"x", "half": "\ud800"}, where=item.images[0], source="s")
    again = stored([item], tmp_path / "s")[0]
    assert again.images == item.images and again.meta["half"] == "\ud800" and "caf" in again.where


def test_prepared_and_direct_are_the_same_data(tmp_path, caplog, capsys):
    caplog.set_level("INFO")
    cfg = config(tmp_path, val_fraction=0.2)
    direct = load_data(cfg, seed=3)
    assert "not prepared" in caplog.text
    assert prepare(cfg) == 0
    capsys.readouterr()
    again = load_data(cfg, seed=3)
    printed = capsys.readouterr().err
    assert "60 prepared comparisons in" in printed and "rows read" not in printed
    assert list(again.train) == list(direct.train) and list(again.val) == list(direct.val)
    assert again.manifest == direct.manifest and json.loads(json.dumps(again.manifest)) == direct.manifest
    assert again.manifest["split"]["ids_made_unique"] == 10 and list(again.train.preferences())[5].pairs == direct.train[5].pairs


def test_prepared_and_direct_are_the_same_training_rows(tmp_path, tiny_folder):
    cfg, encoder = config(tmp_path), Encoder.from_folder(tiny_folder)
    longest = sorted(item.longest for item in map(encoder.length, load_data(cfg, seed=0).train))[-9]
    direct = EncodedDataset(load_data(cfg, seed=0).train, encoder, max_length=longest, on_long="drop")
    prepare(cfg, model=str(tiny_folder))
    again = EncodedDataset(load_data(cfg, seed=0).train, encoder, max_length=longest, on_long="drop")
    assert 0 < sum(direct.dropped.values()) < 9 and again.dropped == direct.dropped and len(again) == len(direct)
    for name, counted in vars(direct.lengths).items():
        np.testing.assert_array_equal(getattr(again.lengths, name), counted, err_msg=name)
    for mine, theirs in zip(again, direct, strict=True):
        assert vars(mine).keys() == vars(theirs).keys()
        for name, value in vars(mine).items():
            np.testing.assert_equal(value, getattr(theirs, name), err_msg=name)


def test_lengths_are_the_encoders_and_need_no_picture(tmp_path, tiny_folder, monkeypatch):
    cfg, encoder = config(tmp_path), Encoder.from_folder(tiny_folder)
    counted = [encoder.encode(item, pixels=False).lengths for item in load_data(cfg | {"val_fraction": 0}, seed=0).train]
    prepare(cfg)
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("a picture was opened"))
    data = load_data(cfg | {"val_fraction": 0}, seed=0)
    part = data.train.views[0].part
    table = stored_lengths(part, encoder)
    assert table.packed.tolist() == [item.packed for item in counted] and table.longest.tolist() == [
        item.longest for item in counted
    ]
    monkeypatch.setattr(Encoder, "lengths", lambda *_: pytest.fail("counted twice"))
    assert np.array_equal(stored_lengths(part, encoder).packed, table.packed)
    assert len(EncodedDataset(data.train, encoder, max_length=None, on_long="drop")) == 60
    others = Encoder.from_folder(tiny_folder, max_pixels=56 * 56)
    assert lengths_folder(part.folder, others) != lengths_folder(part.folder, encoder)


def test_a_picture_that_is_replaced_during_a_run_is_noticed(tmp_path, tiny_folder):
    cfg, encoder = config(tmp_path, val_fraction=0), Encoder.from_folder(tiny_folder)
    prepare(cfg, model=str(tiny_folder))
    dataset = EncodedDataset(load_data(cfg, seed=0).train, encoder, max_length=None, on_long="drop")
    Image.new("RGB", (448, 448)).save(tmp_path / "p" / "0.png")
    with pytest.raises(DataError, match=r"mine.jsonl:1 \(r0\): expected \d+ tokens.*a picture was replaced"):
        dataset[0]


def test_what_the_comparisons_depend_on_makes_another_folder(tmp_path, monkeypatch):
    cfg = config(tmp_path)

    def folder(changed=None):
        (source,) = make_sources(changed or cfg)
        return folder_of(source.facts(), source.root)

    first = folder()
    assert first == folder()
    node = cfg["sources"]["mine"]
    for other in ({"keep_ties": True}, {"card": {"revision": "abc"}}, {"image_root": str(tmp_path)}):
        assert folder({"sources": {"mine": node | other}}) != first
    assert folder({"sources": {"mine": node | {"weight": 2, "cap": 5}}}) == first  # of the mixture, not of the comparisons
    assert folder(cfg | {"on_error": "skip"}) != first and folder(cfg | {"val_fraction": 0.5}) == first
    monkeypatch.setattr("basereward.store.identity.SHARED_CODE", ())
    assert folder() != first
    monkeypatch.undo()
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    time.sleep(0.01)
    write(tmp_path / "mine.jsonl", rows(tmp_path)[:-1] + [{"prompt": "new", "chosen": "x", "rejected": "y"}])
    assert folder() != first


def test_a_broken_shard_is_refused_and_written_again(tmp_path, capsys):
    cfg = config(tmp_path)
    prepare(cfg)
    folder = folder_for(cfg)
    before = files(folder)
    shard = folder / "shard-00001.arrow"
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"shard-00001.arrow with \d+ bytes; found \d+ bytes; write it again"):
        load_data(cfg, seed=0)
    prepare(cfg)
    assert "written again" in capsys.readouterr().out and files(folder) == before
    shard.write_bytes(shard.read_bytes().replace(b"bad", b"mad"))  # the same length
    prepare(cfg)
    assert files(folder) == before
    (folder / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="manifest.json"):
        load_data(cfg, seed=0)


def test_a_start_again_decodes_no_picture_twice(tmp_path, monkeypatch):
    cfg = config(tmp_path)
    folder = folder_for(cfg)
    prepare(cfg)
    before = files(folder)
    (folder / MANIFEST).unlink()
    (folder / "shard-00003.arrow").unlink()
    decoded = []
    load = Image.Image.load
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: decoded.append(self.filename) or load(self))
    prepare(cfg)
    assert files(folder) == before and not decoded


def test_mistakes_of_the_command(tmp_path, capsys):
    assert main(["data", "prepare", "data=custom", "data.path=/nowhere/a.jsonl"]) == 2
    assert "there is no folder /nowhere" in capsys.readouterr().err
    path = write(tmp_path / "mine.jsonl", [*rows(tmp_path, 3), {"prompt": "q", "chosen": "a"}])
    assert main(["data", "prepare", "data=custom", f"data.path={path}", "min_pixels=9"]) == 2
    assert "add model=" in capsys.readouterr().err
    assert main(["data", "prepare", "data=custom", f"data.path={path}"]) == 2
    assert "mine.jsonl:4" in capsys.readouterr().err and not list((tmp_path / "cache").rglob(MANIFEST))
    assert main(["data", "prepare", "data=custom", f"data.path={path}", "data.on_error=skip", "--dry-run"]) == 0
    assert "custom: not prepared: " in capsys.readouterr().out


def begin(cfg):
    prepare(cfg)
    os._exit(0)


def killed_at_random(cfg, folder, kills, longest, rng):
    """Starts and kills (SIGKILL) until ``kills`` of them met a start at work; a folder that got complete is begun anew."""
    while kills:
        process = multiprocessing.get_context("fork").Process(target=begin, args=(cfg,))
        process.start()
        process.join(rng.uniform(0, longest))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills -= 1
        process.join()
        if list(folder.rglob(MANIFEST)):
            shutil.rmtree(folder)


@pytest.mark.parametrize("seed", range(3))
def test_kills_leave_the_same_bytes(tmp_path, monkeypatch, seed):
    made = rows(tmp_path, 400)
    made += [row | {"prompt": f"again {i}"} for i, row in enumerate(made)] * 2
    cfg = {"sources": {"mine": {"_target_": CUSTOM, "path": write(tmp_path / "mine.jsonl", made)}}}
    start = time.perf_counter()
    assert prepare(cfg) == 0
    took = time.perf_counter() - start
    whole = files(tmp_path / "cache")
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "killed"))
    killed_at_random(cfg, tmp_path / "killed", 8, took, random.Random(seed))
    prepare(cfg)
    assert files(tmp_path / "killed") == whole and len(whole) > 75
