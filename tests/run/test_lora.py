"""LoRA: merged = unmerged, the base untouched, the folder and its base = the model, also in a new process and after a kill."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run_settings import SMALL, killed_while_saving
from safetensors.torch import load_file, save_file

from basereward import checkpoint, train
from basereward.adapters import has_lora, merge
from basereward.backbone import load_backbone
from basereward.errors import CheckpointError, ConfigError
from basereward.export import export
from basereward.records import parse_row
from basereward.run_directory import newest_checkpoint
from basereward.runtime import file_hash
from basereward.scorer import load

OVERRIDES = ("parts=lora", "parts.lora.rank=4", "parts.lora.lr=3e-3", "parts.lr.head=1e-3", "parts.train=[merger]", "optim.warmup=0",
             "run.final=last", "data.val.n=12", "data.sources.demo.n=48", "run.max_steps=6", "run.eval_every=3")  # fmt: skip


def comparisons() -> list:
    from PIL import Image

    rows = [
        {
            "prompt": "Which colour?",
            "images": [Image.new("RGB", (60, 90), "red")],
            "chosen": "Red.",
            "rejected": "Blue, I think.",
        },
        {"prompt": "Name a number.", "responses": ["7", "Seven is one.", "8"], "ranks": [0, 1, 1]},
    ]
    return [parse_row(row, where="here", default_id=str(i)) for i, row in enumerate(rows)]


def rewards(path: Path) -> np.ndarray:
    return np.concatenate(list(load(path).score_comparisons(comparisons())))


@pytest.fixture(scope="module")
def run_once(tmp_path_factory) -> tuple[Path, str, np.ndarray]:
    """A finished run, the hash of its base before it, and the rewards of the trained model in memory."""
    from basereward.compose import compose
    from basereward.scorer import Scorer
    from basereward.settings import TrainSettings

    run_dir = tmp_path_factory.mktemp("lora") / "run"
    settings = compose("train", [*SMALL, *OVERRIDES, f"run.dir={run_dir}"], TrainSettings)
    trainer, _, probe = train.prepare(settings)
    before = file_hash(run_dir / "backbone" / "model.safetensors")
    trainer.train()
    inside = np.concatenate(list(Scorer(trainer.model.eval(), trainer.encoder).score_comparisons(comparisons())))
    train.finish(trainer, settings, run_dir, probe)
    return run_dir, before, inside


@pytest.fixture
def run(run_once, tmp_path) -> Path:
    """A copy, with its base, in another place."""
    return Path(shutil.copytree(run_once[0], tmp_path / "elsewhere"))


def test_the_folder_holds_adapters_head_and_no_base(run_once):
    folder = run_once[0] / "final"
    assert not (folder / "model.safetensors").exists()
    assert not [f for f in folder.iterdir() if f.suffix in (".bin", ".pt", ".pth", ".pkl")]
    trained = load_file(folder / "trained.safetensors")
    assert {"score.0.weight", "score.0.bias", "score.2.weight", "model.visual.merger.ln_q.weight"} <= trained.keys()
    assert all(name.startswith(("score.", "model.visual.merger.")) for name in trained)
    adapters = load_file(folder / "adapter_model.safetensors")
    assert len(adapters) == 2 * 7 * 3 and all(tensor.any() for tensor in adapters.values())
    assert json.loads((folder / "config.json").read_text())["reward_base"]["sha256"] == {"model.safetensors": run_once[1]}


def test_the_base_stays_bit_identical(run_once):
    run_dir, before, _ = run_once
    assert file_hash(run_dir / "backbone" / "model.safetensors") == before
    model, _ = checkpoint.load(run_dir)
    base = load_backbone(run_dir / "backbone").state_dict()
    kept = {name.replace(".base_layer", ""): p for name, p in model.model.state_dict().items() if ".lora_" not in name}
    assert kept.keys() == base.keys()
    assert {name for name in base if not torch.equal(base[name], kept[name])} == {
        n for n in base if n.startswith("visual.merger")
    }


def test_loaded_in_a_new_process_it_gives_the_same_rewards(run_once):
    run_dir, _, inside = run_once
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_lora; from pathlib import Path
print(test_lora.rewards(Path({str(run_dir)!r})).tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(np.array(json.loads(done.stdout)) - inside).max() <= 1e-6


def test_merged_is_unmerged_in_float32(run_once):
    model, encoder = checkpoint.load(run_once[0])
    before = [checkpoint.rewards_alone(model, encoder, c) for c in comparisons()]
    without = load_backbone(run_once[0] / "backbone")
    assert has_lora(model) and not has_lora(merge(model))
    after = [checkpoint.rewards_alone(model, encoder, c) for c in comparisons()]
    assert max(np.abs(a - b).max() for a, b in zip(before, after)) <= 1e-6
    assert "reward_base" not in model.config.to_dict()
    name = "language_model.layers.1.mlp.up_proj.weight"
    assert (model.model.state_dict()[name] - without.state_dict()[name]).abs().max() > 1e-4  # the adapters did something


def test_export_merges_and_new_runs_start_from_it(run_once, small, tmp_path):
    run_dir, _, inside = run_once
    export(run_dir, tmp_path / "merged")
    assert np.abs(rewards(tmp_path / "merged") - inside).max() <= 1e-6
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert "reward_base" not in json.loads((tmp_path / "merged" / "config.json").read_text())
    with pytest.raises(ConfigError, match="basereward export model="):
        train.prepare(small("on", "parts=lora", f"init_from={run_dir}"))
    trainer, _, _ = train.prepare(small("on", "parts=lora", f"init_from={tmp_path / 'merged'}"))
    assert trainer.model.config.reward_base["path"] == str(tmp_path / "merged")
    full, _, _ = train.prepare(small("full", f"init_from={run_dir}"))
    assert not has_lora(full.model)
    found = [checkpoint.rewards_alone(full.model, full.encoder, c) for c in comparisons()]
    assert np.abs(np.concatenate(found) - inside).max() <= 1e-6


def test_plain_peft_loads_the_adapters_onto_the_base(run_once):
    """An independent reader: peft's own loader on transformers' own model; attention is transformers' own too."""
    from peft import PeftModel
    from transformers import AutoModel

    run_dir = run_once[0]
    theirs = PeftModel.from_pretrained(AutoModel.from_pretrained(run_dir / "backbone"), run_dir / "final").base_model.model.eval()
    ours, encoder = checkpoint.load(run_dir)
    mine = {name: p for name, p in ours.model.named_parameters() if ".lora_" in name}
    assert mine.keys() == {name for name, _ in theirs.named_parameters() if ".lora_" in name}
    text = comparisons()[1]
    item = encoder.encode(text)
    ids = torch.tensor([[*item.prefix_ids, *item.response_ids[1]]])
    with torch.no_grad():
        reward = ours.score(theirs(input_ids=ids).last_hidden_state[0, -1:])
    assert reward.item() == pytest.approx(checkpoint.rewards_alone(ours, encoder, text)[1], abs=1e-5)


def test_a_directory_that_moved_with_its_base_still_loads(run, run_once, monkeypatch):
    config = json.loads((run / "final" / "config.json").read_text())
    config["reward_base"]["path"] = "/gone/backbone"
    (run / "final" / "config.json").write_text(json.dumps(config))
    assert np.abs(rewards(run) - run_once[2]).max() <= 1e-6


def lose_base(run: Path) -> None:
    shutil.rmtree(run / "backbone")
    edit_reference(run, path="/gone/backbone")


def edit_reference(run: Path, **values) -> None:
    file = run / "final" / "config.json"
    config = json.loads(file.read_text())
    config["reward_base"] |= values
    file.write_text(json.dumps(config))


def change_base(run: Path) -> None:
    file = run / "backbone" / "model.safetensors"
    weights = load_file(file)
    weights["language_model.norm.weight"][0] += 1e-6  # less than the probe would notice
    save_file(weights, file, metadata={"format": "pt"})


def drop(name: str, key: str):
    def change(run: Path) -> None:
        weights = load_file(run / "final" / name)
        weights.pop(key)
        save_file(weights, run / "final" / name)

    return change


def cut(name: str):
    return lambda run: (run / "final" / name).write_bytes((run / "final" / name).read_bytes()[:1000])


Q = "base_model.model.language_model.layers.0.self_attn.q_proj.lora_B.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_base, "their base is missing: expected it at /gone/backbone"),
        (change_base, "expected the base that the adapters were trained on.*model.safetensors"),
        (drop("trained.safetensors", "score.2.weight"), r"trained.safetensors.*missing: \['score.2.weight'\]"),
        (drop("trained.safetensors", "model.visual.merger.mlp.0.weight"), "had rewards"),
        (drop("adapter_model.safetensors", Q), "adapter_model.safetensors.*missing.*q_proj"),
        (cut("adapter_model.safetensors"), "adapter_model.safetensors: expected weights in safetensors"),
        (cut("trained.safetensors"), "trained.safetensors: expected weights in safetensors"),
        (lambda run: (run / "final" / "adapter_config.json").unlink(), "model.safetensors"),
        (lambda run: edit_reference(run, path=None), r"config.json: expected reward_base"),
    ],
)
def test_what_does_not_fit_is_refused(run, change, message):
    change(run)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(run)


def stop_after_first_checkpoint(settings) -> None:
    trainer, _, _ = train.prepare(settings)
    save = trainer._save_checkpoint

    def save_and_stop(model, trial):
        save(model, trial)
        raise KeyboardInterrupt

    trainer._save_checkpoint = save_and_stop
    with pytest.raises(KeyboardInterrupt):
        trainer.train()


def all_weights(folder: Path) -> dict[str, torch.Tensor]:
    return {f"{file.name}/{name}": t for file in folder.glob("*.safetensors") for name, t in load_file(file).items()}


RESUMED = {
    "lora": ("parts=lora", "parts.lora.rank=4", "parts.lora.dropout=0.1"),
    "lora, bf16, average": ("parts=lora", "parts.lora.rank=4", "optim.precision=bf16", "optim.average=0.9"),
    "stochastic rounding, average": ("optim=adamw_stochastic", "optim.algorithm.moments=bfloat16", "optim.average=0.99"),
    "kahan": ("optim=adamw_kahan", "parts=frozen_vision"),
    "average": ("optim.average=0.9", "parts=language_model", "parts.lr.head=1e-3"),
}


@pytest.mark.parametrize("case", RESUMED)
def test_resume_equals_uninterrupted(small, case):
    """Adapters, moments, remainders, averages and the stream of random numbers all go on, bit for bit."""
    same = (*RESUMED[case], "run.max_steps=6", "run.eval_every=3", "run.final=last", "data.val.n=8", "data.sources.demo.n=48")
    whole, parts = small("whole", *same), small("parts", *same)
    train.run(whole)
    stop_after_first_checkpoint(parts)
    parts.run.resume = True
    train.run(parts)
    for folder in ("final", "checkpoints/checkpoint-6"):
        a, b = (all_weights(Path(settings.run.dir) / folder) for settings in (whole, parts))
        assert a.keys() == b.keys() and [name for name in a if not torch.equal(a[name], b[name])] == []


def test_a_kill_while_a_checkpoint_with_adapters_is_written(small):
    settings = small("killed", *OVERRIDES)
    killed_while_saving(6, [*SMALL, *OVERRIDES, f"run.dir={settings.run.dir}"])
    newest = newest_checkpoint(Path(settings.run.dir))
    assert newest.name == "checkpoint-3"
    checkpoint.load(newest)
    settings.run.resume = True
    assert train.run(settings) == 0


def test_adapters_are_not_continued_on_another_base(small):
    settings = small("run", *OVERRIDES)
    stop_after_first_checkpoint(settings)
    file = Path(settings.run.dir) / "backbone" / "model.safetensors"
    weights = load_file(file)
    weights["language_model.norm.weight"] += 1
    save_file(weights, file, metadata={"format": "pt"})
    settings.run.resume = True
    with pytest.raises(CheckpointError, match="expected the base of these adapters"):
        train.run(settings)


def test_what_is_validated_and_saved_is_the_average(small):
    """The best checkpoint's weights are those that were scored; the ones as trained are kept apart to go on from."""
    decay = 0.5
    settings = small("run", f"optim.average={decay}", "run.max_steps=3", "run.eval_every=3", "run.final=last", "optim.warmup=0")
    trainer, _, probe = train.prepare(settings)
    seen = [{n: p.detach().clone() for n, p in trainer.model.named_parameters()}]
    step = trainer.average.on_step_end

    def note(*args, **kwargs):
        seen.append({n: p.detach().clone() for n, p in trainer.model.named_parameters()})
        step(*args, **kwargs)

    trainer.average.on_step_end = note
    trainer.train()
    train.finish(trainer, settings, Path(settings.run.dir), probe)
    final = load_file(Path(settings.run.dir) / "final" / "model.safetensors")
    for name in ("score.0.weight", "model.language_model.layers.0.mlp.up_proj.weight"):
        expected = seen[0][name].double()
        for n, weights in enumerate(seen[1:]):
            d = min(decay, (1 + n) / (10 + n))
            expected = d * expected + (1 - d) * weights[name].double()
        torch.testing.assert_close(final[name].double(), expected, rtol=0, atol=1e-6)
        assert not torch.equal(final[name], seen[-1][name])
    stored = load_file(Path(settings.run.dir) / "checkpoints" / "checkpoint-3" / "model.safetensors")
    assert [name for name in final if not torch.equal(final[name], stored[name])] == []
