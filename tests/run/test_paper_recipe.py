"""The paper's experiments: what it states is what they hold, the rest is marked, they run on a tiny model and stop without weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from basereward import checkpoint, train
from basereward.compose import compose
from basereward.config_folders import config_folder, options
from basereward.memory import model_without_weights
from basereward.settings import TrainSettings

# Weights of the published checkpoints, as their repositories' safetensors metadata count them, language-model heads included (the 3B
# ties its own to the embeddings); vocabulary x width of that head; the width.
PUBLISHED = {
    "basereward_7b": (8_292_166_656, 152_064 * 3584, 3584), "basereward_3b": (3_754_622_976, 0, 2048),
    "basereward_32b": (33_452_718_336, 152_064 * 5120, 5120), "basereward_qwen2vl_7b": (8_291_375_616, 152_064 * 3584, 3584),
    "text_rm_qwen3_8b": (8_190_735_360, 151_936 * 4096, 4096),
}  # fmt: skip
TWINS = {"basereward_qwen2vl_7b": "tiny_qwen2_vl", "text_rm_qwen3_8b": "tiny_qwen3"}
RECIPE = config_folder() / "experiment" / "basereward_7b.yaml"
# What section 4 leaves open, as keys of the recipe.
NOT_STATED = {
    "epochs", "schedule", "warmup", "weight_decay", "max_grad_norm", "beta1", "beta2", "max_length", "on_long", "final", "eval_every",
    "/optim", "/parts", "/pooling",
}  # fmt: skip

each = pytest.mark.parametrize("name", PUBLISHED)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Twelve comparisons; every second one has a picture where the model sees."""
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    row = {"prompt": "What colour is it?", "chosen": "Red.", "rejected": "I do not know."}
    for file, picture in (("pairs.jsonl", {"images": ["red.png"]}), ("text.jsonl", {})):
        rows = [row | {"prompt": f"{k}. {row['prompt']}"} | (picture if k % 2 else {}) for k in range(12)]
        (tmp_path / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def settings_of(name: str, *overrides: str) -> TrainSettings:
    return compose(
        "train", [f"experiment={name}", "data=custom", "data.path=pairs.jsonl", "run.dir=run", *overrides], TrainSettings
    )


def test_no_experiment_of_the_paper_is_missing_here():
    assert set(PUBLISHED) == {name for name in options("experiment") if not name.startswith("demo")}


@each
def test_what_the_paper_states_is_what_it_holds(name):
    used = settings_of(name)
    assert used.optim.lr == 3e-6 and used.batch.size == 128 and used.reward.length_norm is False
    assert used.loss == {"_target_": "basereward.losses.bradley_terry.BradleyTerry", "label_smoothing": 0.0, "unit": "comparison"}
    assert used.head["_target_"].endswith("MLPHead") and (used.head["num_layers"], used.head["activation"]) == (2, "silu")
    size = re.search(r"\d+b", name)[0]
    assert size in used.backbone.path.lower() and ("VL" in used.backbone.path) == ("text" not in name)
    assert used.optim.precision == "bf16" and used.optim.algorithm["_target_"].endswith("AdamW")


@each
def test_its_data_are_those_of_the_paper(name):
    used = compose("train", [f"experiment={name}", "run.dir=run"], TrainSettings)
    mix = "text_mix" if name.startswith("text") else "basereward_mix"
    assert used.data == compose("train", [f"data={mix}", "run.dir=run"], TrainSettings).data
    assert sum("mmpr" in source for source in used.data["sources"]) == (mix == "basereward_mix")


def test_every_line_of_the_recipe_says_whether_the_paper_states_it():
    lines = [line for line in RECIPE.read_text(encoding="utf-8").splitlines() if re.match(r" +\S", line)]
    said = {re.sub(r"^ +(- override )?", "", line).partition(":")[0]: line.partition(" # ")[2] for line in lines}
    assert not [key for key, comment in said.items() if not comment.startswith(("stated", "not stated"))]
    assert {key for key, comment in said.items() if comment.startswith("not stated")} == NOT_STATED


@each
def test_the_plan_counts_the_published_weights(name):
    published, language_model_head, width = PUBLISHED[name]
    backbone = published - language_model_head
    total = backbone + width * width + 2 * width  # two layers, the first with a bias, the second to one number without
    used = settings_of(name)
    assert sum(p.numel() for p in model_without_weights(used).parameters()) == total
    text = "\n".join(train.weights_plan(used))
    assert f"trained: {total:,} of {total:,} weights" in text
    # 4 bytes a weight, 4 a gradient, 8 for two moments, and autocast's copies of the backbone.
    assert re.search(r"together +(\S+)", text)[1] == f"{(16 * total + 2 * backbone) / 2**30:.3g}"


@pytest.mark.parametrize("name", ["basereward_7b", "text_rm_qwen3_8b"])
@pytest.mark.parametrize(
    "word",
    ["data=demo", "backbone=tiny", "head=linear", "head=mlp5_silu", "pooling=mean", "loss=plackett_luce", "parts=lora",
     "optim=adamw_stochastic", "optim=adamw_8bit", "optim.lr=1e-5"],
)  # fmt: skip
def test_one_word_of_the_command_wins(name, word, pairs, monkeypatch):
    monkeypatch.chdir(pairs)
    key, _, value = word.partition("=")
    words = [f"experiment={name}", "run.dir=run", word] + (["data=custom", "data.path=pairs.jsonl"] if key != "data" else [])
    used = compose("train", words, TrainSettings)
    train.check(used)
    alone = compose("train", [word, "run.dir=run"], TrainSettings)
    if key == "optim":  # the rates and the schedule stay the recipe's
        assert used.optim.algorithm == alone.optim.algorithm and used.optim.precision == alone.optim.precision
    elif key == "optim.lr":
        assert used.optim.lr == 1e-5
    else:
        assert getattr(used, key) == getattr(alone, key)
    assert used.batch.size == 128 and used.optim.schedule == "cosine"


@each
def test_on_a_tiny_model_and_small_data_it_runs_to_the_end(name, pairs, monkeypatch, capsys):
    monkeypatch.chdir(pairs)
    twin = TWINS.get(name, "tiny")
    file = "text.jsonl" if twin == "tiny_qwen3" else "pairs.jsonl"
    used = settings_of(
        name,
        f"backbone={twin}",
        f"data.path={file}",
        "batch.size=4",
        "run.max_steps=3",
        "run.log_every=1",
        "run.tensorboard=false",
    )
    assert train.run(used) == 0
    assert "3 steps" in capsys.readouterr().out
    losses = [row["loss"] for row in map(json.loads, Path("run/metrics.jsonl").read_text().splitlines()) if "loss" in row]
    assert len(losses) == 3 and all(0 < loss < 5 for loss in losses)
    model, _ = checkpoint.load("run")
    assert {p.dtype.itemsize for p in model.parameters()} == {4}


def test_without_the_weights_it_stops_with_one_message(pairs):
    """The data are not looked for: those of the paper are not there either."""
    script = (
        "import sys; from basereward.cli import main\n"
        "for name in sys.argv[1:]: print(main(['train', f'experiment={name}', 'run.dir=run']))"
    )
    environment = os.environ | {"HF_HOME": str(pairs / "home"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", script, *PUBLISHED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=pairs, check=False)
    assert done.stdout.split() == ["2"] * len(PUBLISHED), done.stderr[-3000:]
    messages = done.stderr.splitlines()
    assert len(messages) == len(PUBLISHED)
    for name, message in zip(PUBLISHED, messages):
        assert message.startswith(f"error: cannot load {settings_of(name).backbone.path}:")
    assert not (pairs / "run").exists()
