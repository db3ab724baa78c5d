"""`basereward evaluate ... against=`: compared item by item after scoring, refused before it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from basereward import evaluate, scorer
from basereward.errors import DataError
from basereward.samples import read_samples
from basereward.settings import EvaluateSettings
from basereward.significance import compared


@pytest.fixture
def pairs(tmp_path) -> Path:
    """Six questions, each in two pairs."""
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"id": f"p{i}", "prompt": f"What is {i // 2} + 1?", "chosen": f"{i // 2 + 1}." + "!" * (i % 2), "rejected": "No idea."}
        for i in range(12)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def judge(saved: Path, pairs: Path, out: Path, **settings) -> EvaluateSettings:
    node = {"_target_": "basereward.benchmarks.custom.CustomBenchmark", "path": str(pairs)}
    return EvaluateSettings(model=str(saved), benchmark=node, out=str(out), device="cpu", **settings)


def with_reversed_rewards(folder: Path) -> Path:
    """Results of a model that says the opposite."""
    for name in ("results.json", "samples.jsonl"):
        shutil.copy(folder / name, folder.parent / "reversed" / name)
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    reversed_ = [line | {"rewards": [-reward for reward in line["rewards"]]} for line in lines]
    place = folder.parent / "reversed"
    (place / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reversed_[::-1]))
    return place


def test_two_evaluations_are_compared(saved, pairs, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    (tmp_path / "reversed").mkdir()
    assert evaluate.run(judge(saved, pairs, first)) == 0 and not (first / "against.json").exists()
    other = with_reversed_rewards(first)
    assert "against" not in capsys.readouterr().out
    assert evaluate.run(judge(saved, pairs, second, against=str(other))) == 0
    found = json.loads((second / "against.json").read_text())
    assert found.pop("other") == str(other) and found.pop("other_model") == str(saved)
    assert found == compared(read_samples(second / "samples.jsonl"), read_samples(other / "samples.jsonl"))
    assert found["only_here"] + found["only_there"] == 12 and found["num_prompts"] == 6
    said = capsys.readouterr().out
    assert f"against {other}" in said and "12 pairs share 6 prompts" in said
    assert evaluate.run(judge(saved, pairs, second)) == 0
    assert not (second / "against.json").exists(), "of an evaluation before"


def test_other_results_are_refused_before_the_model_is_loaded(saved, pairs, tmp_path, monkeypatch):
    first = tmp_path / "first"
    evaluate.run(judge(saved, pairs, first))
    monkeypatch.setattr(scorer, "load", lambda *args, **kwargs: pytest.fail("a model was loaded"))
    with pytest.raises(DataError, match=r"against: expected results with images=generate; found images=read"):
        evaluate.run(judge(saved, pairs, tmp_path / "second", against=str(first), images="generate"))
    pairs.write_text(pairs.read_text().replace("No idea", "None"))
    with pytest.raises(DataError, match=r"against: expected results of pairs, version sha256:"):
        evaluate.run(judge(saved, pairs, tmp_path / "second", against=str(first)))
