"""``init_from`` another toolkit's reward model: its head is carried over, its bias stays where nothing trains it, or it is made new."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import foreign_folders
import pytest
import torch
import yaml
from foreign_folders import BIAS, FORMS
from part_nodes import HEADS, node
from safetensors.torch import load_file, save_file

from basereward import checkpoint, train
from basereward.backbone import load_backbone
from basereward.cli import main
from basereward.compose import compose
from basereward.config import build
from basereward.errors import CheckpointError, ConfigError
from basereward.export import export
from basereward.scorer import load
from basereward.settings import TrainSettings
from basereward.start import output_bias

RATE, STEPS = 1e-3, 3
LINEAR = "basereward.heads.linear.LinearHead"


@pytest.fixture
def rows(tmp_path) -> Path:
    """Rankings of four: the gradients of their rewards add up to 0 but for rounding, those of a pair to 0 exactly."""
    words = ("yes", "perhaps", "hardly", "no")
    pairs = [
        {"prompt": f"Is {i} a number?", "responses": [f"{word} {i}" for word in words], "scores": [3.0, 2.0, 1.0, 0.0]}
        for i in range(24)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return tmp_path / "rows.jsonl"


@pytest.fixture
def run_on(rows, tmp_path) -> Callable[..., TrainSettings]:
    """Settings of a short run on those rows; takes the run's name and more overrides."""
    fixed = ["data=custom", f"data.path={rows}", "batch.size=8", f"run.max_steps={STEPS}", "run.eval_every=1", "run.log_every=1",
             "run.tensorboard=false", f"optim.lr={RATE}", "optim.warmup=0", "run.final=last", "run.keep=9"]  # fmt: skip
    return lambda name, *overrides: compose("train", [*fixed, f"run.dir={tmp_path / name}", *overrides], TrainSettings)


@pytest.fixture
def foreign(twin, tmp_path):
    """A tiny backbone's name and a form -> a folder of another toolkit with its reference."""
    return lambda name, form: foreign_folders.build(twin(name), name, form, tmp_path / "foreign")


def recorded(settings: TrainSettings) -> dict:
    return yaml.safe_load((Path(settings.run.dir) / "config.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "form"), [*(("tiny", form) for form in FORMS), ("tiny_qwen2_5", "score"), ("tiny_qwen3", "v_head")]
)
def test_the_head_is_carried_over_and_trained(name, form, run_on, foreign):
    """AdamW moves a weight by at most about the rate in a step; a head that was drawn anew would be some 0.1 away."""
    theirs = foreign(name, form)
    settings = run_on("run", f"init_from={theirs.folder}")
    trainer, _, probe = train.prepare(settings)
    assert torch.equal(trainer.model.score.weight.detach(), theirs.weight)
    trainer.train()
    train.finish(trainer, settings, Path(settings.run.dir), probe)
    model, _ = checkpoint.load(settings.run.dir)
    moved = (model.score.weight.detach() - theirs.weight).abs().max()
    assert RATE / 10 < moved < 2 * STEPS * RATE
    if theirs.bias is not None:
        assert model.score.bias.item() == BIAS
    assert recorded(settings)["head"] == {"_target_": LINEAR, "output_bias": theirs.bias is not None, "init_scale": 1.0}
    with pytest.raises(ConfigError, match="another config"):
        train.run(run_on("run", f"init_from={theirs.folder}", "run.resume=true", "optim.lr=1e-4"))
    assert train.run(run_on("run", f"init_from={theirs.folder}", "run.resume=true")) == 0


def test_a_bias_is_trained_by_a_loss_that_sees_it(run_on, foreign):
    settings = run_on("run", f"init_from={foreign('tiny_qwen3', 'v_head').folder}", "loss=regression")
    train.run(settings)
    bias = checkpoint.load(settings.run.dir)[0].score.bias.item()
    assert RATE / 10 < abs(bias - BIAS) < 2 * STEPS * RATE


def test_a_bias_of_our_own_is_kept_too(run_on, capsys):
    """Trained by a regression, then unseen by Bradley-Terry; AdamW on gradients that are rounding alone would move it."""
    first = run_on("first", "loss=regression", "head.output_bias=true")
    train.run(first)
    bias = checkpoint.load(first.run.dir)[0].score[-1].bias.item()
    second = run_on("second", f"init_from={first.run.dir}")
    train.run(second)
    assert checkpoint.load(second.run.dir)[0].score[-1].bias.item() == bias != 0
    assert "is kept as it is: BradleyTerry does not see it" in capsys.readouterr().err


def test_adapters_keep_the_bias_also_after_a_resume(run_on, foreign):
    theirs = foreign("tiny", "v_head of a wrapper")
    words = ["parts=lora", "parts.lora.rank=4", f"init_from={theirs.folder}"]
    settings = run_on("run", *words)
    train.run(settings)
    run_dir, whole = Path(settings.run.dir), load(settings.run.dir, device="cpu")
    assert whole.model.score.bias.item() == BIAS and not torch.equal(whole.model.score.weight.detach(), theirs.weight)
    expected = whole.score("Is 3 a number?", ["yes", "no"])
    for name in ("final", f"checkpoints/checkpoint-{STEPS}"):
        shutil.rmtree(run_dir / name)
    train.run(run_on("run", *words, "run.resume=true"))
    again = load(run_dir, device="cpu")
    assert again.model.score.bias.item() == BIAS
    assert again.score("Is 3 a number?", ["yes", "no"]) == pytest.approx(expected, abs=1e-6)


def test_adapters_on_a_whole_model_of_ours_load_again(run_on):
    """Its folder is the base, whose vision tower is named ``model.visual``."""
    first = run_on("first")
    train.run(first)
    second = run_on("second", "parts=lora", "parts.lora.rank=4", f"init_from={first.run.dir}")
    train.run(second)
    base, _ = checkpoint.load(first.run.dir)
    model, _ = checkpoint.load(second.run.dir)
    assert torch.equal(model.model.visual.patch_embed.proj.weight, base.model.visual.patch_embed.proj.weight)


@pytest.mark.parametrize("source", ["foreign", "three labels", "plain", "ours"])
def test_a_new_head_on_the_backbone_of_init_from(source, run_on, foreign, twin, tmp_path):
    """The config's head, pooling and length normalisation; the backbone's weights are those of the source."""
    if source == "ours":
        train.run(first := run_on("first", "head=linear"))
        folder = Path(first.run.dir) / "final"
    else:
        folder = twin("tiny") if source == "plain" else foreign("tiny", "score").folder
    if source == "three labels":
        tensors = load_file(folder / "model.safetensors") | {"score.weight": torch.ones(3, 128)}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    settings = run_on("run", f"init_from={folder}", "head=mlp3_silu", "head.init=new", "pooling=mean", "reward.length_norm=true")
    trainer, _, _ = train.prepare(settings)
    model = trainer.model
    assert model.config.reward_head == node("head", "mlp3_silu") and model.config.reward_pooling == node("pooling", "mean")
    assert model.length_norm and recorded(settings)["head"]["init"] == "new"
    theirs = load_backbone(folder).state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in model.model.state_dict().items())


def test_without_head_init_new_a_backbone_or_a_classifier_is_refused_before_anything_is_written(run_on, foreign, twin, tmp_path):
    theirs = foreign("tiny_qwen3", "score").folder
    tensors = load_file(theirs / "model.safetensors") | {"score.weight": torch.ones(3, 128)}
    save_file(tensors, theirs / "model.safetensors", metadata={"format": "pt"})
    for folder, message in ((twin("tiny"), "plain qwen2_5_vl backbone"), (theirs, "3 labels")):
        for stage in (train.plan, train.run):
            with pytest.raises(CheckpointError, match=rf"{message}.*head\.init=new"):
                stage(run_on("run", f"init_from={folder}"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("broken", ["cut off", "a pickle", "another tokenizer"])
def test_a_broken_folder_is_one_error_with_a_new_head_too(broken, run_on, foreign):
    folder = foreign("tiny_qwen2_5", "score").folder
    file = folder / "model.safetensors"
    if broken == "cut off":
        file.write_bytes(file.read_bytes()[:5000])
        message = "expected weights in safetensors, found a file that cannot be read"
    elif broken == "a pickle":
        file.rename(folder / "pytorch_model.bin")
        message = r"found only .*pytorch_model\.bin is a pickle.*safetensors\.torch\.save_file"
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 100}))
        weights = load_file(file)
        save_file(
            weights | {"model.embed_tokens.weight": weights["model.embed_tokens.weight"][:100].clone()}, file, {"format": "pt"}
        )
        message = r"expected a tokenizer of at most 100 tokens, the vocab_size of config\.json, found"
    settings = run_on("run", f"init_from={folder}", "head.init=new")
    with pytest.raises(CheckpointError, match=message):
        train.prepare(settings)
    assert not Path(settings.run.dir).exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["head.init=keep"], r"head\.init: expected null.*or new; found 'keep'"),
        (["head.init=new", "head.output_bias=true"], r"head\.output_bias: BradleyTerry sees differences"),
        (["head=gated"], r"head: .*holds LinearHead.*found GatedHead.*head\.init=new"),
        (["pooling=mean"], r"pooling: .*holds LastToken.*found MeanOfResponse"),
        (["reward.length_norm=true"], r"was trained with False, found True.*head\.init=new"),
        (["backbone=tiny_qwen3"], r"init_from brings its own backbone"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_the_start_is_refused(words, message, run_on, foreign):
    settings = run_on("run", f"init_from={foreign('tiny', 'v_head').folder}", *words)
    with pytest.raises(ConfigError, match=message):
        train.prepare(settings)
    assert not Path(settings.run.dir).exists()


def test_the_plan_is_about_the_head_that_init_from_brings(run_on, foreign):
    """D = 128: a linear head with a bias has 129 weights."""
    told = train.plan(run_on("run", f"init_from={foreign('tiny', 'v_head').folder}"))
    assert LINEAR in told
    assert next(line for line in told.splitlines() if line.startswith("head  ")).split()[3] == "129"


@pytest.mark.parametrize("head", HEADS)
def test_the_output_bias_of_every_head_is_found(head):
    """Moving it moves every reward by as much; without one there is none."""
    module = build(node("head", head) | {"output_bias": True}, key="head", hidden_size=8)
    states = torch.randn(5, 8)
    before = module(states)
    output_bias(module).data += 0.5
    torch.testing.assert_close(module(states), before + 0.5)
    assert output_bias(build(node("head", head), key="head", hidden_size=8)) is None


def test_export_and_evaluate_read_another_toolkits_folder(foreign, rows, tmp_path, capsys):
    theirs = foreign("tiny", "value_head.safetensors")
    export(theirs.folder, tmp_path / "exported", device="cpu")
    question = [{"role": "user", "content": [{"type": "text", "text": "Is 3 a number?"}]}]
    found = load(tmp_path / "exported", device="cpu").score("Is 3 a number?", ["yes", "no it is not"])
    assert found == pytest.approx(theirs.rewards(question, ["yes", "no it is not"]), abs=1e-5)
    words = ["evaluate", f"model={theirs.folder}", "benchmark=custom", f"benchmark.path={rows}", f"out={tmp_path / 'eval'}"]
    assert main([*words, "device=cpu"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "eval" / "samples.jsonl").read_text().splitlines()]
    question[0]["content"][0]["text"] = "Is 0 a number?"
    assert lines[0]["rewards"] == pytest.approx(theirs.rewards(question, ["yes 0", "perhaps 0", "hardly 0", "no 0"]), abs=1e-5)
