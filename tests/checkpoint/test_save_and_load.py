"""What is loaded gives the rewards of what was saved, or it is refused with the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from part_nodes import HEADS, POOLINGS, node
from safetensors.torch import load_file, save_file

from basereward import checkpoint
from basereward.errors import BaseRewardError, CheckpointError


def all_rewards(model, encoder, comparisons) -> np.ndarray:
    return np.concatenate([checkpoint.rewards_alone(model, encoder, comparison) for comparison in comparisons])


def edit_json(file: Path, **values) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def edit_weights(folder: Path, change) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def test_a_loaded_model_gives_the_rewards_of_the_saved_one(new_model, saved, comparisons):
    """Worst seen: 6e-8 for rewards of about 0.3 (the loaded weights lie elsewhere in memory)."""
    model, encoder = new_model({"_target_": "basereward.heads.mlp.MLPHead", "activation": "tanh"})
    loaded, its_encoder = checkpoint.load(saved)
    assert np.abs(all_rewards(model, encoder, comparisons) - all_rewards(loaded, its_encoder, comparisons)).max() <= 1e-6
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values()))
    assert not loaded.training


def test_every_family_loads_with_the_rewards_it_was_saved_with(family, saved_family, twin, readable):
    """The same weights and rewards; the config stays the family's own."""
    loaded, encoder = checkpoint.load(saved_family(family))
    again = checkpoint.read_probe(saved_family(family))[1]
    assert len(again) == len(readable(family))
    for comparison, expected in again:
        assert np.abs(checkpoint.rewards_alone(loaded, encoder, comparison) - expected).max() <= 1e-6
    config = json.loads((saved_family(family) / "config.json").read_text())
    assert config["model_type"] == json.loads((twin(family) / "config.json").read_text())["model_type"]


def test_every_familys_weights_are_covered_by_its_probe(family, saved_family, tmp_path):
    """One tensor with its sign turned, of the vision tower where there is one."""
    folder = Path(shutil.copytree(saved_family(family), tmp_path / "checkpoint"))
    towers = ("model.visual.", "model.vision_tower.")
    names = sorted(load_file(folder / "model.safetensors"))
    name = next((n for n in names if n.startswith(towers) and "mlp" in n and "weight" in n), "model.layers.1.mlp.up_proj.weight")
    edit_weights(folder, lambda weights: weights[name].neg_())
    with pytest.raises(CheckpointError, match="had rewards"):
        checkpoint.load(folder)


def test_a_run_directory_stands_for_its_final_model(saved, tmp_path):
    saved.rename(tmp_path / "final")
    assert checkpoint.resolve(tmp_path) == tmp_path / "final"


def test_a_linear_head_has_the_name_that_sequence_classifiers_use(new_model, comparisons, tmp_path):
    model, encoder = new_model({"_target_": "basereward.heads.linear.LinearHead"})
    checkpoint.save(model, encoder, tmp_path / "linear", probe=comparisons)
    assert load_file(tmp_path / "linear" / "model.safetensors")["score.weight"].shape == (1, 128)


def test_a_checkpoint_names_no_code_of_its_own(saved):
    assert "auto_map" not in json.loads((saved / "config.json").read_text())


def test_bf16_keeps_the_head_in_float32_and_passes_the_probe(saved, comparisons):
    """Measured on these comparisons: rewards up to 0.7 move by up to 5.6e-3, within the tolerance of 5e-2 that bf16's 8 bits
    of mantissa need."""
    exact, encoder = checkpoint.load(saved)
    rounded, _ = checkpoint.load(saved, dtype=torch.bfloat16)
    assert {p.dtype for p in rounded.model.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in rounded.score.parameters()} == {torch.float32}
    difference = np.abs(all_rewards(exact, encoder, comparisons) - all_rewards(rounded, encoder, comparisons)).max()
    assert 1e-5 < difference < 2e-2


def test_what_was_saved_from_bf16_loads_in_float32(saved, comparisons, tmp_path):
    """The stored rewards are then those of bf16 arithmetic: the looser of the two tolerances holds."""
    model, encoder = checkpoint.load(saved, dtype=torch.bfloat16)
    checkpoint.save(model, encoder, tmp_path / "again", probe=comparisons)
    checkpoint.load(tmp_path / "again", dtype=torch.float32)


def test_a_missing_head_is_refused(saved):
    edit_weights(saved, lambda weights: weights.pop("score.2.weight"))
    with pytest.raises(CheckpointError, match=r"missing keys: \['score.2.weight'\]"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"_target_": "basereward.heads.linear.LinearHead"}, "missing keys.*score.weight.*unexpected keys.*score.0.bias"),
        ({"_target_": "basereward.heads.mlp.MLPHead", "width": 64}, "mismatched keys.*score.0"),
        ({"_target_": "basereward.heads.mlp.MLPHead", "num_layers": 3}, "missing keys"),
        ({"_target_": "basereward.heads.mlp.MLPHead", "activation": "relu"}, "had rewards"),
        ({"_target_": "basereward.heads.mlp.Other"}, "has no 'Other'"),
    ],
)
def test_a_foreign_head_is_refused(saved, head, message):
    edit_json(saved / "config.json", reward_head=head)
    with pytest.raises(BaseRewardError, match=message):
        checkpoint.load(saved)


def test_a_head_of_another_shape_is_refused(saved):
    edit_weights(saved, lambda weights: weights.update({"score.2.weight": torch.zeros(1, 64)}))
    with pytest.raises(CheckpointError, match="mismatched keys.*score.2.weight"):
        checkpoint.load(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_head_that_is_not_finite_is_refused_with_and_without_a_probe(saved, value):
    """One of its weights is enough; a folder of another toolkit has no probe that would notice."""
    edit_weights(saved, lambda weights: weights["score.2.weight"][0, 3].fill_(value))
    with pytest.raises(CheckpointError, match=r"expected finite weights, found nan or inf in score\.2\.weight"):
        checkpoint.load(saved)
    (saved / "probe.json").unlink()
    with pytest.raises(CheckpointError, match="expected finite weights"):
        checkpoint.load(saved)


def test_rewards_that_are_not_finite_are_no_probe(saved, new_model, comparisons, tmp_path):
    """Neither one that was stored, whatever the weights give now, nor one to write."""
    probe = json.loads((saved / "probe.json").read_text())
    probe["comparisons"][0]["rewards"][0] = float("nan")
    edit_json(saved / "probe.json", **probe)
    with pytest.raises(CheckpointError, match=r"expected finite rewards of comparison 'row-1', found \[nan"):
        checkpoint.load(saved)
    model, encoder = new_model(node("head", "linear"))
    model.model.get_input_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match=r"'row-1': expected finite rewards, found \[nan, nan\].*nothing was written"):
        checkpoint.save(model, encoder, tmp_path / "broken", probe=comparisons)
    assert not (tmp_path / "broken").exists()


@pytest.fixture
def pooled(new_model, comparisons, tmp_path) -> Path:
    """A checkpoint with attention pooling and length normalisation."""
    model, encoder = new_model(node("head", "gated"), pooling=node("pooling", "attention"), length_norm=True)
    model.pooling.query.data.normal_(generator=torch.Generator().manual_seed(0))
    checkpoint.save(model, encoder, tmp_path / "pooled", probe=comparisons)
    return tmp_path / "pooled"


def test_pooling_and_length_normalisation_are_part_of_the_checkpoint(pooled, saved):
    loaded, _ = checkpoint.load(pooled)
    assert (type(loaded.pooling).__name__, loaded.length_norm) == ("AttentionOverResponse", True)
    assert load_file(pooled / "model.safetensors")["pooling.query"].dtype == torch.float32
    rounded, _ = checkpoint.load(pooled, dtype=torch.bfloat16)
    assert rounded.pooling.query.dtype == torch.float32 and torch.equal(rounded.pooling.query, loaded.pooling.query)
    plain, _ = checkpoint.load(saved)
    assert (type(plain.pooling).__name__, plain.length_norm) == ("LastToken", False)


@pytest.mark.parametrize(("head", "pooling"), [(head, pooling) for head in HEADS for pooling in POOLINGS])
def test_every_head_and_pooling_comes_back_exactly(head, pooling, new_model, comparisons, tmp_path):
    model, encoder = new_model(node("head", head), pooling=node("pooling", pooling), length_norm=True)
    for parameter in model.pooling.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(0))
    checkpoint.save(model, encoder, tmp_path / "saved", probe=comparisons[:1])
    loaded, its_encoder = checkpoint.load(tmp_path / "saved")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.state_dict().values()))
    assert np.abs(all_rewards(model, encoder, comparisons) - all_rewards(loaded, its_encoder, comparisons)).max() <= 1e-6


def test_a_missing_pooling_is_refused(pooled):
    edit_weights(pooled, lambda weights: weights.pop("pooling.query"))
    with pytest.raises(CheckpointError, match=r"missing keys: \['pooling.query'\]"):
        checkpoint.load(pooled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward_pooling": {"_target_": "basereward.pooling.mean.MeanOfResponse"}}, "unexpected keys.*pooling.query"),
        ({"reward_pooling": {"_target_": "basereward.pooling.mean.Mode"}}, "has no 'Mode'"),
        ({"reward_pooling": {"_target_": "subprocess.run"}}, "expected the class of a torch module"),
        ({"reward_length_norm": False}, "had rewards"),
    ],
)
def test_a_foreign_pooling_is_refused(pooled, change, message):
    edit_json(pooled / "config.json", **change)
    with pytest.raises(BaseRewardError, match=message):
        checkpoint.load(pooled)


def test_another_pooling_without_weights_is_noticed(saved):
    edit_json(saved / "config.json", reward_pooling={"_target_": "basereward.pooling.mean.MeanOfResponse"})
    with pytest.raises(CheckpointError, match="had rewards"):
        checkpoint.load(saved)


def test_a_plain_backbone_is_refused(tiny_folder):
    with pytest.raises(CheckpointError, match="found a plain qwen2_5_vl backbone"):
        checkpoint.load(tiny_folder)


@pytest.mark.parametrize(
    "name", ["score.0.weight", "model.language_model.layers.1.mlp.up_proj.weight", "model.visual.merger.mlp.0.bias"]
)
def test_one_changed_weight_is_noticed(saved, name):
    """0.05 on every entry of one of 80 tensors; the probe has pictures, so the vision tower is covered too."""
    edit_weights(saved, lambda weights: weights[name].add_(0.05))
    with pytest.raises(CheckpointError, match="had rewards"):
        checkpoint.load(saved)


def test_other_image_limits_are_noticed(saved):
    edit_json(saved / "preprocessor_config.json", size={"shortest_edge": 56 * 56 * 4, "longest_edge": 12845056})
    with pytest.raises(CheckpointError, match="image limits"):
        checkpoint.load(saved)


def test_without_a_probe_it_says_that_nothing_was_checked(saved, caplog):
    (saved / "probe.json").unlink()
    checkpoint.load(saved)
    assert "unchecked" in caplog.text


@pytest.mark.parametrize("content", ["", "{}", '{"dtype": "torch.float32", "comparisons": [{"id": 1}]}', '{"dtype": 3'])
def test_a_broken_probe_is_named(saved, content):
    (saved / "probe.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"probe\.json"):
        checkpoint.load(saved)


@pytest.mark.parametrize("kept", [0.0, 1e-5, 0.01, 0.5, 0.999])
def test_truncated_weights_are_named(saved, kept):
    file = saved / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match="safetensors"):
        checkpoint.load(saved)


@pytest.mark.parametrize(
    ("name", "message"),
    [("model.safetensors", "model.safetensors"), ("config.json", "expected a finished run"), ("tokenizer.json", "tokenizer"),
     ("chat_template.jinja", "chat template"), ("preprocessor_config.json", "preprocessor_config.json")],
)  # fmt: skip
def test_a_missing_file_is_named(saved, name, message):
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(saved)


@pytest.mark.parametrize("path", ["no/such/folder", "/no/such", "./missing", "nothing"])
def test_a_folder_that_is_not_there_is_not_looked_for_elsewhere(path):
    with pytest.raises(CheckpointError, match="no such folder"):
        checkpoint.load(path)
