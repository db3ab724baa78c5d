"""Nothing of the user's is written over, and what cannot be written or read is said before the work and without a traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import basereward
from basereward import evaluate, export, judging, runtime, score, scorer
from basereward.cli import main
from basereward.errors import BaseRewardError, CheckpointError, ConfigError, DataError
from basereward.recipes import Recipe
from basereward.settings import EvaluateSettings, ExportSettings, ScoreSettings

ROWS = [{"id": f"p{i}", "prompt": f"What is {i} + 1?", "chosen": f"{i + 1}.", "rejected": "No idea."} for i in range(5)]
CUSTOM = "basereward.benchmarks.custom.CustomBenchmark"


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def write_rows(file: Path, rows: list[dict]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def run_dir(saved_once, tmp_path) -> Path:
    """A finished run with a checkpoint, in a folder with other things."""
    run = tmp_path / "work" / "runs" / "mine"
    for name in ("final", "checkpoints/checkpoint-4"):
        shutil.copytree(saved_once, run / name)
    (run / "metrics.jsonl").write_text("{}\n")
    return run


@pytest.fixture
def no_model(monkeypatch):
    """Fails when a model is loaded: what is refused must be refused before."""

    def load(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(scorer.checkpoint, "load", load)


OUTS = [".", "final", "checkpoints", "checkpoints/checkpoint-4", "new", "final/new", "..", "../.."]


@pytest.mark.parametrize("model", ["", "final", "checkpoints/checkpoint-4"])
@pytest.mark.parametrize("out", OUTS)
@pytest.mark.usefixtures("no_model")
def test_an_export_never_touches_its_source(run_dir, model, out):
    before = files(run_dir)
    settings = ExportSettings(model=str(run_dir / model), out=str(run_dir / out), device="cpu", overwrite=True)
    for stage in (export.plan, export.run):
        with pytest.raises(ConfigError, match="out: expected a place apart"):
            stage(settings)
    assert files(run_dir) == before


@pytest.mark.usefixtures("no_model")
def test_a_link_to_the_source_is_the_source(run_dir, tmp_path):
    (tmp_path / "link").symlink_to(run_dir)
    with pytest.raises(ConfigError, match="apart"):
        export.export(run_dir, tmp_path / "link", device="cpu", overwrite=True)


@pytest.mark.usefixtures("no_model")
def test_a_folder_that_is_no_export_is_never_replaced(saved, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="replaces exports alone"):
        export.export(saved, tmp_path / "thesis", device="cpu", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "/proc/x", "/proc/version/x", "here/../.."])
@pytest.mark.usefixtures("no_model")
def test_an_export_has_a_place_of_its_own(saved, tmp_path, monkeypatch, capsys, out):
    (tmp_path / "empty" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty")
    assert main(["export", f"model={saved}", f"out={out}"]) == 2
    assert "error: out: expected" in capsys.readouterr().err


@pytest.fixture
def scoring(saved_once, tmp_path):
    def make(rows: list[dict], **options) -> ScoreSettings:
        given = write_rows(tmp_path / "in.jsonl", rows)
        paths = {"model": str(saved_once), "input": str(given), "output": str(tmp_path / "out.jsonl")}
        return ScoreSettings(**(paths | {"device": "cpu"} | options))

    return make


@pytest.mark.usefixtures("no_model")
def test_an_input_is_never_replaced_by_its_scores(scoring, tmp_path):
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "in.jsonl")
    for name in ("in.jsonl", "link.jsonl", "../" + tmp_path.name + "/in.jsonl"):
        with pytest.raises(ConfigError, match="apart from what is read"):
            score.run(scoring(ROWS, output=str(tmp_path / name), overwrite=True))
    given = write_rows(tmp_path / "o.jsonl.part.json", ROWS)
    with pytest.raises(ConfigError, match="apart from what is read"):
        score.run(scoring(ROWS, input=str(given), output=str(tmp_path / "o.jsonl"), overwrite=True))
    assert given.read_text().count("\n") == 5


@pytest.mark.usefixtures("no_model")
def test_a_models_file_is_never_replaced_by_scores(scoring, saved):
    with pytest.raises(ConfigError, match="apart from what is read"):
        score.run(scoring(ROWS, model=str(saved), output=str(saved / "config.json"), overwrite=True))


REFUSED = [
    ({"output": "/proc/s.jsonl"}, "output: expected a place that can be written"),
    ({"token_budget": 0}, "token_budget: expected"),
    ({"max_length": -1}, "max_length: expected"),
    ({"dtype": "foo"}, "dtype: 'foo'"),
    ({"device": "gpu"}, "device: expected"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
@pytest.mark.usefixtures("no_model")
def test_scoring_says_what_is_wrong_before_it_begins(scoring, options, message):
    for stage in (score.plan, score.run):
        with pytest.raises(ConfigError, match=message):
            stage(scoring(ROWS, **options))


@pytest.mark.usefixtures("no_model")
def test_an_empty_file_is_refused(scoring, tmp_path):
    with pytest.raises(DataError, match="expected at least one row"):
        score.run(scoring([]))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_half_a_character_does_not_stop_a_file(scoring, tmp_path):
    rows = [ROWS[0] | {"id": "a\ud800"}, ROWS[1] | {"chosen": "\udfff."}, ROWS[2]]
    score.run(scoring(rows))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a\ud800", "p1", "p2"] and "rewards" in lines[2]


def test_an_error_of_a_row_of_any_kind_is_its_own(scoring, tmp_path, monkeypatch):
    right = Recipe.comparison

    def comparison(self, row, where):
        if row["id"] == "p1":
            raise DataError("a row of another kind")
        return right(self, row, where)

    monkeypatch.setattr(Recipe, "comparison", comparison)
    assert score.run(scoring(ROWS)) == 1
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert ["error" in line for line in lines] == [False, True, False, False, False]


def judge(model: Path, pairs: Path, **options) -> EvaluateSettings:
    return EvaluateSettings(model=str(model), benchmark={"_target_": CUSTOM, "path": str(pairs)}, **({"device": "cpu"} | options))


@pytest.mark.usefixtures("no_model")
def test_judging_says_what_is_wrong_before_it_begins(saved, run_dir, tmp_path):
    pairs = write_rows(tmp_path / "pairs.jsonl", ROWS)
    wrong = [
        (judge(saved, pairs), "out: .* no place for the results"),
        (judge(saved, pairs, out=str(pairs)), "out: expected a folder to write, found the file"),
        (judge(saved, pairs, out="/proc/x"), "out: expected a place that can be written"),
        (judge(run_dir, pairs, dtype="foo"), "dtype: 'foo'"),
        (judge(run_dir, pairs, token_budget=0), "token_budget: expected"),
        (judge(run_dir, pairs, device="gpu"), "device: expected"),
    ]
    for settings, message in [
        *wrong,
        (EvaluateSettings(**(vars(judge(run_dir, pairs)) | {"device": "gpu"})), "device: expected"),
    ]:
        for stage in (evaluate.plan, evaluate.run):
            with pytest.raises(ConfigError, match=message):
                stage(settings)
    assert not (run_dir / "eval").exists()


def test_results_on_other_data_are_kept(run_dir, tmp_path):
    one, other = write_rows(tmp_path / "a" / "pairs.jsonl", ROWS), write_rows(tmp_path / "b" / "pairs.jsonl", ROWS[:3])
    for pairs in (one, other, other, one):
        assert evaluate.run(judge(run_dir, pairs)) == 0
    first, second = sorted((run_dir / "eval").iterdir())
    assert first.name == "pairs" and second.name.startswith("pairs-")
    numbers = [json.loads((folder / "results.json").read_text()) for folder in (first, second)]
    assert [n["num_comparisons"] for n in numbers] == [5, 3] and numbers[0]["version"] != numbers[1]["version"]
    assert numbers[0]["interval"] == judging.INTERVAL and "Clopper-Pearson" in judging.INTERVAL
    for _ in range(2):
        evaluate.run(judge(run_dir, one, out=str(tmp_path / "out")))
    with pytest.raises(ConfigError, match="out: expected a new folder, or one with results on version"):
        evaluate.run(judge(run_dir, other, out=str(tmp_path / "out")))


def test_results_come_last_and_whole(run_dir, tmp_path, monkeypatch):
    """What was there stays until the new file is whole; results that fail to be written leave samples that the next run goes on from."""
    pairs, out = write_rows(tmp_path / "pairs.jsonl", ROWS), tmp_path / "out"
    evaluate.run(judge(run_dir, pairs, out=str(out)))
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert set(before) == {"samples.jsonl", "results.json", "gallery.json", ".lock"}
    right = runtime.write_bytes

    def write_bytes(path, data):
        if path.name == "results.json":
            raise OSError("no space left on device")
        right(path, data)

    monkeypatch.setattr(runtime, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="no space"):
        evaluate.run(judge(run_dir, pairs, out=str(out), blind=True))
    assert (out / "results.json").read_bytes() == before["results.json"]
    monkeypatch.undo()
    (out / "results.json").unlink()
    assert evaluate.run(judge(run_dir, pairs, out=str(out))) == 0
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


@pytest.mark.parametrize("path", [None, 3, ""])
def test_no_model_is_said(path):
    with pytest.raises(ConfigError, match="model: expected"):
        basereward.load(path)


def test_the_models_own_positions_are_the_limit(saved_once):
    rm = basereward.load(saved_once, device="cpu")
    assert rm.max_length == rm.model.config.get_text_config().max_position_embeddings
    with pytest.raises(DataError, match=f"expected at most {rm.max_length} tokens"):
        rm.score("q", ["x" * 200_000])
    assert basereward.load(saved_once, device="cpu", max_length=77).max_length == 77


def test_too_long_is_never_left_out(run_dir, scoring, tmp_path):
    rows = [*ROWS[:2], ROWS[2] | {"chosen": "long " * 9000}]
    pairs = write_rows(tmp_path / "pairs.jsonl", rows)
    edit(run_dir / "final" / "config.json", lambda config: config["text_config"].update(max_position_embeddings=400))
    assert evaluate.run(judge(run_dir, pairs)) == 1
    numbers = json.loads((run_dir / "eval" / "pairs" / "results.json").read_text())
    lines = [json.loads(line) for line in (run_dir / "eval" / "pairs" / "samples.jsonl").read_text().splitlines()]
    assert (numbers["n"], numbers["failed"]) == (3, 1) and numbers["correct"] + numbers["ties"] + numbers["wrong"] == 2
    assert lines[2]["rewards"] is None and "expected at most 400 tokens" in lines[2]["error"] and lines[1]["error"] is None
    assert score.score_file(scoring(rows, model=str(run_dir))) == {
        "scored": 2,
        "failed": 1,
        "correct": 0,
        "tie": 0,
        "wrong": 0,
    } | {word: count for word, count in score.count(tmp_path / "out.jsonl").items() if word in ("correct", "tie", "wrong")}


def edit(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


BROKEN = {
    "no weights": ("model.safetensors", None, "expected weights"),
    "half a config": ("config.json", '{"model_type": "qwen', "config.json: expected a config in JSON"),
    "a list as config": ("config.json", "[]", "config.json: expected a config in JSON, found a list"),
    "a config of nothing": ("config.json", "{}", "expected a whole checkpoint"),
    "no tokenizer": ("tokenizer.json", None, "expected tokenizer.json"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_not_sent_to_the_hub(saved, name):
    file, content, message = BROKEN[name]
    (saved / file).unlink()
    if content is not None:
        (saved / file).write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        basereward.load(saved, device="cpu")
    text = str(caught.value)
    assert str(saved) in text and "restore the folder" in text and "hf download" not in text


def test_a_hub_id_is_still_sent_there(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BaseRewardError, match="hf download nobody/nothing"):
        basereward.load("nobody/nothing", device="cpu")


def test_the_card_names_the_image_processor_of_the_family(saved, tmp_path):
    card = (export.export(saved, tmp_path / "new", device="cpu") / "README.md").read_text()
    name = type(basereward.load(saved, device="cpu").encoder.image_processor).__name__
    assert f"(`{name}`)" in card and "relative to the largest of 1" in card and "$" not in card
