"""Pictures of a prepared source that changed since: a run says which before it begins, and preparing again redoes just those."""

from __future__ import annotations

import json
import os
import re
import zipfile

import pytest
from PIL import Image, ImageFile
from prepared_rows import CUSTOM, config, files, folder_for, picture, prepare, rows, write

from basereward.encode import Encoder
from basereward.errors import DataError
from basereward.lengths import lengths_folder, stored_lengths
from basereward.mixture import load_data
from basereward.store import pictures, writing
from basereward.store.stored import Stored


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "SHARD_ROWS", 16)


def noted(monkeypatch, place, name):
    """The first arguments of all calls of a function."""
    calls, original = [], getattr(place, name)
    monkeypatch.setattr(place, name, lambda first, *rest: calls.append(first) or original(first, *rest))
    return calls


def later(file, seconds=5):
    """A time of change that differs, however coarse the file system's clock."""
    stat = file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + seconds * 10**9))


def test_unchanged_pictures_cost_a_stat_each_and_no_read(tmp_path, monkeypatch):
    cfg = config(tmp_path)
    prepare(cfg)
    stats, reads = noted(monkeypatch, pictures, "_stamp"), noted(monkeypatch, pictures, "read_bytes")
    load_data(cfg, seed=0)
    assert len(stats) == 5 and not reads


def test_changed_pictures_are_named_before_the_run_begins(tmp_path):
    cfg = config(tmp_path)
    prepare(cfg)
    Image.new("RGB", (448, 448)).save(tmp_path / "p" / "0.png")
    (tmp_path / "p" / "3.png").unlink()
    same_length = tmp_path / "p" / "1.png"
    content = bytearray(same_length.read_bytes())
    content[-20] ^= 1
    same_length.write_bytes(content)
    later(same_length)
    with pytest.raises(DataError) as caught:
        load_data(cfg, seed=0)
    text = str(caught.value)
    assert "mine: expected the pictures as they were" in text and "found 3 pictures changed" in text
    assert re.search(r"p/0\.png has [\d,]+ bytes, had \d+", text) and "p/3.png is not there" in text
    assert "p/1.png has other content" in text and "p/2.png" not in text
    assert text.endswith("prepare the source again, which reads these alone: basereward data prepare data=<your data config>")
    assert len(load_data(cfg | {"without_images": True}, seed=0).train)  # a text-only run needs none of them


def test_another_time_and_the_same_content_is_no_change(tmp_path, capsys, monkeypatch):
    cfg = config(tmp_path)
    prepare(cfg)
    before = load_data(cfg, seed=0)
    assert "changed since" not in capsys.readouterr().err
    later(tmp_path / "p" / "2.png")
    reads = noted(monkeypatch, pictures, "read_bytes")
    assert load_data(cfg, seed=0).manifest == before.manifest and reads == [str(tmp_path / "p" / "2.png")]
    assert "the times of 1 picture changed since, with the same content; basereward data prepare" in capsys.readouterr().err
    prepare(cfg)
    reads.clear()
    load_data(cfg, seed=0)
    assert not reads  # the new time is noted


def test_many_changed_pictures_are_counted(tmp_path):
    text = pictures.in_words((f"{k}.png", "is not there") for k in range(8))
    assert text == "; ".join(f"{k}.png is not there" for k in range(5)) + "; and 3 others"


def test_preparing_again_redoes_what_changed_and_nothing_else(tmp_path, monkeypatch, tiny_folder, capsys):
    made = [row for k, row in enumerate(rows(tmp_path)) if k % 3] + [row for k, row in enumerate(rows(tmp_path)) if k % 3 == 0]
    cfg = {"sources": {"mine": {"_target_": CUSTOM, "path": write(tmp_path / "mine.jsonl", made)}}}  # pictures from row 40 on
    prepare(cfg, model=str(tiny_folder))
    folder = folder_for(cfg)
    before = files(folder)
    Image.new("RGB", (448, 336), "green").save(tmp_path / "p" / "4.png")
    decoded, counts = [], []
    load, lengths = ImageFile.ImageFile.load, Encoder.lengths
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: decoded.append(self.filename) or load(self))
    monkeypatch.setattr(Encoder, "lengths", lambda self, items, sizes: counts.append(len(items)) or lengths(self, items, sizes))
    written = noted(monkeypatch, writing, "write_arrow")
    prepare(cfg, model=str(tiny_folder))
    assert "1 picture changed since: " + str(tmp_path / "p" / "4.png") in capsys.readouterr().out
    assert set(decoded) == {str(tmp_path / "p" / "4.png")}
    assert [file.name for file in written] == [
        f"shard-0000{k}.{kind}" for k, kind in ((2, "pictures"), (2, "arrow"), (3, "arrow"))
    ]
    after = files(folder)
    assert before["shard-00002.arrow"] != after["shard-00002.arrow"] and before["shard-00000.arrow"] == after["shard-00000.arrow"]
    assert sum(counts) == 28  # shards 2 and 3, whose pictures have other sizes now; not the 32 rows before them
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "anew"))
    prepare(cfg, model=str(tiny_folder))
    assert files(folder_for(cfg)) == after  # as if it had been prepared for the first time
    stored, encoder = Stored(folder, "mine"), Encoder.from_folder(tiny_folder)
    assert stored_lengths(stored, encoder).packed.tolist() == [encoder.encode(i, pixels=False).lengths.packed for i in stored]
    assert lengths_folder(folder, encoder).is_dir()


def test_a_picture_that_became_none_is_a_problem_and_then_a_folder_to_finish(tmp_path):
    cfg = config(tmp_path)
    prepare(cfg)
    good = (tmp_path / "p" / "0.png").read_bytes()
    (tmp_path / "p" / "0.png").write_text("no picture")
    with pytest.raises(DataError, match=r"(?s)mine.jsonl:1 .*0.png, which begins with 'no picture'"):
        prepare(cfg)
    (tmp_path / "p" / "0.png").write_bytes(good)
    prepare(cfg)
    assert len(load_data(cfg, seed=0).train) == 57


def test_pictures_in_archives(tmp_path, monkeypatch):
    def archive(colour):
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as out:
            for k in range(3):
                out.writestr(f"{k}.png", picture(colour if k == 1 else "white", (30 + k, 30)))

    archive("red")
    made = [{"prompt": f"q{k}", "images": [f"all.zip::{k % 3}.png"], "chosen": "a", "rejected": "b"} for k in range(30)]
    (tmp_path / "z.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    cfg = {"path": str(tmp_path / "z.jsonl")}
    prepare(cfg)
    stats = noted(monkeypatch, pictures, "_stamp")
    load_data(cfg, seed=0)
    assert len(stats) == 1  # the archive, not each of its members
    archive("blue")
    later(tmp_path / "all.zip")
    with pytest.raises(
        DataError, match=r"1 picture changed: \S+all.zip::1.png has other content; .*data=custom data.path=\S+z.jsonl$"
    ):
        load_data(cfg, seed=0)
    prepare(cfg)
    load_data(cfg, seed=0)
