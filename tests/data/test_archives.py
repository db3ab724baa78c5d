"""Images inside archives: the same pictures and the same errors as beside them, in threads, forks and workers."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from basereward.data_recipes.custom import Custom
from PIL import Image
from recipe_pictures import picture

from basereward import archives
from basereward.accounts import read
from basereward.errors import DataError
from basereward.images import ImageError, check_image, image_key, image_size, load_image
from basereward.problems import BadRows

NAMES = [f"mcq/{number:03d}.png" for number in range(12)]


def make_zip(path, packing=zipfile.ZIP_DEFLATED, names=NAMES):
    with zipfile.ZipFile(path, "w", packing) as file:
        file.mkdir("mcq")
        for number, name in enumerate(names):
            file.writestr(name, picture(number))
    return path


def make_parts(folder, size=7000):
    data = make_zip(folder / "whole.zip").read_bytes()
    (folder / "whole.zip").unlink()
    parts = [folder / f"images.zip_a{letter}" for letter in "abcdefghijkl"]
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    for part, piece in zip(parts, pieces, strict=False):
        part.write_bytes(piece)
    assert 3 <= len(pieces) <= len(parts)
    return parts[: len(pieces)]


def make_tar(path, mode="w"):
    with tarfile.open(path, mode) as file:
        for number, name in enumerate(NAMES):
            info = tarfile.TarInfo("./" + name)
            info.size = len(picture(number))
            file.addfile(info, io.BytesIO(picture(number)))
    return path


@pytest.fixture(params=["deflated", "stored", "parts", "tar"])
def archive(request, tmp_path):
    if request.param == "parts":
        return str(make_parts(tmp_path)[0])
    if request.param == "tar":
        return str(make_tar(tmp_path / "images.tar"))
    packing = zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED
    return str(make_zip(tmp_path / "images.zip", packing))


def test_a_member_is_the_same_picture_as_its_file(archive):
    for number, name in enumerate(NAMES):
        ref = f"{archive}::{name}"
        assert np.array_equal(load_image(ref), load_image(picture(number)))
        assert image_size(ref) == check_image(ref) == (48, 32) and image_key(ref) == ref


def shuffled_reads(archive, seed):
    order = random.Random(seed).choices(range(12), k=60)
    return all(np.array_equal(load_image(f"{archive}::{NAMES[n]}"), load_image(picture(n))) for n in order)


def test_threads_and_forks_do_not_disturb_one_another(archive):
    assert shuffled_reads(archive, 0)  # the index and the open files are there before the fork
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda seed: shuffled_reads(archive, seed), range(4)))
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        results = [pool.apply_async(shuffled_reads, (archive, seed)) for seed in range(3)]
        assert shuffled_reads(archive, 9) and all(result.get(60) for result in results)


class Pictures:
    def __init__(self, archive):
        self.archive = archive

    def __len__(self):
        return len(NAMES)

    def __getitem__(self, index):
        return np.asarray(load_image(f"{self.archive}::{NAMES[index]}")).sum(dtype=np.int64)


def test_workers_of_a_data_loader(archive):
    from torch.utils.data import DataLoader

    sums = [np.asarray(load_image(picture(n))).sum(dtype=np.int64) for n in range(12)]
    for method in ("fork", "spawn") if archive.endswith(".zip") else ("fork",):
        loader = DataLoader(Pictures(archive), batch_size=None, num_workers=2, multiprocessing_context=method)
        assert [int(value) for value in loader] == sums


def missing(ref):
    with pytest.raises(ImageError) as caught:
        check_image(ref)
    assert caught.value.reason == "image missing"
    return str(caught.value)


def test_a_missing_member_names_what_comes_close(archive):
    assert "did you mean 'mcq/004.png'?" in missing(f"{archive}::mpq/004.png")
    assert "did you mean 'mcq/01" in missing(f"{archive}::mcq/01.png")
    assert "its 12 members are named like mcq/000.png" in missing(f"{archive}::elsewhere/picture.gif")
    assert "mcq" in missing(f"{archive}::mcq")


def test_a_missing_archive(tmp_path):
    assert "expected the archive to be there" in missing(f"{tmp_path}/gone.zip::a.png")


def broken(ref):
    with pytest.raises(ImageError) as caught:
        load_image(ref)
    assert caught.value.reason == "broken archive"
    return str(caught.value)


def test_parts_that_are_absent_or_too_short(tmp_path):
    parts = make_parts(tmp_path)
    ref = f"{parts[0]}::{NAMES[0]}"
    assert load_image(ref).size == (48, 32)
    assert "the first part" in broken(f"{parts[1]}::{NAMES[0]}")
    keep = parts[1].read_bytes()
    parts[1].unlink()
    os.utime(parts[0], ns=(1, 1))  # the archive is looked at again when its first part changes
    assert f"found {parts[2].name} and no {parts[1].name}" in broken(ref)
    parts[1].write_bytes(keep[:-100])
    os.utime(parts[0], ns=(2, 2))
    assert f"{parts[1].name} (6,900 bytes)" in broken(ref) and "100 bytes are missing" in broken(ref)
    parts[1].write_bytes(keep)
    parts[-1].unlink()
    os.utime(parts[0], ns=(3, 3))
    assert "all parts of a zip" in broken(ref)


def test_broken_archives(tmp_path):
    data = make_zip(tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[:-200])
    assert "a whole archive" in broken(f"{tmp_path}/cut.zip::{NAMES[0]}")
    (tmp_path / "bits.zip").write_bytes(data[:300] + bytes(50) + data[350:])
    assert "whole in" in broken(f"{tmp_path}/bits.zip::{NAMES[0]}")
    data = make_tar(tmp_path / "a.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(data[: 512 + 1000])
    assert "unexpected end of data" in broken(f"{tmp_path}/cut.tar::{NAMES[0]}")
    (tmp_path / "text.tar").write_text("no archive")
    assert "a whole archive" in broken(f"{tmp_path}/text.tar::{NAMES[0]}")


def test_a_packed_tar_is_refused_with_the_command_that_unpacks_it(tmp_path):
    make_tar(tmp_path / "images.tar.gz", "w:gz")
    assert f"tar -xf {tmp_path}/images.tar.gz -C {tmp_path}" in broken(f"{tmp_path}/images.tar.gz::{NAMES[0]}")


def test_an_archive_that_is_replaced_is_read_anew(tmp_path):
    path = make_zip(tmp_path / "a.zip")
    load_image(f"{path}::{NAMES[0]}")
    make_zip(path, names=["other.png"])
    os.utime(path, ns=(1, 1))
    assert load_image(f"{path}::other.png").size == (48, 32) and "other.png" in missing(f"{path}::{NAMES[0]}")


def rows(folder, *images):
    path = folder / "rows.jsonl"
    lines = [{"prompt": "What?", "chosen": "a", "rejected": "b", "image": image} for image in images]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_four_ways_to_say_that_images_are_in_an_archive(tmp_path):
    make_zip(tmp_path / "mcq.zip", names=[name.partition("/")[2] for name in NAMES])
    make_tar(tmp_path / "other.tar")
    wanted = load_image(picture(3))

    def loaded(image, **options):
        (item,) = read(Custom(rows(tmp_path, image), **options)).comparisons
        return item.images[0].removeprefix(f"{tmp_path}/"), np.array_equal(load_image(item.images[0]), wanted)

    assert loaded("mcq.zip::003.png") == ("mcq.zip::003.png", True)
    assert loaded("003.png", image_root=tmp_path / "mcq.zip") == ("mcq.zip::003.png", True)
    assert loaded("003.png", image_root="mcq.zip") == ("mcq.zip::003.png", True)  # beside the rows, not where the command runs
    assert loaded("mcq/003.png") == ("mcq.zip::003.png", True)  # the archive has the name of the folder
    (tmp_path / "mcq.zip").unlink()
    assert loaded("mcq/003.png") == ("other.tar::mcq/003.png", True)
    (tmp_path / "mcq").mkdir()
    (tmp_path / "mcq" / "003.png").write_bytes(picture(3))
    assert loaded("mcq/003.png") == ("mcq/003.png", True)  # a file comes before archives
    with pytest.raises(BadRows, match="image missing|expected the file to be there"):
        loaded("mcq/100.png")
    with pytest.raises(DataError, match=r"expected the archive of images gone\.zip"):
        loaded("003.png", image_root="gone.zip")


def test_frames_of_a_video_are_evenly_spaced_and_in_order(tmp_path):
    names = [f"{number}.jpg" for number in range(1, 101)]
    (tmp_path / "video" / "a").mkdir(parents=True)
    for name in [*names, "notes.txt"]:
        (tmp_path / "video" / "a" / name).write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "video.zip", "w") as file:
        for name in reversed(names):
            file.writestr(f"b/{name}", picture())
    # numpy.linspace(0, 99, 4) = 0, 33, 66, 99
    assert archives.frames(tmp_path, "video/a", 4) == [f"video/a/{n}.jpg" for n in (1, 34, 67, 100)]
    assert archives.frames(tmp_path / "video.zip", "b", 4) == [f"b/{n}.jpg" for n in (1, 34, 67, 100)]
    found = archives.frames(tmp_path, "video/b", 200)
    assert found == [f"video/b/{name}" for name in names]
    assert load_image(archives.join(tmp_path, found[0])).size == (48, 32)
    with pytest.raises(archives.NoMember, match="a folder of video frames"):
        archives.frames(tmp_path, "video/c", 4)


def test_the_index_is_small_and_exact(tmp_path):
    from basereward.archive_index import Index

    members = [(f"folder-{n % 100}/picture-{n}.jpg", n, n, n, n % 7, 0) for n in range(50_000)]
    index = Index(members, is_zip=False)
    assert all(index.facts[index.find(name)][0] == start for name, start, *_ in random.Random(0).choices(members, k=500))
    assert index.find("folder-1/picture-2.jpg") is None and len(index.names_in("folder-7")) == 500
    arrays = index.facts.nbytes + index.begins.nbytes + index.hashes.nbytes + index.order.nbytes
    assert (arrays + len(index.blob)) / len(members) < 110  # bytes per member


def test_names_of_one_hash_are_told_apart(monkeypatch):
    from basereward import archive_index

    monkeypatch.setattr(archive_index, "hash", len, raising=False)
    index = archive_index.Index([("a.jpg", 1, 0, 0, 0, 0), ("b.jpg", 2, 0, 0, 0, 0), ("a.jpg", 3, 0, 0, 0, 0)], is_zip=False)
    assert [index.find(name) for name in ("a.jpg", "b.jpg", "c.jpg")] == [2, 1, None], "of one name the later counts, as in a zip"


def test_pillow_reads_the_head_of_a_stored_member_alone(tmp_path):
    path = make_zip(tmp_path / "a.zip", zipfile.ZIP_STORED)
    with archives.open_member(str(path), NAMES[0]) as file:
        assert Image.open(file).size == (48, 32) and file.tell() <= 8192
