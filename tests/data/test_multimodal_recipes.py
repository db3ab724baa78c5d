"""What is particular to recipes of sets with pictures, beside the contract that all recipes keep."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from recipe_pictures import picture
from recipe_rows.vlfeedback import completions
from row_files import json_lines, put, zipped
from test_recipe_contract import NODES, fixture, make, write

from basereward.accounts import read
from basereward.config import build
from basereward.errors import ConfigError, DataError


def node(name: str, folder: Path, **options: object) -> dict:
    """The recipe's config with the rows of its set in a folder."""
    module = fixture(name)
    write(module, folder, module.ROWS)
    return NODES[name] | getattr(module, "OPTIONS", {}) | {"path": str(folder)} | options


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_sample_does_not_depend_on_what_else_is_read(tmp_path):
    half = node("r1_reward", tmp_path, share=0.5)
    data = read(build(half))
    names = {item.id for item in data.comparisons}
    out = {reason: n for reason, n in data.manifest["dropped"].items() if reason.endswith("not in the sample")}
    assert all(not reason.startswith("mm_rlhf") for reason in out) and 0 < sum(out.values()) < data.manifest["rows_read"]
    assert read(build(half)).manifest == data.manifest
    backwards = dict(reversed(half["parts"].items()))
    assert {item.id for item in read(build(half | {"parts": backwards})).comparisons} == names
    assert {item.id for item in read(build(half | {"seed": 1})).comparisons} != names


def test_the_share_is_the_papers_hundred_thousand(tmp_path):
    recipe = build(node("r1_reward", tmp_path, share=NODES["r1_reward"]["share"]))
    sizes = {"rlaif_v": 74_802, "vlfeedback": 80_258, "povid": 17_184, "wildvision": 10_383}
    assert recipe.share * sum(sizes.values()) == pytest.approx(100_000, rel=1e-3)
    empty = {"image": None, "question": "", "chosen": "", "rejected": ""}
    rows = ({"part": "rlaif_v", "number": number, "row": empty} for number in range(20_000))
    reasons = Counter(recipe.comparison(row, "").reason for row in rows)
    # Four standard deviations of a binomial count: sqrt(20,000 * 0.5476 * 0.4524) = 70.4.
    assert abs(reasons["rlaif_v: empty prompt"] - 20_000 * recipe.share) < 282
    assert sum(reasons.values()) == 20_000 and set(reasons) == {"rlaif_v: empty prompt", "rlaif_v: not in the sample"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 0.0}, "above 0"),
        ({"share": 1.5}, "up to 1"),
        ({"sampled": ["povd"]}, "did you mean 'povid'"),
        ({"parts": {"rlaifv": {}}, "sampled": []}, "parts: expected recipes of conf/recipe.*did you mean 'rlaif_v'"),
    ],
)
def test_r1_reward_refuses_what_it_cannot_sample(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        build(node("r1_reward", tmp_path, **options))


def test_a_copy_that_is_named_after_its_split_is_read_whatever_the_repository_calls_its_files(tmp_path):
    rlaif = node("rlaif_v", tmp_path)
    (tmp_path / "data").mkdir()
    for file in list(tmp_path.rglob("RLAIF-V-Dataset_*.parquet")):
        file.rename(tmp_path / "data" / "train-00000-of-00001.parquet")
    data = read(build(rlaif))
    assert data.manifest["files"] == ["train-00000-of-00001.parquet"] and data.manifest["used"]
    (tmp_path / "data" / "train-00000-of-00001.parquet").rename(tmp_path / "data" / "other.parquet")
    expected = r"files named RLAIF-V-Dataset_\*\.parquet, or data files of split 'train' .*found data/other\.parquet"
    with pytest.raises(DataError, match=expected):
        read(build(rlaif))


def test_a_part_is_read_from_its_own_path(tmp_path):
    whole = node("r1_reward", tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "rlaif_v").rename(elsewhere)
    parts = {"rlaif_v": {"path": str(elsewhere)}}
    data = read(build(whole | {"parts": parts, "sampled": ["rlaif_v"], "path": None}))
    assert [item.id for item in data.comparisons] == ["rlaif-v-7", "rlaif-v-8"]
    assert data.manifest["files"] == ["RLAIF-V-Dataset_000.parquet"] and data.manifest["rows_in_files"] == 6


def packed(folder: Path) -> Path:
    """A copy of MMPR's release with its annotations in their archive, as it is downloaded."""
    module = fixture("mmpr")
    names = {name: folder / name for name in module.FILE.values()}
    put(folder / "annotations.zip", zipped({name: file.read_bytes() for name, file in names.items()}))
    for file in names.values():
        file.unlink()
    return folder


def test_mmpr_reads_packed_and_unpacked_annotations_alike(tmp_path):
    options = node("mmpr", tmp_path)
    unpacked = read(build(options))
    packed(tmp_path)
    data = read(build(options))
    assert data.manifest["files"] == ["meta.json", "annotations.zip"] and data.manifest["dropped"] == unpacked.manifest["dropped"]
    assert [(item.group, item.responses) for item in data.comparisons] == [
        (item.group, item.responses) for item in unpacked.comparisons
    ]
    assert data.comparisons[2].where.endswith("annotations.zip::annotations/geo170k_prefix_pair.jsonl:3")
    assert len({item.id for item in data.comparisons}) == len(data.comparisons)


def test_mmpr_reads_unpacked_pictures_and_all_subsets(tmp_path):
    options = node("mmpr", tmp_path, exclude=[])
    parts = [tmp_path / f"images.zip_a{letter}" for letter in "abc"]
    zipfile.ZipFile(io.BytesIO(b"".join(part.read_bytes() for part in parts))).extractall(tmp_path)
    for part in parts:
        part.unlink()
    data = read(build(options))
    # One of RLAIF-V's two pictures is not in the release.
    assert data.manifest["dropped"]["image missing"] == 2 and "excluded: rlaif_v" not in data.manifest["dropped"]
    assert data.comparisons[0].images == (str(tmp_path / "images/geo170k/a/1.png"),)
    assert data.comparisons[-1].category == "openbmb/RLAIF-V-Dataset"


def test_mmpr_names_what_is_not_there(tmp_path):
    options = node("mmpr", tmp_path)
    with pytest.raises(ConfigError, match="exclude: expected a part of a subset's name.*found 'rlaif_w'"):
        read(build(options | {"exclude": ["rlaif_w"]}))
    packed(tmp_path)
    put(tmp_path / "annotations.zip", zipped({"annotations/geo170k_prefix_pear.jsonl": b""}))
    with pytest.raises(
        Exception, match="expected annotations/geo170k_prefix_pair.jsonl.*did you mean 'geo170k_prefix_pear.jsonl'"
    ):
        read(build(options))


def test_ties_are_kept_for_a_loss_that_reads_them(tmp_path):
    kept = {}
    for name in ("mm_rlhf", "wildvision", "llava_critic", "vlfeedback", "mm_rlhf_rankings"):
        data = read(build(node(name, tmp_path / name, keep_ties=True)))
        assert "tie" not in data.manifest["dropped"] and "all responses tied" not in data.manifest["dropped"]
        kept[name] = sum(not item.pairs and bool(item.ties) for item in data.comparisons)
    assert kept == {"mm_rlhf": 1, "wildvision": 3, "llava_critic": 3, "vlfeedback": 1, "mm_rlhf_rankings": 1}


@pytest.mark.parametrize(("num_frames", "pictures"), [(0, []), (3, [3]), (100, [12])])
def test_frames_of_a_video(tmp_path, num_frames, pictures):
    data = read(build(node("mm_rlhf", tmp_path, num_frames=num_frames)))
    assert [len(item.images) for item in data.comparisons if item.category == "video"] == pictures
    assert data.manifest["dropped"].get("video left out", 0) == (2 if num_frames == 0 else 0)


def test_a_negative_number_of_frames(tmp_path):
    with pytest.raises(ConfigError, match="num_frames: expected 0 or more"):
        build(node("mm_rlhf", tmp_path, num_frames=-1))


def test_vlfeedback_as_json_lines_with_pictures_named_after_the_id(tmp_path):
    """The older release: completions are a list of dicts, pictures lie in an archive."""
    nested = completions({"A cat.": ("5", "5", "5"), "A dog.": ("1", "5", "1")})
    rows = [{key: nested[key][index] for key in nested} for index in range(2)]
    put(tmp_path / "vlfeedback_80k.jsonl", json_lines([{"id": "svit-1", "prompt": "What?", "completions": rows}]))
    put(tmp_path / "merged_images.zip", zipped({"svit-1.jpg": picture()}))
    options = {"path": str(tmp_path / "vlfeedback_80k.jsonl"), "split": None, "image_root": "merged_images.zip"}
    (item,) = read(build(NODES["vlfeedback"] | options)).comparisons
    assert item.responses == ("A cat.", "A dog.") and item.images[0].endswith("merged_images.zip::svit-1.jpg")


def test_groups_are_made_once_and_hold_no_pictures(tmp_path):
    recipe = make("llava_critic_pointwise", tmp_path)
    first, second = list(recipe.rows()), list(recipe.rows())
    assert [row.get("group") for _, row in first] == [row.get("group") for _, row in second]
    held = [row["group"] for _, row in first if row.get("group")]
    assert [len(group) for group in held] == [3, 2, 1, 1] and all(
        isinstance(answer, str) for group in held for answer, _ in group
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("mm_rlhf", "hf download --repo-type dataset yifanzhang114/MM-RLHF --revision 29cfeea.* then give path=MM-RLHF"),
        ("mm_rlhf_rankings", "then give path=MM-RLHF"),
        ("mmpr", "then give path=MMPR-v1.2"),
        ("mmif", "then give path=MMIF-23k"),
        ("omnialign_v", "then give path=OmniAlign-V-DPO"),
        ("povid", "train2014.zip, and give the folder that it is in as image_root"),
        ("r1_reward", "then give path=MM-RLHF"),
    ],
)
def test_rows_without_their_pictures_are_not_read(name, advice):
    """From the Hub, every row of these would be dropped for its picture."""
    with pytest.raises(DataError, match=f"expected the pictures of .*which the Hub does not give with its rows.*{advice}"):
        read(build(NODES[name]))
