"""`basereward evaluate` from end to end on a tiny model: killed and continued, broken pictures, a group, and its samples alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from evaluation_script import check_page, recomputed
from PIL import Image

from basereward import checkpoint, cli, scored
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.report import render
from basereward.samples import read_samples
from basereward.scorer import Scorer

LINEAR = {"_target_": "basereward.heads.linear.LinearHead"}


def make_run(folder: Path, tiny: Path, seed: int) -> Path:
    model = RewardModel.from_backbone(load_backbone(tiny), LINEAR, seed=seed).eval()
    checkpoint.save(model, Encoder.from_folder(tiny), folder / "final", probe=[])
    return folder


@pytest.fixture(scope="module")
def runs(tiny_folder, tmp_path_factory) -> list[Path]:
    """Two runs whose models differ; not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / f"run{seed}", tiny_folder, seed) for seed in (1, 2)]


@pytest.fixture
def rows(tmp_path) -> Path:
    """Nine pairs on nine pictures, of which the fourth is no picture and the sixth is not there."""
    (tmp_path / "p").mkdir()
    given = []
    for k in range(9):
        Image.new("RGB", (56 + k, 56), (25 * k, 90, 10)).save(tmp_path / "p" / f"{k}.png")
        given.append({"id": f"i{k}", "query": f"Is it {k}?", "response": [f"Yes, {k}.", "No."], "image": f"p/{k}.png",
                      "human_ranking": [0, 1]})  # fmt: skip
        given[-1]["id"] = ("RLAIF-V-", "mathverse_", "wildvision-battle-")[k % 3] + str(k)
    (tmp_path / "p" / "3.png").write_bytes(b"nothing")
    (tmp_path / "p" / "5.png").unlink()
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    return file


def evaluate(run: Path, rows: Path, out: Path, *more: str) -> int:
    words = ["benchmark=vl_rewardbench", f"benchmark.path={rows}", f"out={out}", "device=cpu", *more]
    return cli.main(["evaluate", f"model={run}", *words])


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_broken_pictures_are_failures_and_nothing_else(runs, rows, tmp_path, capsys):
    assert evaluate(runs[0], rows, tmp_path / "out", "blind=true", "shuffled=true") == 1
    numbers, samples = results(tmp_path / "out"), read_samples(tmp_path / "out" / "samples.jsonl")
    assert [sample.id.partition("-")[0] for sample in samples if sample.error] == ["RLAIF", "wildvision"]
    assert "not an image" in samples[3].error and "image missing" in samples[5].error
    assert (numbers["n"], numbers["failed"]) == (9, 2) and numbers["correct"] + numbers["ties"] + numbers["wrong"] == 7
    assert numbers["accuracy"] == numbers["correct"] / 9 and numbers["accuracy_of_scored"] == numbers["correct"] / 7
    assert samples[3].rewards is None and samples[3].blind_rewards is not None and samples[3].tokens is not None
    assert sum(sample.shuffled_rewards is None for sample in samples) == 2, "two others were given the broken pictures"
    assert numbers["edition"].startswith("unknown: expected general 183") and numbers["legacy"] is not None
    printed = capsys.readouterr().out
    assert "2 items could not be scored" in printed and "failed" in printed and "legacy split" in printed


def test_generated_pictures_take_the_place_of_missing_ones_alone(runs, rows, tmp_path, capsys):
    assert evaluate(runs[0], rows, tmp_path / "out", "images=generate") == 1
    samples = read_samples(tmp_path / "out" / "samples.jsonl")
    assert [sample.placeholders for sample in samples] == [0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert results(tmp_path / "out")["placeholders"] == 1 and results(tmp_path / "out")["failed"] == 1
    assert "no result of this benchmark" in capsys.readouterr().out


def test_a_copy_without_any_picture_is_refused_at_the_start(runs, rows, tmp_path, monkeypatch, capsys):
    shutil.rmtree(tmp_path / "p")
    monkeypatch.setattr("basereward.scorer.load", None)
    assert evaluate(runs[0], rows, tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "found none of 9 files" in told and "hf download" in told and "images=generate" in told


class Killed(BaseException):
    """What no code catches."""


def killed_at(monkeypatch, call: int):
    right, calls = Scorer.score_comparisons, []

    def score_comparisons(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return right(self, *args, **kwargs)

    monkeypatch.setattr(Scorer, "score_comparisons", score_comparisons)
    return calls


@pytest.mark.parametrize("call", [1, 4, 6])
def test_killed_and_started_again_gives_the_same_bytes(runs, rows, tmp_path, monkeypatch, call):
    """Windows of two items, scored three ways each: 15 calls; what was done before the kill is not done again."""
    monkeypatch.setattr(scored, "WINDOW", 2)
    more = ("blind=true", "shuffled=true")
    evaluate(runs[0], rows, tmp_path / "whole", *more)
    with monkeypatch.context() as patch:
        killed_at(patch, call)
        with pytest.raises(Killed):
            evaluate(runs[0], rows, tmp_path / "out", *more)
    part = tmp_path / "out" / "samples.jsonl.part"
    written = (tmp_path / "whole" / "samples.jsonl").read_text().splitlines(keepends=True)
    with part.open("a") as file:  # as when it ends within the writing of a window: one item of two, and a half
        file.write(written[len(part.read_text().splitlines())] + '{"id": "half a li')
    with monkeypatch.context() as patch:
        calls = killed_at(patch, 0)
        evaluate(runs[0], rows, tmp_path / "out", *more)
    assert len(calls) == 15 - (call - 1) // 3 * 3
    whole, found = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("whole", "out"))
    assert found == whole and {"samples.jsonl", "results.json"} <= whole.keys() and not any(".part" in name for name in whole)


def test_another_model_starts_anew_and_says_so(runs, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scored, "WINDOW", 2)
    evaluate(runs[1], rows, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed_at(patch, 3)
        with pytest.raises(Killed):
            evaluate(runs[0], rows, tmp_path / "out")
    evaluate(runs[1], rows, tmp_path / "out")
    told = [line for line in capsys.readouterr().err.splitlines() if "starting anew" in line]
    assert len(told) == 1 and "was begun with another model" in told[0]
    assert (tmp_path / "out" / "samples.jsonl").read_bytes() == (tmp_path / "whole" / "samples.jsonl").read_bytes()


def test_a_group_is_one_command(runs, rows, tmp_path, monkeypatch, capsys):
    """Two of four members at hand: an error before a model is loaded, or two lines of the table and the reasons for the others."""
    six = {"prompt": "2 + 2?", "chosen": ["4", "4.", "*4*"], "rejected": ["5", "5.", "*5*"]}
    (tmp_path / "chat_filtered.json").write_text(json.dumps([{"id": 1} | six, {"id": 2} | six]))
    paths = {"vl_rewardbench": rows, "mm_rlhf_rewardbench": tmp_path / "gone.jsonl", "mmrb2": tmp_path / "gone.json"}
    words = ["evaluate", f"model={runs[0]}", f"out={tmp_path / 'out'}", "device=cpu", "benchmark=multimodal"]
    words += [f"benchmark.members.{name}.path={path}" for name, path in paths.items()]
    words += [f"+benchmark.members.rm_bench.path={tmp_path / 'chat_filtered.json'}"]
    with monkeypatch.context() as patch:
        patch.setattr("basereward.scorer.load", None)
        assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert "missing=skip" in told and "0_download_data.py" in told and "gone.jsonl" in told and not (tmp_path / "out").exists()
    assert cli.main([*words, "missing=skip"]) == 1, "the broken pictures of one member"
    printed = capsys.readouterr().out
    assert printed.count("\nmissing: ") == 3 and printed.count("results: ") == 2
    assert results(tmp_path / "out" / "rm_bench")["edition"].startswith("unknown") and results(
        tmp_path / "out" / "vl_rewardbench"
    )
    assert cli.main([*words, "--dry-run"]) == 0


def agree(out: Path) -> None:
    numbers, found = results(out), recomputed(out)
    for key in ("correct", "ties", "wrong", "failed"):
        assert found.get(key, 0) == numbers[key]
    assert found["accuracy"] == numbers["accuracy"] and found["macro"] == pytest.approx(numbers["macro"], abs=1e-12)
    check_page(render(out, out / "page.html"), out)


def test_the_script_of_the_document_gives_the_same_numbers(runs, rows, tmp_path):
    evaluate(runs[0], rows, tmp_path / "out")
    agree(tmp_path / "out")


@pytest.mark.skipif("BASEREWARD_REAL_DATA" not in os.environ, reason="set BASEREWARD_REAL_DATA to the folder of real rows")
def test_all_of_vl_rewardbench_on_generated_pictures(runs, tmp_path):
    """1,250 real questions and answers, each with a drawn picture: nothing fails, nothing is lost, and the result says what it is."""
    file = Path(os.environ["BASEREWARD_REAL_DATA"]) / "vl_rewardbench" / "data.json"
    assert evaluate(runs[0], file, tmp_path / "out", "images=generate") == 0
    numbers = results(tmp_path / "out")
    assert (numbers["n"], numbers["failed"], numbers["placeholders"], numbers["edition"]) == (1250, 0, 1250, "official")
    assert numbers["baselines"]["shorter_wins"] == pytest.approx(706 / 1250)
    agree(tmp_path / "out")
