"""What a run found of a benchmark in its training data stands in its manifest, and beside every later result."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from run_settings import SMALL

from basereward import cli
from basereward.config import build
from basereward.errors import ConfigError
from basereward.hub import unreachable


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
    assert (
        f"overlap with the training data: not checked; training with data.overlap_with=[{run_dir.parent}/val.jsonl] checks it"
        in printed
    )


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
def test_planted_rows_of_a_public_benchmark_show_when_a_copy_of_it_is_judged(tmp_path, capsys, monkeypatch):
    """Six of VL-RewardBench's first 40 rows in training data, under other case and with swapped responses; judged on the 40."""
    monkeypatch.setattr("basereward.data_place.read_hub", _no_network)
    rows = json.loads((Path(os.environ["BASEREWARD_REAL_DATA"]) / "vl_rewardbench" / "data.json").read_text())[:40]
    (tmp_path / "copy.json").write_text(json.dumps(rows))
    (tmp_path / "under_another_name.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    planted = [row for row in rows if min(map(len, row["response"])) > 120][:6]
    train = [{"prompt": row["query"], "chosen": row["response"][1].upper(), "rejected": row["response"][0]} for row in planted]
    train += [{"prompt": row["query"], "chosen": f"Answer {i}.", "rejected": f"No {i}."} for i, row in enumerate(rows)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train))
    words = [word for word in SMALL if not word.startswith("data.") and word != "experiment=demo"]
    overlap = [f"data.overlap_with=[{{recipe: vl_rewardbench, path: {tmp_path}/copy.json}}, mm_rlhf_rewardbench]"]
    run = tmp_path / "run"
    given = ["data=custom", f"data.path={tmp_path}/train.jsonl", "data.val_fraction=0.1", *overlap, "batch.max_length=null"]
    assert cli.main(["train", "backbone=tiny", *given, *words, "run.max_steps=2", f"run.dir={run}"]) == 0
    found = json.loads((run / "data_manifest.json").read_text())["overlap"]
    assert list(found["not_checked"]) == ["mm_rlhf_rewardbench"]
    items = found["benchmarks"]["vl_rewardbench"]["items"]
    assert [rows[item] for item in items] == planted and found["benchmarks"]["vl_rewardbench"]["texts_alone"] == 40
    judged = ["benchmark=custom", f"benchmark.path={tmp_path}/under_another_name.jsonl"]
    assert cli.main(["evaluate", f"model={run}", *judged, "benchmark.recipe={recipe: vl_rewardbench, text_only: true}"]) == 0
    printed = capsys.readouterr().out
    assert (
        "overlap with the training data: 6 (15.0%) of its comparisons; " in printed and "looked for as vl_rewardbench" in printed
    )
    results = json.loads((run / "eval" / "under_another_name" / "results.json").read_text())
    assert results["overlap"]["found"] == 6 and results["without_overlap"]["n"] == 34


def _no_network(card, **_):
    raise unreachable(card, "no network here")


def custom(**options):
    node = {"_target_": "basereward.benchmarks.custom.CustomBenchmark", **options}
    return build(node, key="benchmark")


def test_a_file_in_another_shape_is_judged_by_the_name_of_a_recipe(tmp_path):
    row = {"pair_id": "1", "source": "mmlu-pro-law", "question": "q", "response_A": "a", "response_B": "b", "label": "B>A"}
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(row) + "\n")
    own = {"_target_": "basereward.data_recipes.judgebench.JudgeBench"}
    recipes = ["judgebench", {"recipe": "judgebench", "split": None}, own | {"path": str(file)}]
    for recipe in recipes:
        (item,) = custom(path=str(file), recipe=recipe).comparisons()
        assert (item.pairs[0].better, item.category) == (1, "knowledge")
    with pytest.raises(ConfigError, match=r"benchmark\.recipe: found no recipe 'judgebnch'; did you mean 'judgebench'"):
        custom(path=str(file), recipe="judgebnch")
    with pytest.raises(ConfigError, match=r"expected a recipe that reads benchmark\.path=.*found one that reads other\.jsonl"):
        custom(path=str(file), recipe=own | {"path": "other.jsonl"})
