"""The account of a file: counts, lengths, sizes, an example, and then its problems; nothing is written."""

from __future__ import annotations

import json
import os

import pytest
from basereward.data_recipes.custom import Custom
from PIL import Image

from basereward.accounts import read
from basereward.cli import main
from basereward.data_check import check
from basereward.encode import Encoder
from basereward.problems import Problem
from basereward.reading import read_file


@pytest.fixture
def file(tmp_path):
    Image.new("RGB", (90, 30), "red").save(tmp_path / "a.png")
    rows = [
        {"id": "one", "prompt": "Which colour?", "image": "a.png", "chosen": "Red, I think.", "rejected": "Blue."},
        {"id": "two", "prompt": "Rank these.", "responses": ["first", "second", "third"], "ranks": [0, 1, 2], "category": "text"},
        {"id": "three", "system": "Be brief.", "prompt": "Sum?", "chosen": "3", "rejected": " 4 "},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_everything_is_counted(file):
    lines = words(check(read(Custom(file))))
    for line in (
        "rows read 3", "used 3", "comparisons 3", "pairs 5", "different prompts 3", "responses each 2: 2, 3: 1",
        "images each 0: 2, 1: 1",
        "with a system prompt 1 (33.3%)", "category text 1 (33.3%)", "white space around the worse response 1 (20.0%)",
        "better response is longer (characters) 2 (40.0%)", "width 90 90 90 90 90 90 90 90",
        "longer / shorter side" + " 3.00" * 8,
        "2,048 to 4,095 1 " + "#" * 40, "image 1: 90 x 30, " + str(file.parent / "a.png"), "| user: <image>Which colour?",
        "response 0, preferred 1 time: Red, I think.",
    ):  # fmt: skip
        assert line in lines, line


def test_lengths_are_those_of_the_encoder(file, tiny_folder):
    encoder = Encoder.from_folder(tiny_folder)
    data = read(Custom(file))
    found = [encoder.length(item) for item in data.comparisons]
    text = check(data, encoder, max_length=max(item.longest for item in found) - 1, example=1)
    row = next(line.split() for line in text.splitlines() if line.startswith("prompt + longest"))
    assert (row[3], row[-1]) == tuple(f"{limit(item.longest for item in found):,}" for limit in (min, max))
    assert "(33.3%)" in next(line for line in text.splitlines() if line.startswith("longer than max_length"))
    assert "<|im_start|>user" in text and "response 0, preferred 2 times: first" in text


def test_the_command(file, capsys):
    before = sorted(os.listdir(file.parent))
    assert main(["data", "check", f"path={file}"]) == 0
    assert "rows read" in capsys.readouterr().out
    file.write_text(file.read_text() + '{"id": "cut", "prompt": "x\n')
    assert main(["data", "check", f"path={file}"]) == 2
    printed = capsys.readouterr()
    assert "dropped: not JSON" in printed.out and f"{file}:4 (cut): expected one JSON object" in printed.err
    assert main(["data", "check", f"path={file}", "--dry-run"]) == 0 and "nothing is written" in capsys.readouterr().out
    assert sorted(os.listdir(file.parent)) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["path=/nowhere/a.jsonl"], "there is no folder /nowhere"),
        ([], "path"),
        (["path={file}", "example=3"], "example: expected a number below 3"),
        (["path={file}", "max_length=8"], "add model="),
        (["path={file}", "recipe=hh_rlfh"], "did you mean 'hh_rlhf'"),
        (["pth={file}"], "path"),
    ],
)
def test_mistakes_are_one_message(file, capsys, words, message):
    assert main(["data", "check", *(word.format(file=file) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_lines_too_deep_and_lines_in_utf_16_are_problems_of_the_line(tmp_path):
    good = '{"prompt": "q", "chosen": "a", "rejected": "b"}\n'
    deep, wide = tmp_path / "deep.jsonl", tmp_path / "wide.jsonl"
    deep.write_text('{"prompt": "q", "chosen": "a", "rejected": "b", "meta": ' + "[" * 100_000 + "]" * 100_000 + "}\n" + good)
    wide.write_text(good * 2, encoding="utf-16")
    problems = [row for _, row in read_file(deep) if isinstance(row, Problem)]
    assert [problem.where for problem in problems] == [f"{deep}:1"] and "too deep" in problems[0].found
    problems = [row for _, row in read_file(wide) if isinstance(row, Problem)]
    assert problems and all("save the file as UTF-8" in problem.advice for problem in problems)
