"""Files of every format are read, and a bad file ends with all its problems in one report."""

from __future__ import annotations

import gzip
import io
import json
import re
import string

import numpy as np
import pytest
from basereward.data_recipes.custom import Custom
from basereward.data_recipes.hh_rlhf import HHRLHF
from basereward.data_recipes.ixc import IXC
from PIL import Image

from basereward.accounts import read
from basereward.config import build
from basereward.errors import ConfigError, DataError
from basereward.images import load_image
from basereward.problems import BadRows

ROWS = [{"id": f"r{i}", "prompt": f"Question {i}?", "chosen": f"Yes {i}.", "rejected": "No."} for i in range(3)]


def write_lines(path, rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def picture(colour="red", size=(64, 48)):
    return Image.new("RGB", size, colour)


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


def encoded(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def ids(path, **options):
    return [item.id for item in read(Custom(path, **options)).comparisons]


def test_json_in_all_its_shapes(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n\n").encode())
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "d.json").write_text(text)
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    for name in "a.jsonl", "b.jsonl.gz", "c.json", "d.json", "e.json.gz":
        assert ids(tmp_path / name) == ["r0", "r1", "r2"], name
    (tmp_path / "one.json").write_text(json.dumps(ROWS[0]))
    assert ids(tmp_path / "one.json") == ["r0"]


def test_many_files_by_pattern_and_folder(tmp_path):
    for index in range(3):
        write_lines(tmp_path / f"part-{index}.jsonl", [ROWS[index]])
    (tmp_path / "readme.txt").write_text("not data")
    assert ids(tmp_path / "part-*.jsonl") == ids(tmp_path) == ["r0", "r1", "r2"]


def test_parquet_arrow_and_saved_datasets_keep_images_encoded(tmp_path):
    datasets = pytest.importorskip("datasets")
    data = encoded(picture(), "PNG")
    rows = [row | {"images": [{"bytes": data, "path": "x.png"}], "ranks": None} for row in ROWS]
    features = datasets.Features({key: datasets.Value("string") for key in ROWS[0]} | {"images": [datasets.Image()]})
    table = datasets.Dataset.from_list([{key: row[key] for key in features} for row in rows], features=features)
    table.to_parquet(tmp_path / "a.parquet")
    table.save_to_disk(tmp_path / "saved")
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(tmp_path / "splits")
    from pyarrow import feather

    feather.write_feather(table.data.table, tmp_path / "b.arrow", compression="uncompressed")
    stream = next((tmp_path / "saved").glob("*.arrow"))
    for path in (tmp_path / "a.parquet", tmp_path / "b.arrow", stream, tmp_path / "saved"):
        found = read(Custom(path)).comparisons
        assert [item.id for item in found] == ["r0", "r1", "r2"] and found[0].images == (data,), path
        assert load_image(found[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
    assert ids(tmp_path / "splits", split="test") == ["r0"]
    with pytest.raises(DataError, match="split= to say which of train, test"):
        ids(tmp_path / "splits")
    with pytest.raises(DataError, match="did you mean 'test'"):
        ids(tmp_path / "splits", split="tset")


def test_a_hub_dataset_that_cannot_be_reached(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(name, *args, **kwargs):
        raise ConnectionError(f"Couldn't reach {name}")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = (
        "expected the dataset nobody/nothing of the Hub.*hf download --repo-type dataset nobody/nothing --local-dir nothing;"
    )
    with pytest.raises(DataError, match=message):
        read(Custom("nobody/nothing"))


def test_a_hub_dataset(monkeypatch):
    datasets = pytest.importorskip("datasets")
    table = datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)})
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: table)
    data = read(Custom("some/dataset"))
    assert len(data.comparisons) == 3 and data.manifest["sha256"] is None and data.comparisons[0].where == "some/dataset:row 1"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", b"a,b", "ending in .jsonl"),
        ("rows.parquet", b"nonsense", "not one"),
        ("rows.arrow", b"nonsense", "not one"),
        ("rows.jsonl", b"", "at least one comparison"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(Custom(tmp_path / name))


def test_a_missing_file_names_its_neighbours(tmp_path):
    write_lines(tmp_path / "pairs.jsonl", ROWS)
    with pytest.raises(DataError, match=r"did you mean .pairs\.jsonl.\?"):
        read(Custom(tmp_path / "pears.jsonl"))
    with pytest.raises(DataError, match="there is no folder"):
        read(Custom(tmp_path / "none" / "a.jsonl"))


def test_broken_files_give_what_they_have(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_bytes(text.encode()[:-20] + b"\n" + json.dumps(ROWS[0]).encode() + b'\n\xff\xfe{"a"\n')
    with pytest.raises(BadRows) as caught:
        read(Custom(tmp_path / "a.jsonl"))
    assert [(item.kind, item.where[-2:], item.id) for item in caught.value.problems] == [
        ("not JSON", ":3", "r2"),
        ("not UTF-8", ":5", ""),
    ]
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(text.encode() * 500)[:-40])
    data = read(Custom(tmp_path / "b.jsonl.gz"), on_error="skip")
    assert data.manifest["dropped"] == {"broken archive": 1} and data.manifest["used"] == data.manifest["rows_read"] - 1 > 100
    (tmp_path / "c.json").write_text(json.dumps(ROWS)[:-20])
    with pytest.raises(BadRows, match="none of it was read"):
        read(Custom(tmp_path / "c.json"))


def test_images_lie_beside_the_file_or_under_image_root(tmp_path):
    (tmp_path / "rows").mkdir()
    picture().save(tmp_path / "rows" / "a.png")
    picture().save(tmp_path / "b.png")
    write_lines(tmp_path / "rows" / "a.jsonl", [ROWS[0] | {"image": "a.png"}])
    write_lines(tmp_path / "rows" / "b.jsonl", [ROWS[0] | {"image": "b.png"}])
    assert read(Custom(tmp_path / "rows" / "a.jsonl")).comparisons[0].images == (str(tmp_path / "rows" / "a.png"),)
    assert read(Custom(tmp_path / "rows" / "b.jsonl", image_root=tmp_path)).comparisons[0].images == (str(tmp_path / "b.png"),)
    with pytest.raises(BadRows, match="image missing"):
        read(Custom(tmp_path / "rows" / "b.jsonl"))
    assert len(read(Custom(tmp_path / "rows" / "b.jsonl", check_images=False)).comparisons) == 1


def oddities(folder):
    """A file with 13 oddities, 4 good pictures among them, and between good rows; returns (path, {line: (id, kind)})."""
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = Image.new("P", (64, 48), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    whole = encoded(noise(200, 150), "JPEG")
    files = {
        "cmyk.jpg": encoded(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "JPEG"),
        "palette.png": encoded(palette, "PNG", transparency=0),
        "rotated.jpg": encoded(picture(), "JPEG", exif=exif),
        "thin.png": encoded(picture(size=(1, 4000)), "PNG"),
        "text.png": b"this is text, not a picture",
        "cut.jpg": whole[: len(whole) // 2],
        "good.png": encoded(picture(), "PNG"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    good = {"prompt": "Which colour?", "chosen": "Red.", "rejected": "Blue."}
    scored = {"prompt": "Which colour?", "responses": ["Red.", "Blue."], "scores": [float("nan"), 1.0]}
    cases = [
        (good | {"id": "cmyk", "image": "cmyk.jpg"}, None),
        (good | {"id": "palette", "images": ["palette.png"]}, None),
        (good | {"id": "rotated", "image": "rotated.jpg"}, None),
        (good | {"id": "thin", "image": "thin.png"}, "image too elongated"),
        (json.dumps({"id": "cut-line"} | good)[:-9], "not JSON"),
        (good | {"id": "missing", "image": "nowhere.png"}, "image missing"),
        (good | {"id": "text", "image": "text.png"}, "not an image"),
        (good | {"id": "cut", "image": "cut.jpg"}, "truncated image"),
        (good | {"id": "same", "rejected": "Red. "}, "chosen equals rejected"),
        (good | {"id": "empty", "chosen": ""}, "empty response"),
        (good | {"id": "more", "prompt": "<image><image>Which?", "image": "good.png"}, "more image markers than images"),
        (good | {"id": "fewer", "prompt": "<image>Which?", "images": ["good.png"] * 2}, "fewer image markers than images"),
        (scored | {"id": "nan"}, "score not a finite number"),
    ]
    path = write_lines(
        folder / "odd.jsonl", [good | {"id": "first"}, *(row for row, _ in cases), good | {"id": "last", "image": "good.png"}]
    )
    names = [row["id"] if isinstance(row, dict) else "cut-line" for row, _ in cases]
    return path, {2 + i: (name, kind) for i, (name, (_, kind)) in enumerate(zip(names, cases, strict=True))}


def test_thirteen_oddities_are_handled_or_reported_together(tmp_path):
    path, cases = oddities(tmp_path)
    assert len(cases) == 13
    with pytest.raises(BadRows) as caught:
        read(Custom(path))
    text, bad = str(caught.value), {line: case for line, case in cases.items() if case[1]}
    assert [item.kind for item in caught.value.problems] == [kind for _, kind in bad.values()]
    for line, (name, kind) in bad.items():
        shown = next(row for row in text.splitlines() if f"{path}:{line} ({name}): expected " in row)
        assert re.search(r"; found .+; \w+", shown), shown
        assert re.search(rf"^ +1  {kind}$", text, flags=re.MULTILINE)
    assert text.startswith("10 problems in 10 rows of 15 read from") and "on_error=skip" in text
    assert not {"cmyk", "palette", "rotated", "first", "last"} & set(re.findall(r"\((\w+)\)", text))


def test_skip_leaves_the_bad_rows_out_and_counts_them(tmp_path):
    path, cases = oddities(tmp_path)
    data = read(Custom(path), on_error="skip")
    assert [item.id for item in data.comparisons] == ["first", "cmyk", "palette", "rotated", "last"]
    assert data.manifest["dropped"] == {kind: 1 for _, kind in cases.values() if kind}
    assert data.manifest["rows_read"] == 15 == data.manifest["used"] + sum(data.manifest["dropped"].values())
    shown = {item.id: load_image(item.images[0]) for item in data.comparisons if item.images}
    assert shown["rotated"].size == (48, 64) and shown["palette"].getpixel((5, 5)) == (255, 255, 255)
    red, green, blue = shown["cmyk"].getpixel((5, 5))
    assert red > 250 and green < 5 and blue < 5


def test_a_row_with_two_problems_is_one_dropped_row(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [ROWS[0], ROWS[1] | {"chosen": "", "weight": -1}])
    assert read(Custom(path), on_error="skip").manifest["dropped"] == {"empty response": 1}


def test_the_report_shows_twenty_and_counts_all(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [ROWS[0] | {"rejected": ""}] * 25 + [ROWS[0] | {"rejected": 3}])
    with pytest.raises(BadRows) as caught:
        read(Custom(path))
    lines = str(caught.value).splitlines()
    assert sum("expected" in line for line in lines) == 20 and "  ... and 6 more" in lines
    assert [line.split() for line in lines if line.endswith(("empty response", "wrong type"))][-2:] == [
        ["25", "empty", "response"],
        ["1", "wrong", "type"],
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splt": "x"}, "did you mean 'split'"),
        ({"split": "train"}, "leave it out"),
        ({"card": {"license": "MIT"}}, "did you mean 'licence'"),
    ],
)
def test_options_that_cannot_take_effect_are_refused(tmp_path, options, message):
    path = write_lines(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(ConfigError, match=message):
        build({"_target_": "basereward.data_recipes.custom.Custom", "path": str(path)} | options)
    with pytest.raises(ConfigError, match="fail or skip"):
        read(Custom(path), on_error="ignore")


def test_the_manifest_accounts_for_the_file(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", ROWS)
    manifest = read(Custom(path, card={"licence": "MIT", "rows_expected": {"a.jsonl": 4}})).manifest
    assert json.loads(json.dumps(manifest)) == manifest
    assert (
        manifest["files"] == ["a.jsonl"]
        and manifest["licence"] == "MIT"
        and "the card counts 4 rows of a.jsonl, 3 were read from files: the file has changed" in manifest["notes"][0]
    )
    assert len(manifest["sha256"]) == 64 and set(manifest["sha256"]) <= set(string.hexdigits)
    path.write_text(path.read_text() + "\n")
    assert read(Custom(path)).manifest["sha256"] != manifest["sha256"]


def test_hh_rlhf_cuts_at_the_last_shared_answer(tmp_path):
    start = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Name a colour.\n\nAssistant:"
    rows = [
        {"chosen": start + " Red.", "rejected": start + " Red, I think."},
        {"chosen": start + " Red.", "rejected": start + " "},
        {"chosen": start + " Red.\n\nHuman: Why?\n\nAssistant: No idea.", "rejected": start + " Blue."},
        {"chosen": "\n\nHuman: A", "rejected": "\n\nHuman: B"},
    ]
    data = read(HHRLHF(write_lines(tmp_path / "a.jsonl", rows)))
    (item,) = data.comparisons
    assert [turn["role"] for turn in item.messages] == ["user", "assistant", "user"]
    assert item.messages[-1]["content"] == [{"type": "text", "text": "Name a colour."}] and item.responses == (
        "Red.",
        "Red, I think.",
    )
    dropped = ["diverges before the last answer", "empty answer", "the transcripts share no answer's beginning"]
    assert data.manifest["dropped"] == dict.fromkeys(dropped, 1)
    with pytest.raises(BadRows, match="not a transcript|recipe=custom"):
        read(HHRLHF(write_lines(tmp_path / "b.jsonl", ROWS)))


def test_ixc_markers_and_single_images(tmp_path):
    for name in "ab":
        picture().save(tmp_path / f"{name}.png")

    def row(question, image):
        talk = [[{"from": "human", "value": question}, {"from": "bot", "value": answer}] for answer in ("good", "bad")]
        return {"id": 0, "conversations_a": talk[0], "conversations_b": talk[1]} | ({"image": image} if image else {})

    rows = [
        row("Image1 <ImageHere>; Image2 <ImageHere>; differ?", ["a.png", "b.png"]),
        row("What?", "./a.png"),
        row("Text?", None),
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    two, one, none = read(IXC(tmp_path / "rows.json")).comparisons
    kinds = [part.get("text", "image") for part in two.messages[0]["content"]]
    assert kinds == ["Image1 ", "image", "; Image2 ", "image", "; differ?"] and two.responses == ("good", "bad")
    assert one.images == (str(tmp_path / "a.png"),) and [part["type"] for part in one.messages[0]["content"]] == ["image", "text"]
    assert none.images == ()
