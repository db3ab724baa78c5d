"""What a run found of a benchmark in its training data stands in its manifest, and beside every later result."""

from __future__ import annotations

import json

import pytest
from run_settings import SMALL

from basereward import cli


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """Trained on 6 rows of text; two of them stand in a benchmark of three."""
    folder = tmp_path_factory.mktemp("overlap")
    rows = [
        {"prompt": f"Which number comes after {i}?", "chosen": f"It is {i + 1}.", "rejected": f"It is {i}."} for i in range(6)
    ]
    others = [{"prompt": "Which colour has snow?", "chosen": "White.", "rejected": "Black."}]
    val = [{"prompt": "Which colour has grass?", "chosen": "Green.", "rejected": "Red."}]
    for name, items in {"train": rows, "held_out": [*rows[:2], *others], "val": val}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    words = [word for word in SMALL if not word.startswith("data.") and word != "experiment=demo"]
    given = [
        "data=custom",
        f"data.path={folder}/train.jsonl",
        f"data.val={folder}/val.jsonl",
        f"data.overlap_with=[{folder}/held_out.jsonl]",
    ]
    assert cli.main(["train", "backbone=tiny", *given, *words, "run.max_steps=2", f"run.dir={folder}/run"]) == 0
    return folder / "run"


def judge(run_dir, file, capsys):
    assert cli.main(["evaluate", f"model={run_dir}", "benchmark=custom", f"benchmark.path={run_dir.parent / file}"]) == 0
    results = json.loads((run_dir / "eval" / file.split(".")[0] / "results.json").read_text())
    return results, capsys.readouterr().out


def test_the_manifest_and_the_results_say_what_was_found(run_dir, capsys):
    overlap = json.loads((run_dir / "data_manifest.json").read_text())["overlap"]
    found = overlap["benchmarks"]["held_out"]
    assert overlap["mode"] == "report" and found["items"] == [0, 1]
    assert found["sources"]["custom"]["comparisons"] == 2 and found["sources"]["val"]["comparisons"] == 0
    results, printed = judge(run_dir, "held_out.jsonl", capsys)
    assert results["overlap"] == found | {"mode": "report"}
    assert "overlap with the training data: 2 (66.7%) of its comparisons; 2 in custom" in printed
    assert results["without_overlap"]["n"] == 1 and "accuracy on the others" in printed


def test_a_benchmark_that_nobody_looked_for(run_dir, capsys):
    results, printed = judge(run_dir, "val.jsonl", capsys)
    assert results["overlap"] is None and "without_overlap" not in results
    assert "overlap with the training data: not checked; training with data.overlap_with=[val] checks it" in printed
