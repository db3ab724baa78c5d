"""The validation split takes whole prompts, and does not depend on order or place; the manifest accounts for every row."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from basereward.comparisons import Listed
from basereward.errors import ConfigError
from basereward.mixture import load_data
from basereward.records import parse_row
from basereward.split import new_names, set_apart

CUSTOM = "basereward.data_recipes.custom.Custom"


def make(prompts, **extra):
    rows = [
        {"id": f"r{i}", "prompt": prompt, "chosen": f"good {i}", "rejected": "bad"} | extra for i, prompt in enumerate(prompts)
    ]
    return [parse_row(row, where=f"a:{i}", image_root="/data") for i, row in enumerate(rows)]


def write(path, prompts, **extra):
    rows = [
        {"id": f"r{i}", "prompt": prompt, "chosen": f"good {i}", "rejected": "bad"} | extra for i, prompt in enumerate(prompts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def split_by_group(comparisons, **limits):
    """(train, validation) lists."""
    apart = set_apart(Listed(comparisons).groups(), **limits)
    return tuple(
        [item for item, is_apart in zip(comparisons, apart, strict=True) if is_apart == wanted] for wanted in (False, True)
    )


@pytest.mark.parametrize(
    ("n", "fraction", "maximum", "wanted"),
    [(200, 0.05, 1000, 10), (200, 0.5, 7, 7), (2, 0.05, 9, 1), (1, 0.5, 9, 0), (9, 0, 9, 0), (9, 0.5, 0, 0)],
)
def test_size_of_the_split(n, fraction, maximum, wanted):
    train, val = split_by_group(make([f"q{i}" for i in range(n)]), fraction=fraction, maximum=maximum, seed=0)
    assert (len(train), len(val)) == (n - wanted, wanted)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_whole(seed):
    rng = random.Random(seed)
    comparisons = make([f"q{rng.randrange(30)}" for _ in range(120)])
    train, val = split_by_group(comparisons, fraction=0.25, maximum=1000, seed=seed)
    assert not {item.group for item in train} & {item.group for item in val}
    assert 20 < len(val) <= 30 and len(train) + len(val) == 120
    assert train == [item for item in comparisons if item in train]


def test_groups_larger_than_the_share():
    train, val = split_by_group(make(["a"] * 10 + ["b"] * 6), fraction=0.05, maximum=1000, seed=0)
    assert (len(train), len(val)) == (10, 6)
    assert split_by_group(make(["a"] * 10), fraction=0.5, maximum=1000, seed=0)[1] == []


def test_the_split_depends_on_the_seed_alone(tmp_path):
    for name in ("a.png", "elsewhere.png"):
        (tmp_path / name).write_bytes(b"the same picture")
    comparisons = make([f"q{i}" for i in range(100)], image=str(tmp_path / "a.png"))
    moved = make([f"q{i}" for i in range(100)], image=str(tmp_path / "elsewhere.png"))
    shuffled = random.Random(0).sample(comparisons, 100)

    def ids(items, seed):
        return {item.id for item in split_by_group(items, fraction=0.2, maximum=1000, seed=seed)[1]}

    assert ids(comparisons, 0) == ids(shuffled, 0) == ids(moved, 0) != ids(comparisons, 1)


def test_a_split_of_two_images_with_one_prompt():
    comparisons = make(["q"] * 5, image="a.png") + make(["q"] * 5, image="b.png")
    train, val = split_by_group(comparisons, fraction=0.5, maximum=1000, seed=0)
    assert len(train) == len(val) == 5 and len({item.images for item in val}) == 1


def test_ids_are_made_unique():
    names = ["a", "a", "b", "a#2", "a", "b"]
    found = new_names(names)
    assert [found.get(k, name) for k, name in enumerate(names)] == ["a", "a#3", "b", "a#2", "a#4", "b#2"]


def test_two_sources_and_their_manifest(tmp_path):
    first = write(tmp_path / "a.jsonl", [f"q{i}" for i in range(30)])
    second = write(tmp_path / "b.jsonl", [f"p{i}" for i in range(10)])
    sources = {
        "one": {"_target_": CUSTOM, "path": first},
        "two": {"_target_": CUSTOM, "path": second, "card": {"licence": "MIT"}},
    }
    bundle = load_data({"sources": sources, "val_fraction": 0.25}, seed=3)
    assert (len(bundle.train), len(bundle.val)) == (30, 10) and {item.source for item in bundle.train} == {"one", "two"}
    manifest = bundle.manifest
    assert json.loads(json.dumps(manifest)) == manifest
    assert [(name, item["rows_read"], item["used"], item["licence"]) for name, item in manifest["sources"].items()] == [
        ("one", 30, 30, "unknown"),
        ("two", 10, 10, "MIT"),
    ]
    assert manifest["split"]["val_ids"] == [item.id for item in bundle.val] and manifest["split"]["seed"] == 3
    assert manifest["split"]["ids_made_unique"] == 10 and len({item.id for item in [*bundle.train, *bundle.val]}) == 40


def test_a_path_alone_and_data_val(tmp_path, caplog):
    train, val = write(tmp_path / "a.jsonl", ["q1", "q2"]), write(tmp_path / "b.jsonl", ["q2", "q3"])
    bundle = load_data({"path": train, "val": val}, seed=0)
    assert (len(bundle.train), len(bundle.val)) == (2, 2) and bundle.manifest["val_sources"]["val"]["used"] == 2
    assert bundle.manifest["split"]["groups_also_in_train"] == 1 and "also in the training data" in caplog.text
    node = {"_target_": CUSTOM, "path": val}
    assert [item.id for item in load_data({"path": train, "val": node}, seed=0).val] == ["r0", "r1"]


def test_the_data_seed_replaces_the_runs(tmp_path):
    path = write(tmp_path / "a.jsonl", [f"q{i}" for i in range(50)])
    splits = [
        load_data({"path": path, "seed": seed}, seed=run).manifest["split"]["val_ids"]
        for seed, run in [(5, 0), (5, 1), (None, 5), (None, 1)]
    ]
    assert splits[0] == splits[1] == splits[2] != splits[3]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pth": "a.jsonl"}, r"data\.pth.*did you mean 'path'"),
        ({}, "found neither"),
        ({"path": "a.jsonl", "sources": {"x": {}}}, "found both"),
        (
            {"sources": {"x": {"_target_": CUSTOM, "path": "a.jsonl", "weight": 2, "count": 1}}},
            r"data\.sources\.x: .* weight and count",
        ),
        ({"sources": {"x": {"_target_": CUSTOM, "path": "a.jsonl", "cap": 0}}}, r"data\.sources\.x\.cap.*from 1.*found 0"),
        (
            {"sources": {"x": {"_target_": CUSTOM, "path": "a.jsonl", "weight": 2}}, "temperature": 2.0},
            r"data\.temperature.*x\.weight",
        ),
        ({"path": "a.jsonl", "total": 0}, r"data\.total.*above 0"),
        ({"sources": {"x": {"_target_": CUSTOM, "pth": "a.jsonl"}}}, r"data\.sources\.x\.pth.*did you mean 'path'"),
        ({"sources": {"x": {"_target_": CUSTOM, "path": "a.jsonl"}}, "image_root": "/x"}, r"data\.image_root"),
        ({"sources": {"x": "a.jsonl"}}, r"data\.sources\.x: expected a recipe"),
        ({"path": "a.jsonl", "val_fraction": 1.0}, "val_fraction"),
        ({"path": "a.jsonl", "val_max": -1}, "val_max"),
    ],
)
def test_settings_that_cannot_be_used(config, message):
    with pytest.raises(ConfigError, match=message):
        load_data(config, seed=0)


def test_the_same_groups_are_set_apart_whatever_the_order_of_the_rows():
    groups = np.array([b"a", b"a", b"b", b"b", b"c", b"c", b"d", b"d"], dtype="S32")
    for seed in range(20):
        apart = set_apart(groups, fraction=0.25, maximum=9, seed=seed)
        turned = set_apart(groups[::-1], fraction=0.25, maximum=9, seed=seed)
        assert apart.sum() == 2 and np.array_equal(apart, turned[::-1])
