"""One recipe for the Hub, a copy of its repository and the user's files; what it says where one of them is not to be had."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from basereward.data_recipes.custom import Custom
from basereward.data_recipes.hh_rlhf import HHRLHF
from recipe_pictures import picture

from basereward import hub
from basereward.accounts import Reader, read
from basereward.cards import make_card
from basereward.columns import fits
from basereward.config import build
from basereward.errors import ConfigError, DataError
from basereward.problems import BadRows
from basereward.recipes import Dropped, Recipe

datasets = pytest.importorskip("datasets")
CARD = {"hub_id": "some/pairs", "revision": "4f3c0ffee", "licence": "MIT"}


class Pairs(Recipe):
    """Question, two answers, perhaps a picture."""

    columns = {"question": "text", "good": "text", "bad": "text"}

    def comparison(self, row, where):
        """As it stands."""
        if row["good"] == row["bad"]:
            return Dropped("same")
        record = {"prompt": row["question"], "chosen": row["good"], "rejected": row["bad"]}
        return self.parse(record | ({"image": row["image"]} if row.get("image") else {}), where)


def rows(count, **more):
    return [{"question": f"Question {number}?", "good": "Yes.", "bad": "No."} | more for number in range(count)]


def write(file, count, **more):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        datasets.Dataset.from_list(rows(count, **more)).to_parquet(file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows(count, **more)))


def used(path=None, **options):
    return read(Pairs(path, card=CARD, **options)).manifest["used"]


def test_a_copy_is_read_by_split_and_subset(tmp_path):
    write(tmp_path / "a/data/train-00000-of-00002.parquet", 3)
    write(tmp_path / "a/data/train-00001-of-00002.parquet", 4)
    write(tmp_path / "a/data/train_prefs-00000-of-00001.parquet", 100)
    write(tmp_path / "a/data/test-00000-of-00001.parquet", 2)
    write(tmp_path / "a/.cache/huggingface/download/data/train.jsonl", 50)
    assert [used(tmp_path / "a", split=split) for split in ("train", "test", "train_prefs")] == [7, 2, 100]
    with pytest.raises(
        DataError, match=r"data files of split 'validation'.*found data/test-00000-of-00001.parquet, data/train-0"
    ):
        used(tmp_path / "a", split="validation")
    write(tmp_path / "b/pairwise/train.jsonl", 5)
    write(tmp_path / "b/pointwise/train.jsonl", 6)
    write(tmp_path / "b/my-validation.v2.jsonl", 1)
    assert used(tmp_path / "b", split="train", subset="pairwise") == 5 and used(tmp_path / "b", split="train") == 11
    assert used(tmp_path / "b", split="validation") == 1 and used(tmp_path / "b/pairwise/train.jsonl", split="test") == 5


def test_a_pattern_names_files_that_do_not_say_their_split(tmp_path):
    write(tmp_path / "v2/dpo/pairs.jsonl", 3)
    write(tmp_path / "v1/pairs.jsonl", 9)

    class Second(Pairs):
        """Its second version."""

        repository_files = "v2/dpo/*.jsonl"

    assert read(Second(tmp_path, card=CARD, split="train")).manifest["used"] == 3
    (tmp_path / "v2/dpo/pairs.jsonl").unlink()
    with pytest.raises(DataError, match=r"files named v2/dpo/\*\.jsonl in .*; found v1/pairs.jsonl"):
        read(Second(tmp_path, card=CARD))


@pytest.fixture
def on_hub(monkeypatch):
    """The calls of `load_dataset`, which gives seven rows, as a stream where one is asked for."""
    calls = []

    def load(*args, **options):
        calls.append((args, options))
        table = datasets.Dataset.from_list(rows(7))
        split = options.get("split")
        data = {split or "train": table.to_iterable_dataset() if options["streaming"] else table}
        return data[split] if split else datasets.DatasetDict(data)

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *args, **options: type("Info", (), {"sha": "abc123"}))
    return calls


@pytest.mark.parametrize("streaming", [False, True])
def test_the_hub_is_read_at_the_pinned_revision(on_hub, streaming):
    reader = Reader(Pairs(card=CARD, split="train", subset="small", streaming=streaming))
    first = next(iter(reader))
    assert first.where == "some/pairs:row 1" and reader.manifest is None
    assert len(list(reader)) == 7 and reader.manifest["commit_read"] == "abc123" and reader.manifest["revision"] == "4f3c0ffee"
    args, options = on_hub[-1]
    assert args == ("some/pairs", "small") and options == {"revision": "abc123", "streaming": streaming, "split": "train"}


def test_another_dataset_in_the_same_shape_is_not_at_the_pinned_revision(on_hub, monkeypatch):
    asked = []
    monkeypatch.setattr("basereward.data_place.commit_on_hub", lambda card: asked.append((card.hub_id, card.revision)))
    assert used("my/pairs", split="train") == 7 and asked == [("my/pairs", None)]


def test_a_pattern_goes_to_the_hub_as_data_files(on_hub):
    with pytest.raises(DataError, match="expected the columns of recipe=hh_rlhf"):
        read(HHRLHF(card={"hub_id": "Anthropic/hh-rlhf"}, split="test", subset="harmless-base"))
    args, options = on_hub[-1]
    assert args == ("Anthropic/hh-rlhf", None) and options["data_files"] == {"test": "harmless-base/test.jsonl.gz"}
    read_all = HHRLHF(card={"hub_id": "Anthropic/hh-rlhf"}, split="test")
    assert read_all.data.pattern == "*/test.jsonl.gz"


def test_without_a_network_one_error_says_what_to_run(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        used()
    message = str(caught.value)
    assert "expected the dataset some/pairs at revision 4f3c0ffee of the Hub; found offline mode (HF_HUB_OFFLINE)" in message
    assert "hf download --repo-type dataset some/pairs --revision 4f3c0ffee --local-dir pairs; then give path=pairs" in message


def test_the_command_is_one_that_the_installed_client_takes():
    words = make_card(CARD).fetch_command().split()
    (script,) = entry_points(group="console_scripts", name=words[0])
    call = [sys.executable, "-c", f"from {script.module} import {script.attr}; {script.attr}()", *words[1:], "--help"]
    shown = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0 and "--local-dir" in shown.stdout and "--revision" in shown.stdout
    wrong = subprocess.run([*call[:-1], "--local-dri", "x"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode != 0, "an unknown option is refused, so those above are known"


def test_a_connection_lost_on_the_way_says_where(on_hub, monkeypatch):
    def breaking(data):
        yield from rows(3)
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(hub, "stored_rows", breaking)
    with pytest.raises(DataError, match=r"lost after some/pairs:row 3: reset by peer.*hf download"):
        used(streaming=True)


def test_rows_inside_archives_of_the_repository_are_fetched_first(on_hub):
    class Packed(Pairs):
        """Its rows are zipped."""

        rows_in_archive = True

    with pytest.raises(DataError, match="its rows lie in archives.*hf download --repo-type dataset some/pairs"):
        read(Packed(card=CARD))
    assert not on_hub


def test_a_missing_image_is_counted_for_public_sets_and_a_mistake_in_ones_own(tmp_path):
    (tmp_path / "a.png").write_bytes(picture())
    file = tmp_path / "rows.jsonl"
    lines = [row | {"image": image} for row, image in zip(rows(3), ("a.png", "gone.png", "text.png"), strict=True)]
    (tmp_path / "text.png").write_text("no picture")
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    data = read(Pairs(file, card=CARD))
    assert data.manifest["dropped"] == {"image missing": 1} and data.manifest["used"] == 1
    assert "hf download --repo-type dataset some/pairs" in data.manifest["notes"][0]
    for recipe in (Pairs(file), Pairs(file, card=CARD, on_missing_image="fail")):
        with pytest.raises(BadRows, match="expected the file to be there"):
            read(recipe)
    own = [{"prompt": "Q", "chosen": "a", "rejected": "b", "image": "gone.png"}]
    (tmp_path / "own.jsonl").write_text(json.dumps(own[0]))
    with pytest.raises(BadRows, match="image missing"):
        read(Custom(tmp_path / "own.jsonl", card=CARD))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadRows, match="not an image"):
        read(Pairs(file, card=CARD))
    blind = read(Pairs(file, card=CARD, text_only=True))
    assert blind.manifest["used"] == 3 and not blind.comparisons[0].images and "text only" in blind.manifest["notes"][0]
    assert [part["type"] for part in blind.comparisons[0].messages[0]["content"]] == ["text"]
    with pytest.raises(ConfigError, match="did you mean 'drop'"):
        Pairs(file, on_missing_image="dorp")


def test_a_missing_archive_of_images_is_said_at_once(tmp_path):
    write(tmp_path / "copy" / "train.jsonl", 1, image="a.png")
    with pytest.raises(
        DataError, match=r"archive of images images\.zip; found no such file; fetch it: hf download .* --local-dir /"
    ):
        used(tmp_path / "copy", image_root="images.zip")
    with pytest.raises(DataError, match=r"fetch it: hf download --repo-type dataset some/pairs"):
        used(image_root="images.zip")


def test_a_later_row_without_a_column_is_a_problem_of_that_row(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows(2), {"question": "Q"}, ["no", "row"]]))
    with pytest.raises(BadRows) as caught:
        read(Pairs(file))
    assert [(item.kind, item.where[-2:]) for item in caught.value.problems] == [
        ("missing columns", ":3"),
        ("missing columns", ":4"),
    ]
    assert "expected `good`, `bad`; found the columns question" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            {"question": "Q", "god": "a", "bad": "b"},
            "no `good` among the columns question, god, bad (perhaps `god` in the place of `good`)",
        ),
        ({"question": 3, "good": "a", "bad": "b"}, "found `question` = 3, not text"),
        (["a"], "found [['a']]"),
    ],
)
def test_the_first_row_tells_another_dataset(tmp_path, first, message):
    (tmp_path / "rows.jsonl").write_text(json.dumps(first) + "\n" if isinstance(first, dict) else json.dumps([first]))
    with pytest.raises(DataError) as caught:
        used(tmp_path / "rows.jsonl")
    text = str(caught.value)
    assert "expected the columns of recipe=" in text and "(some/pairs, revision 4f3c0ffee)" in text and message in text


def test_kinds_of_columns():
    picture_row = {"bytes": b"x", "path": None}
    yes = [
        ("a", "text"),
        (1.5, "number"),
        (2.0, "whole number"),
        (picture_row, "image"),
        ([], "list of image"),
        (["a"], "list of text"),
    ]
    yes += [
        ([{"role": "user", "content": "x", "name": "y"}], "list of {role, content}"),
        ('{"a": 1}', "JSON text"),
        (1, "text or number"),
    ]
    no = [(True, "number"), (1.5, "whole number"), ({"a": 1}, "image"), ([1], "list of text"), ({"role": "x"}, "{role, content}")]
    assert all(fits(value, kind) for value, kind in yes) and not any(
        fits(value, kind) for value, kind in [*no, ("a", "JSON text")]
    )
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        fits(1, "numbre")


def test_a_mistyped_key_of_a_recipe_with_options_is_named(tmp_path):
    node = {"_target_": "basereward.data_recipes.mm_rlhf_rewardbench.MMRLHFRewardBench", "path": "x.jsonl"}
    with pytest.raises(ConfigError, match="recipe.image_rot: .*did you mean 'image_root'"):
        build(node | {"image_rot": "x"}, "recipe")
    assert build(node | {"num_frames": 8, "split": None}).num_frames == 8


def test_no_path_and_no_hub_id():
    with pytest.raises(ConfigError, match="path: expected a file, a pattern"):
        Pairs()
    with pytest.raises(ConfigError, match="card.verified_on: expected 'real rows' or 'reference only'; found '2026-11-21'"):
        Pairs("a.jsonl", card={"verified_on": "2026-11-21"})
