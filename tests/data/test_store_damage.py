"""Damage to a prepared source: flipped bytes, no manifest, a full disk; each is said with the command that repairs."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys

import pytest
from PIL import Image
from prepared_rows import config, files, folder_for, picture, prepare, rows, write

from basereward.cli import main
from basereward.errors import DataError
from basereward.mixture import load_data
from basereward.records import Comparison, Pair
from basereward.store import files as store_files
from basereward.store import stored, writing
from basereward.store.command import prepare_command
from basereward.store.stored import MANIFEST, Stored
from basereward.store.writing import write_store

NOT_TYPED = "basereward data prepare data=<your data config>"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "SHARD_ROWS", 16)


def flip(file, place):
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["shard-00001.arrow", "shard-00000.pictures"])
def test_a_flipped_byte_ends_the_run_before_it_begins(tmp_path, name):
    cfg = config(tmp_path)
    prepare(cfg)
    folder = folder_for(cfg)
    before = files(folder)
    flip(folder / name, -900)
    with pytest.raises(DataError, match=f"mine: expected {folder / name} as it was written; .*write it again: {NOT_TYPED}$"):
        load_data(cfg, seed=0)
    prepare(cfg)
    assert files(folder) == before and len(load_data(cfg, seed=0).train) == 57


def test_checksums_are_compared_once_and_not_again_by_workers(tmp_path, monkeypatch):
    cfg = config(tmp_path)
    prepare(cfg)
    hashed, file_hash = [], stored.file_hash
    monkeypatch.setattr(stored, "file_hash", lambda file: hashed.append(file.name) or file_hash(file))
    part = load_data(cfg, seed=0).train.views[0].part
    assert sorted(hashed) == sorted(name for name in part.manifest["files"])
    worker = pickle.loads(pickle.dumps(part))
    assert worker[40] == part[40] and len(hashed) == len(part.manifest["files"])


def test_a_flipped_byte_of_an_embedded_picture_is_found_when_it_is_read(tmp_path):
    user = ({"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "q"}]},)
    images = [picture("red"), picture("blue"), Image.new("RGBA", (30, 50), (0, 90, 0, 100))]
    items = [Comparison(user, (ref,), ("a", "b"), (Pair(0, 1),), id=str(i), source="s") for i, ref in enumerate(images)]

    class Stream(list):
        manifest = {}

    write_store(Stream(items), {"source": "s"}, tmp_path / "s", lambda count: None)
    flip(tmp_path / "s" / "shard-00000.images", len(images[0]) + 30)
    again = Stored(tmp_path / "s", "s", command="do this")
    assert again[0].images == (images[0],) and again[2].images
    with pytest.raises(DataError, match=r"s: expected the picture at bytes \d+ to \d+ of \S+shard-00000.images.*again: do this"):
        again[1]


def test_a_manifest_that_is_missing_or_damaged_is_the_same_error(tmp_path):
    cfg = config(tmp_path)
    prepare(cfg)
    folder = folder_for(cfg)
    before = files(folder)
    for content, state in ((None, "none"), ("{", "a damaged one"), ("{}", "a damaged one"), ("[]", "a damaged one")):
        (folder / MANIFEST).unlink() if content is None else (folder / MANIFEST).write_text(content)
        with pytest.raises(
            DataError, match=rf"manifest.json; found {state} beside 4 shards; .*began: {NOT_TYPED}\n\(or delete {folder}"
        ):
            load_data(cfg, seed=0)
        prepare(cfg)
        assert files(folder) == before


def test_a_folder_without_shards_is_not_prepared(tmp_path):
    cfg = config(tmp_path)
    prepare(cfg)
    folder = folder_for(cfg)
    for file in folder.glob("*"):
        if file.name != "identity.json":
            file.unlink()
    assert len(load_data(cfg, seed=0).train) == 57


def test_the_command_is_that_of_the_words(tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "my rows.jsonl", rows(tmp_path))
    words = ["train", "data=custom", f"data.path={path}", "data.keep_ties=true", "data.val_max=7", f"run.dir={tmp_path / 'run'}"]
    command = prepare_command(words=words)
    assert command == f"basereward data prepare data=custom 'data.path={path}' data.keep_ties=true"
    assert main(["data", "prepare", *words[1:4]]) == 0
    (manifest,) = tmp_path.glob(f"cache/prepared/*/{MANIFEST}")
    manifest.unlink()
    monkeypatch.setattr(sys, "argv", ["basereward", *words])
    capsys.readouterr()
    assert main(words) == 2
    assert f"finish what one began: {command}\n" in capsys.readouterr().err
    assert prepare_command(words=["train", "experiment=text_rm_qwen3_8b", "data.on_error=skip"]).endswith(
        "prepare data=text_mix data.on_error=skip"
    )
    assert (
        prepare_command(words=["train"]) == prepare_command(words=["data", "prepare", "workers=1"]) == "basereward data prepare"
    )
    own = tmp_path / "my conf"
    (own / "experiment").mkdir(parents=True)
    (own / "experiment" / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - override /data: my_mix\n")
    (own / "data").mkdir()
    node = "{mine: {_target_: basereward.data_recipes.custom.Custom, path: " + json.dumps(path) + "}}"
    (own / "data" / "my_mix.yaml").write_text(f"sources: {node}\n")
    typed = ["train", "--config-dir", str(own), "experiment=mine", f"run.dir={tmp_path / 'run'}"]
    assert main(["data", "prepare", "--config-dir", str(own), "data=my_mix"]) == 0
    (manifest,) = tmp_path.glob(f"cache/prepared/mine-*/{MANIFEST}")
    manifest.write_text("")
    monkeypatch.setattr(sys, "argv", ["basereward", *typed])
    assert main(typed) == 2
    assert f"finish what one began: basereward data prepare --config-dir '{own}' data=my_mix\n" in capsys.readouterr().err
    monkeypatch.undo()
    assert prepare_command("a.jsonl", "there", words=["-q"]) == (
        "basereward data prepare data=custom data.path=a.jsonl data.prepared=there"
    )


def full(monkeypatch, after, number=errno.ENOSPC):
    """A disk that has room for the first so many files of a store."""
    calls, sync = [], store_files.sync

    def refused(path):
        calls.append(path)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        sync(path)

    monkeypatch.setattr(store_files, "sync", refused)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing_half(tmp_path, monkeypatch, number):
    cfg = config(tmp_path)
    full(monkeypatch, 4, number)
    reason = os.strerror(number)
    with pytest.raises(DataError) as caught:
        prepare(cfg)
    folder = folder_for(cfg)
    text = str(caught.value)
    assert f"mine: expected room for {folder / 'shard-00001.arrow'}, " in text and f"({reason})" in text
    needed, free = (
        int(words.split(" bytes")[0].replace(",", "")) for words in (text.split("arrow, ")[1], text.split("found ")[1])
    )
    assert 5_000 < needed < 50_000 and free > 0 and "data.prepared=<folder>" in text and "the same command goes on" in text
    assert not list(folder.glob(".writing-*")) and (folder / "shard-00000.arrow").is_file()
    monkeypatch.undo()
    monkeypatch.setenv("BASEREWARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(writing, "SHARD_ROWS", 16)
    first = (folder / "shard-00000.arrow").stat().st_ino
    prepare(cfg)
    assert (folder / "shard-00000.arrow").stat().st_ino == first and len(load_data(cfg, seed=0).train) == 57


def test_another_error_of_the_disk_stays_what_it_is(tmp_path, monkeypatch):
    cfg = config(tmp_path)
    full(monkeypatch, 0, errno.EIO)
    with pytest.raises(DataError, match=r"mine: \[Errno 5\]"):
        prepare(cfg)
    assert not list(folder_for(cfg).glob(".writing-*"))


def test_a_manifest_that_finds_no_room_is_said_too(tmp_path, monkeypatch):
    cfg = config(tmp_path)

    def refused(path, value):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "write_json", refused)
    with pytest.raises(DataError, match="expected room for .*identity.json"):
        prepare(cfg)


LIMITED = """
import sys
from basereward.cli import main
sys.exit(main(["data", "prepare", "data=custom", "data.path=" + sys.argv[1], "workers=1"]))
"""


def test_a_limit_that_the_system_sets_is_met_in_the_middle_of_a_file(tmp_path):
    made = [{"prompt": f"q{k}", "chosen": "good " * 200, "rejected": "bad"} for k in range(300)]
    path = write(tmp_path / "mine.jsonl", made)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run([sys.executable, "-c", LIMITED, path], preexec_fn=limit, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected room for" in done.stderr and "File too large" in done.stderr, done.stderr
    (folder,) = (tmp_path / "cache" / "prepared").glob("custom-*")
    assert sorted(file.name for file in folder.iterdir()) == [".lock", "identity.json"]
    assert json.loads((folder / "identity.json").read_text())["source"] == "custom"
    prepare({"path": path})
    assert len(load_data({"path": path}, seed=0).train) == 285
