"""What a first user types and meets: refused values, places that are not there, odd paths, advice that can be followed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from basereward import __version__, checks
from basereward.cli import main
from basereward.compose import compose, quoted
from basereward.config_folders import default_option
from basereward.errors import ConfigError, DataError
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.regression import Regression
from basereward.problems import RowError
from basereward.records import parse_prompt, parse_row
from basereward.settings import TrainSettings
from basereward.tied_rows import load_for

TRAIN = ["train", "run.dir=run"]
ROW = {"prompt": "Hi", "chosen": "Hello.", "rejected": "No."}
# override -> what the message names beside the key.
VALUES = {
    "run.seed=-1": "from 0", f"run.seed={10**20}": "from 0", "run.epochs=inf": "above 0", "run.device=tpu": "cuda:0",
    "run.device=meta": "cuda:0", "optim.beta1=2": "below 1", "optim.beta2=-0.1": "below 1", "optim.weight_decay=-1": "0 or above",
    "optim.max_grad_norm=-1": "0 or above", "optim.lr=inf": "at most 1", "optim.lr=nan": "at most 1", "optim.lr=1e30": "at most 1",
    "parts.lr.head=3": "at most 1", "head.width=-1": "above 0", "batch.workers=-1": "0 or above", "batch.on_long=cut": "drop",
    "batch.max_length=0": "above 0", "backbone.max_pixels=-5": "above 0", "backbone.max_pixels=100": "one image token",
    "+data.on_error=never": "skip", "backbone.path=/nope": "within run.dir", "init_from=/nope": "nothing at /nope",
    "head.bias=no": "write false", "head.bias=maybe": "true or false, found 'maybe'", "head.output_bias=off": "write false",
    "head.bias=1": "true or false, found 1", "head.num_layers=two": "a whole number, found 'two'", "head.init_scale=-1": "0 or a",
    "head.num_layers=1.5": "a whole number, found 1.5", "head.dropout=none": "a number, found 'none'", "head.activation=1": "a text",
    "loss.unit=row": "comparison or pair", "parts.train=vision": "parts.train=[...]",
    "loss.label_smoothing=yes": "a number, found 'yes'", "head.width=true": "a whole number or null",
    "init_from=run_of/absent/final": "nothing at", "run.dir=pairs.jsonl/x": "is a file",
    "data={_target_: x}": "write +data={_target_: x}",
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "pairs.jsonl").write_text(json.dumps(ROW) + "\n")
    return tmp_path


def message(capsys, *words: str) -> str:
    """What a command that is refused says."""
    assert main(list(words)) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["run", "dry"])
@pytest.mark.parametrize("override", VALUES)
def test_a_wrong_value_is_refused_before_anything_is_read_or_written(override, dry, elsewhere, capsys, monkeypatch):
    monkeypatch.setattr("basereward.train.load_for", lambda *_, **__: pytest.fail("the data were read"))
    text = message(capsys, *TRAIN, override, *dry)
    assert override.partition("=")[0].strip("+") in text and VALUES[override] in text
    assert [path.name for path in elsewhere.iterdir()] == ["pairs.jsonl"]


def test_limits_between_which_no_picture_fits_are_refused(capsys):
    assert "backbone.min_pixels" in message(
        capsys, *TRAIN, "backbone.min_pixels=200000", "backbone.max_pixels=100000", "--dry-run"
    )


def test_a_device_that_is_not_here_is_refused_for_a_run_and_planned_elsewhere():
    checks.check_device("cuda:99", here=False)
    with pytest.raises(ConfigError, match=r"run\.device: found 'cuda:99'"):
        checks.check_device("cuda:99", here=True)


def test_a_dry_run_looks_for_the_data(capsys):
    assert "absent.jsonl" in message(capsys, *TRAIN, "data=custom", "data.path=absent.jsonl", "--dry-run")
    assert "gone.jsonl" in message(capsys, *TRAIN, "data=custom", "data.path=pairs.jsonl", "data.val=gone.jsonl", "--dry-run")


def test_a_directory_that_the_system_refuses_is_one_error(elsewhere, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "run.dir: run cannot be made (Permission denied)" in message(capsys, *TRAIN)


def test_a_failure_while_the_trainer_is_built_leaves_nothing(elsewhere, monkeypatch):
    from basereward import train

    def fail(self):
        raise ValueError("no loader")

    monkeypatch.setattr("basereward.trainer.RewardTrainer.get_train_dataloader", fail)
    short = ["data.sources.demo.n=8", "data.val.n=4", "run.tensorboard=false", "run.dir=run"]
    with pytest.raises(ValueError, match="no loader"):
        train.prepare(compose("train", short, TrainSettings))
    assert not (elsewhere / "run").exists()


class Held:
    """The config of a checkpoint with a linear head."""

    model_type = "qwen2_5_vl"
    reward_head = {"_target_": "basereward.heads.linear.LinearHead", "output_bias": False, "init_scale": 1.0}
    reward_pooling = default_option("train", "pooling")


@pytest.mark.parametrize(
    "override", ["head=mlp3_silu", "head=mlp", "head.num_layers=2", "pooling=mean", "backbone=tiny_qwen3", "backbone=qwen2_5_vl_3b",
                 "backbone.path=elsewhere"],
)  # fmt: skip
def test_another_part_than_the_one_of_init_from_is_refused(override):
    settings = compose("train", ["run.dir=run", "init_from=start", override], TrainSettings)
    with pytest.raises(ConfigError, match=rf"{re.split('[.=]', override)[0]}: start holds .* found "):
        checks.check_same_parts(settings, Held(), "start")


def test_a_pooling_that_is_the_default_and_was_typed_is_refused_where_the_start_has_another():
    class Mean(Held):
        reward_pooling: ClassVar = {"_target_": "basereward.pooling.mean.MeanOfResponse"}

    checks.check_same_parts(compose("train", ["run.dir=run", "init_from=start"], TrainSettings), Mean(), "start")
    checks.check_same_parts(compose("train", ["run.dir=run", "init_from=start", "pooling=mean"], TrainSettings), Mean(), "start")
    with pytest.raises(ConfigError, match=r"pooling: start holds MeanOfResponse, found LastToken"):
        checks.check_same_parts(
            compose("train", ["run.dir=run", "init_from=start", "pooling=last"], TrainSettings), Mean(), "start"
        )


def test_the_backbone_of_an_experiment_gives_way_to_the_one_of_init_from(monkeypatch, caplog):
    """What was typed stays: how it sees; what the experiment says of computing stays too."""
    caplog.set_level("INFO")
    monkeypatch.setattr(checks, "fetch_config", lambda *_, **__: Held())
    monkeypatch.setattr(checks.checkpoint, "resolve", lambda path: path)
    words = ["experiment=basereward_7b", "data=demo", "run.dir=run", "init_from=start", "backbone.min_pixels=3136"]
    settings = compose("train", words, TrainSettings)
    checks.settle_start(settings)
    checks.settle_start(settings)
    found = settings.backbone
    assert (found.path, found.revision, found.create, found.shape) == ("start", None, None, None)
    assert (found.min_pixels, found.max_pixels, found.gradient_checkpointing) == (3136, None, True)
    assert settings.head == Held.reward_head and caplog.text.count("which no one typed") == 1


def test_an_error_while_training_does_not_stand_on_the_line_of_the_bar(elsewhere, capsys, monkeypatch):
    from basereward.errors import BaseRewardError
    from basereward.trainer import RewardTrainer

    def fail(self, *_):
        raise BaseRewardError("diverged")

    monkeypatch.setattr(RewardTrainer, "training_step", fail)
    text = message(capsys, *TRAIN, "data.sources.demo.n=8", "data.val.n=4", "run.tensorboard=false", "run.max_steps=1")
    assert text.endswith("\nerror: diverged\n")


def test_a_run_inside_a_model_is_refused(elsewhere, capsys):
    (elsewhere / "final").mkdir()
    for name in ("config.json", "model.safetensors"):
        (elsewhere / "final" / name).touch()
    assert "lies in the model" in message(capsys, "train", "run.dir=final/sub/run", "--dry-run")


def test_an_adapter_without_rank_is_one_line_about_the_key(capsys):
    text = message(capsys, *TRAIN, "parts=lora", "parts.lora.rank=0", "--dry-run")
    assert text == "error: parts.lora.rank: expected a whole number of at least 1, found 0\n"


def test_tied_scores_are_not_to_be_dropped_for_a_loss_that_reads_them():
    with pytest.raises(RowError) as caught:
        parse_row({"prompt": "Hi", "responses": ["a", "b"], "scores": [3, 3]}, where="a.jsonl:1")
    (problem,) = caught.value.problems
    assert "data.keep_ties=true" in problem.advice and "regression" in problem.advice and "drop" not in problem.advice


TIED = [ROW, {"prompt": "Hi", "responses": ["a", "b"], "scores": [3, 3]}]


@pytest.mark.parametrize("words", [[], ["data.on_error=skip"]], ids=["refused", "skipped"])
def test_a_loss_that_reads_scores_says_how_to_keep_equal_ones(words, elsewhere, caplog):
    (elsewhere / "tied.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TIED))
    data = compose("train", ["data=custom", "data.path=tied.jsonl", "run.dir=run", *words], TrainSettings).data
    expected = "learns from .*keep them with data.keep_ties=true"
    if words:
        load_for(Regression(), data, seed=0)
        load_for(BradleyTerry(), data, seed=0)
        assert len(re.findall(expected, caplog.text)) == 1 and "custom: 1 row left out" in caplog.text
        return
    with pytest.raises(DataError, match=f"Regression {expected}"):
        load_for(Regression(), data, seed=0)
    with pytest.raises(DataError) as caught:
        load_for(BradleyTerry(), data, seed=0)
    assert "learns from" not in str(caught.value)
    assert load_for(Regression(), data | {"keep_ties": True}, seed=0).manifest["sources"]["custom"]["used"] == 2


def test_of_several_sources_the_one_with_ties_is_named(elsewhere, caplog):
    (elsewhere / "tied.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TIED))
    node = {"_target_": "basereward.data_recipes.custom.Custom"}
    sources = {"a": node | {"path": "pairs.jsonl"}, "b": node | {"path": "tied.jsonl"}}
    load_for(Regression(), {"sources": sources, "on_error": "skip"}, seed=0)
    assert "data.sources.b.keep_ties=true" in caplog.text and "data.sources.a" not in caplog.text


@pytest.mark.parametrize("index", [False, True], ids=["none", "a part"])
def test_weights_that_are_not_there_are_missed_before_the_data_are_read(index, elsewhere):
    """The config of a Hub model is in the cache, its weights are not all there, and there is no network."""
    cache = elsewhere / "hub" / "models--owner--name"
    (cache / "snapshots" / "abc").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    (cache / "snapshots" / "abc" / "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2Model"]}))
    if index:
        weights = {"metadata": {}, "weight_map": {"x": "model-00001-of-00001.safetensors"}}
        (cache / "snapshots" / "abc" / "model.safetensors.index.json").write_text(json.dumps(weights))
    words = ["backbone.path=owner/name", "backbone.create=null", "data=custom", "data.path=pairs.jsonl"]
    env = os.environ | {"HF_HUB_CACHE": str(elsewhere / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-m", "basereward.cli", *TRAIN, *words], capture_output=True, text=True, env=env)
    assert done.returncode == 2 and "owner/name: expected its weights; found" in done.stderr, done.stderr
    assert ("only a part of them" in done.stderr) == index and "rows read" not in done.stderr and not (elsewhere / "run").exists()


def test_the_record_names_the_head_that_init_from_brought(monkeypatch):
    monkeypatch.setattr(checks, "fetch_config", lambda *_, **__: Held())
    monkeypatch.setattr(checks.checkpoint, "resolve", lambda path: path)
    settings = compose("train", ["run.dir=run", "init_from=start"], TrainSettings)
    checks.settle_start(settings)
    assert settings.head == Held.reward_head and settings.pooling == Held.reward_pooling


def test_a_finished_run_from_another_model_is_the_same_run_when_asked_again(elsewhere, monkeypatch, capsys):
    from basereward import train
    from basereward.compose import to_yaml

    monkeypatch.setattr(checks, "fetch_config", lambda *_, **__: Held())
    monkeypatch.setattr(checks.checkpoint, "resolve", lambda path: path)
    words = ["run.dir=run", "init_from=start", "run.resume=true"]
    used = compose("train", words, TrainSettings)
    checks.settle_start(used)
    (elsewhere / "run").mkdir()
    (elsewhere / "run" / "config.yaml").write_text(to_yaml(used))
    monkeypatch.setattr(train, "is_finished", lambda _: True)
    assert train.run(compose("train", words, TrainSettings)) == 0
    assert "run is finished" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["-h"], ["train", "-h"], ["data", "check", "-h"]])
def test_a_short_flag_prints_help(words, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("basereward")


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"basereward {__version__}\n"


@pytest.mark.parametrize("value", ["/tmp/x ü/pairs.jsonl", "it's.jsonl", "a,b.jsonl", "pairs (1).jsonl", "ü\\", "ü\\'", "日本"])
def test_a_plain_value_arrives_as_it_was_typed(value):
    settings = compose("train", ["run.dir=run", "data=custom", f"data.path={value}"], TrainSettings)
    assert settings.data["path"] == value


@pytest.mark.parametrize(
    "override", ["optim.lr=1e-5", "+a.b=c", "~optim.lr", "data.sources=[1,", "a='b c'", "parts.train=[vision]"]
)
def test_what_hydra_reads_or_was_meant_for_it_is_left_alone(override):
    assert quoted(override) == override


def test_the_users_folder_is_meant_by_a_tilde(elsewhere, monkeypatch, capsys):
    """A shell leaves it as it is behind ``run.dir=``; a folder of that name would be made."""
    monkeypatch.setenv("HOME", str(elsewhere / "home ü"))
    words = ["run.dir=~/run", "init_from=~/mine", "data=custom", "data.path=~/pairs.jsonl"]
    settings = compose("train", words, TrainSettings)
    home = f"{elsewhere}/home ü"
    assert (settings.run.dir, settings.init_from, settings.data["path"]) == (f"{home}/run", f"{home}/mine", f"{home}/pairs.jsonl")
    assert f"nothing at {home}/model" in message(capsys, *TRAIN, "backbone.path=~/model", "backbone.create=null")


def test_a_folder_with_a_space_and_an_umlaut_works_in_every_stage(elsewhere, capsys):
    folder = elsewhere / "my ü"
    folder.mkdir()
    (folder / "pairs.jsonl").write_text((json.dumps(ROW) + "\n") * 2)
    assert main([*TRAIN, "data=custom", f"data.path={folder}/pairs.jsonl", "--dry-run"]) == 0
    assert main(["data", "check", f"path={folder}/pairs.jsonl"]) == 0
    assert "my ü" in capsys.readouterr().out
    assert f"no such folder {folder}" not in (
        said := message(capsys, "score", f"model={folder}/m", "input=pairs.jsonl", "output=o")
    )
    assert f"{folder}/m" in said


def test_a_required_section_stays(capsys):
    assert "a required section cannot be removed" in message(capsys, *TRAIN, "~optim")


def test_a_check_without_a_path_names_the_key(capsys):
    text = message(capsys, "data", "check")
    assert text.startswith("error: path:") and "add path=" in text


def test_advice_names_the_key_of_the_stage(elsewhere, capsys):
    (elsewhere / "bad.jsonl").write_text(json.dumps(ROW | {"chosen": ""}) + "\n" + json.dumps(ROW) + "\n")
    assert "data.on_error=skip" in message(capsys, "data", "check", "path=bad.jsonl")
    assert "data.on_error=skip" in message(capsys, *TRAIN, "data=custom", "data.path=bad.jsonl")


def test_a_missing_variable_is_named_with_what_it_holds(capsys, monkeypatch):
    monkeypatch.delenv("BASEREWARD_REAL_DATA", raising=False)
    text = message(capsys, *TRAIN, "data=real_mix", "--dry-run")
    assert "environment variable BASEREWARD_REAL_DATA" in text and "hh_rlhf/harmless-base_test.jsonl.gz" in text


def test_an_absent_path_says_which_data_files_are_there(capsys):
    text = message(capsys, "data", "check", "path=zzz.txt")
    assert "pairs.jsonl" in text and "other files" not in text


def test_the_account_of_a_source_is_words(caplog):
    from basereward.mixture import load_data

    caplog.set_level("INFO")
    load_data({"path": "pairs.jsonl"}, seed=0)
    assert "dropped none" in caplog.text and "1 comparison with one prompt" in caplog.text
    assert not re.search(r"[{}]", caplog.text)


def test_a_row_of_a_benchmark_gets_one_problem_with_advice_that_fits():
    row = {"id": "1", "query": "Which?", "image": "a.jpg", "response": ["a", "b"], "human_ranking": [0, 1]}
    with pytest.raises(RowError) as caught:
        parse_row(row, where="vl.jsonl:1")
    (problem,) = caught.value.problems
    assert "`query` to `prompt`" in problem.advice and "`response` to `responses`" in problem.advice
    assert "image" not in problem.advice and "`messages`" in problem.expected


@pytest.mark.parametrize("change", [{"prompt": "a\ud800"}, {"chosen": "\udc00"}, {"system": "\ud800"}, {"id": "\ud800"}])
def test_half_a_surrogate_pair_is_a_problem_of_the_row(change):
    with pytest.raises(RowError) as caught:
        parse_row(ROW | change, where="a.jsonl:1")
    assert [problem.kind for problem in caught.value.problems] == ["not valid text"]
    str(caught.value).encode("utf-8")


def test_half_a_surrogate_pair_is_a_problem_of_a_prompt():
    with pytest.raises(RowError, match="half of a surrogate pair"):
        parse_prompt("a\ud800")


def test_a_margin_may_be_negative():
    assert parse_row(ROW | {"margin": -0.5}, where="a.jsonl:1").pairs[0].margin == -0.5


def test_the_rows_that_the_demo_leaves_are_read(elsewhere, capsys, monkeypatch):
    import sys

    makefile = (Path(__file__).resolve().parents[2] / "Makefile").read_text(encoding="utf-8")
    script = re.search(r"define WRITE_ROWS\n(.*?)\nendef", makefile, re.DOTALL)[1]
    monkeypatch.setattr(sys, "argv", ["-c", "rows of the demo"])
    exec(compile(script, "Makefile", "exec"), {})
    assert main(["data", "check", "path=rows of the demo/rows.jsonl"]) == 0
    assert "pixels of" in capsys.readouterr().out
