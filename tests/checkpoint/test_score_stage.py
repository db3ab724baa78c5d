"""``basereward score``: one line for each row, failures counted, an interruption costs nothing but time."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from basereward import score
from basereward.errors import ConfigError
from basereward.settings import ScoreSettings


def write_rows(file: Path, rows: list) -> Path:
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return file


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def settings(saved_once, tmp_path):
    """Settings for a file of the given rows; one row is one window, so that an interruption can be anywhere."""

    def make(rows: list, **options) -> ScoreSettings:
        given = write_rows(tmp_path / "in.jsonl", rows)
        paths = {"model": str(saved_once), "input": str(given), "output": str(tmp_path / "out.jsonl")}
        return ScoreSettings(**(paths | {"device": "cpu"} | options))

    return make


PAIRS = [{"id": f"p{i}", "prompt": f"What is {i} + 1?", "chosen": f"{i + 1}.", "rejected": "No idea."} for i in range(5)]


def test_each_spelling_gives_its_line(settings, tmp_path):
    rows = [
        PAIRS[0] | {"category": "sums"},
        {"id": "ranked", "messages": [{"role": "user", "content": "Hi."}], "responses": ["A", "B", "C"], "ranks": [1, 0, 1]},
        {"id": "free", "prompt": "Hi.", "responses": ["A", "B", "B"]},
        {"id": "single", "prompt": "Hi.", "responses": ["A"]},
        {"id": "tied", "prompt": "Hi.", "responses": ["A", "B"], "scores": [3, 3]},
    ]
    assert score.run(settings(rows)) == 0
    lines = read(tmp_path / "out.jsonl")
    assert [line["id"] for line in lines] == ["p0", "ranked", "free", "single", "tied"]
    assert [len(line["rewards"]) for line in lines] == [2, 3, 3, 1, 2]
    assert [len(line["pairs"]) for line in lines] == [1, 2, 0, 0, 0]
    assert lines[0]["category"] == "sums" and set(lines[0]) == {"id", "source", "category", "rewards", "pairs"}
    for line in lines:
        for pair in line["pairs"]:
            assert (pair["outcome"] == "correct") == (line["rewards"][pair["better"]] > line["rewards"][pair["worse"]])
    assert np.allclose(lines[1]["rewards"][:2], lines[2]["rewards"][:2], atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_failures_are_counted_and_said(settings, tmp_path, capsys):
    (tmp_path / "text.png").write_text("not a picture")
    image = {"prompt": "What is this?", "chosen": "A", "rejected": "B"}
    rows = [
        PAIRS[0],
        image | {"id": "text", "images": ["text.png"]},
        image | {"id": "gone", "images": ["gone.png"]},
        {"id": "nan", "prompt": "Hi.", "responses": ["A", "B"], "scores": [1, float("nan")]},
        {"id": "markers", "prompt": "<image>?", "chosen": "A", "rejected": "B"},
        PAIRS[1],
        '{"id": "cut", "prom',
    ]
    assert score.run(settings(rows)) == 1
    lines = read(tmp_path / "out.jsonl")
    assert [line["id"] for line in lines] == ["p0", "text", "gone", "nan", "markers", "p1", "cut"]
    errors = {line["id"]: line["error"] for line in lines if "error" in line}
    assert list(errors) == ["text", "gone", "nan", "markers", "cut"]
    assert "not an image" in errors["text"] and "image missing" in errors["gone"] and "in.jsonl:7" in errors["cut"]
    assert "2 rows scored, 5 failed" in capsys.readouterr().out


def test_too_long_is_a_failure(settings, tmp_path):
    long = PAIRS[0] | {"id": "long", "prompt": "Why? " * 60}
    assert score.run(settings([long, PAIRS[0]], max_length=60)) == 1
    assert ["error" in line for line in read(tmp_path / "out.jsonl")] == [True, False]


class Stop(BaseException):
    """A kill in the middle."""


def interrupt_after(monkeypatch, count: int) -> None:
    """Ends scoring with ``Stop`` after ``count`` rows."""
    right = score.score_items

    def limited(rm, items, **options):
        yield from islice(right(rm, items, **options), count)
        raise Stop

    monkeypatch.setattr(score, "WINDOW", 1)
    monkeypatch.setattr(score, "score_items", limited)


def test_an_interrupted_output_is_continued(settings, tmp_path, monkeypatch):
    whole = settings(PAIRS)
    score.run(whole)
    expected = read(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").unlink()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(Stop):
            score.run(whole)
    part = tmp_path / "out.jsonl.part"
    assert not (tmp_path / "out.jsonl").exists() and len(read(part)) == 3
    part.write_text(part.read_text() + '{"id": "p3", "rewa')  # a kill may cut a line
    marked = part.read_text().replace('"p0"', '"kept"')
    part.write_text(marked)
    assert score.run(whole) == 0
    lines = read(tmp_path / "out.jsonl")
    assert [line["id"] for line in lines] == ["kept", "p1", "p2", "p3", "p4"]
    assert np.allclose([line["rewards"] for line in lines], [line["rewards"] for line in expected], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "named"), [({"dtype": "bfloat16"}, "dtype"), ({"max_length": 500}, "max_length"), ("input", "input_sha256")]
)
def test_an_interrupted_output_of_another_command_is_not_continued(settings, tmp_path, monkeypatch, change, named):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Stop):
            score.run(settings(PAIRS))
    rows, options = (PAIRS[::-1], {}) if change == "input" else (PAIRS, change)
    with pytest.raises(ConfigError, match=named):
        score.run(settings(rows, **options))
    assert score.run(settings(rows, overwrite=True, **options)) == 0
    assert len(read(tmp_path / "out.jsonl")) == 5


def test_an_output_is_not_replaced_unless_told_so(settings, tmp_path):
    (tmp_path / "out.jsonl").write_text("mine\n")
    with pytest.raises(ConfigError, match="overwrite=true"):
        score.run(settings(PAIRS))
    assert (tmp_path / "out.jsonl").read_text() == "mine\n"
    assert score.run(settings(PAIRS, overwrite=True)) == 0


def test_the_plan_writes_nothing(settings, tmp_path):
    assert "write" in score.plan(settings(PAIRS))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
