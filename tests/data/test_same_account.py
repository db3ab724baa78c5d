"""`data check`, `data show`, `data prepare` and training judge the rows of a file alike, and say the same counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from basereward import data_check, data_prepare
from basereward.accounts import Reader
from basereward.data_check import DataCheckSettings, make_recipe
from basereward.data_prepare import DataPrepareSettings
from basereward.mixture import load_data
from basereward.problems import BadRows
from basereward.show.rows import Rows

PAIR = {"prompt": "Which colour?", "chosen": "Red.", "rejected": "Blue."}
ROWS = [
    PAIR | {"image": "a.png"},
    PAIR | {"image": "gone.png"},
    PAIR | {"images": ["gone.png", "lost.png"]},
    PAIR | {"image": "text.png"},
    PAIR | {"images": ["text.png", "gone.png"]},
    PAIR | {"image": "cut.jpg"},
    {"prompt": "Rank.", "responses": ["a", "b"], "ranks": [0, 0]},
    {"prompt": "Rank.", "responses": ["a", "b", "c"], "ranks": [0, 0, 1]},
    {"prompt": "Rate.", "responses": ["a", "b"], "scores": [2.0, 2.0]},
    PAIR | {"rejected": "Red."},
    PAIR | {"chosen": "", "image": "gone.png"},
    PAIR | {"chosen": "", "rejected": "", "margin": "wide"},
    {"prompt": "Neither?", "answer": "x"},
    PAIR | {"prompt": "Text alone."},
]
# By hand, each row under its first problem; where pictures come separately, rows 2 and 3 are dropped, and row 5, which also holds a
# picture that is broken, is a problem all the same.
ACCOUNT = {"all responses tied": 2, "chosen equals rejected": 1, "empty response": 2, "image missing": 2, "missing keys": 1,
           "not JSON": 1, "not an image": 2, "truncated image": 1}  # fmt: skip
USED = ["1", "8", "14"]


@pytest.fixture
def file(tmp_path) -> Path:
    Image.new("RGB", (90, 30), "red").save(tmp_path / "a.png")
    Image.effect_noise((90, 60), 80).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-300])
    (tmp_path / "text.png").write_text("this is text")
    lines = [json.dumps(row) for row in ROWS]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, '{"prompt": "cut'[:9]]) + "\n")
    return tmp_path / "rows.jsonl"


def node(file: Path, missing: str) -> dict:
    return {"_target_": "basereward.data_recipes.custom.Custom", "path": str(file), "on_missing_image": missing}


def counts(account: dict) -> tuple:
    return account["rows_read"], account["used"], account["dropped"]


def test_the_account_by_hand(file):
    reader = Reader(make_recipe(DataCheckSettings(recipe=node(file, "drop"), path=str(file))), on_error="skip", progress=False)
    assert [item.where.rpartition(":")[2] for item in reader] == USED
    assert counts(reader.manifest) == (len(ROWS) + 1, len(USED), ACCOUNT)
    assert len(ROWS) + 1 == len(USED) + sum(ACCOUNT.values())


@pytest.mark.parametrize("missing", ["drop", "fail"])
def test_every_stage_has_the_same_account(missing, file, tmp_path, capsys):
    given = DataCheckSettings(recipe=node(file, missing), path=str(file))
    reader = Reader(make_recipe(given), on_error="skip", progress=False)
    comparisons = list(reader)
    rows = Rows(make_recipe(given))
    assert [item.where for item in rows] == [item.where for item in comparisons]
    assert (rows.rows_read, len(comparisons), dict(rows.dropped)) == counts(reader.manifest)
    with pytest.raises(BadRows, match=f"of {len(ROWS) + 1} read from"):
        data_check.run(given)
    words = capsys.readouterr().out.replace(",", "").split("\n")
    said = {name: [line for line in words if line.startswith(f"dropped: {name} ")] for name in ACCOUNT}
    assert all(lines[0].endswith(f" {ACCOUNT[name]}") for name, lines in said.items())
    data = {
        "sources": {"mine": node(file, missing)},
        "on_error": "skip",
        "prepared": str(tmp_path / "prepared"),
        "val_fraction": 0,
    }
    read = load_data(data, seed=0).manifest["sources"]["mine"]
    assert data_prepare.run(DataPrepareSettings(data, workers=1)) == 0
    prepared = load_data(data, seed=0).manifest["sources"]["mine"]
    assert len(list((tmp_path / "prepared").glob("*/manifest.json"))) == 1
    assert counts(read) == counts(prepared) == counts(reader.manifest)
