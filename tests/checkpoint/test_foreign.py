"""Reward models of other toolkits give the rewards that plain transformers gives, and what is no such model is refused."""

from __future__ import annotations

import functools
import json
import logging
import pickle
import shutil
from pathlib import Path

import foreign_folders
import pytest
import torch
from foreign_folders import BIAS, FORMS, Foreign
from safetensors.torch import load_file, save_file
from twin_folders import CREATE, TEXT_ONLY

from basereward import checkpoint
from basereward.errors import CheckpointError
from basereward.scorer import load

WEIGHT, V_BIAS = "v_head.summary.weight", "v_head.summary.bias"


@pytest.fixture(scope="module")
def foreign(twin, tmp_path_factory):
    """A tiny backbone's name and a form -> the folder with its reference; not to be written to."""

    @functools.cache
    def make(name: str, form: str) -> Foreign:
        return foreign_folders.build(twin(name), name, form, tmp_path_factory.mktemp("foreign") / "model")

    return make


@pytest.fixture
def folder(foreign, tmp_path) -> Path:
    """A text-only folder of TRL's, with ``v_head`` among the weights, to be written to."""
    return Path(shutil.copytree(foreign("tiny_qwen2_5", "v_head").folder, tmp_path / "copy"))


def edit(folder: Path, *drop: str, **add: torch.Tensor) -> None:
    """Tensors out of the weights and into them; ``__`` stands for a dot."""
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: tensor for name, tensor in tensors.items() if name not in drop}
    tensors |= {name.replace("__", "."): tensor for name, tensor in add.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CREATE)
def test_rewards_are_those_of_plain_transformers(name, form, foreign, comparisons):
    """Largest difference seen: 1e-6, on rewards up to 2."""
    theirs = foreign(name, form)
    rm = load(theirs.folder, device="cpu")
    some = [c for c in comparisons if not (c.images and name in TEXT_ONLY)]
    for comparison, found in zip(some, rm.score_comparisons(some)):
        expected = theirs.rewards(comparison.messages, comparison.responses, comparison.images)
        assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert max(abs(found)) > 0.01


@pytest.mark.parametrize("form", FORMS)
def test_the_head_and_its_bias_are_taken_over(form, foreign):
    theirs = foreign("tiny_qwen2_5", form)
    model, _ = checkpoint.load(theirs.folder)
    assert torch.equal(model.score.weight.detach(), theirs.weight) and model.score.weight.dtype == torch.float32
    assert model.config.reward_head["output_bias"] == (theirs.bias is not None)
    if theirs.bias is not None:
        assert model.score.bias.item() == BIAS


def test_a_head_that_is_read_apart_is_not_reported_as_unexpected(foreign, monkeypatch):
    said = []
    monkeypatch.setattr("transformers.modeling_utils.logger.handlers", [handler := logging.Handler()])
    handler.emit = lambda record: said.append(record.getMessage())
    checkpoint.load(foreign("tiny_qwen2_5", "v_head").folder)
    assert said == []


def test_weights_in_several_files_are_read_by_their_index(foreign, comparisons, tmp_path):
    theirs = foreign("tiny_qwen3", "v_head")
    folder = Path(shutil.copytree(theirs.folder, tmp_path / "copy"))
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {f"model-0000{i + 1}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": {name: file for file, members in parts.items() for name in members}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    found = next(load(folder, device="cpu").score_comparisons(comparisons[:1])).tolist()
    assert found == pytest.approx(theirs.rewards(comparisons[0].messages, comparisons[0].responses), abs=1e-5)


def test_saved_again_it_is_a_model_of_ours_with_the_same_rewards(foreign, comparisons, tmp_path):
    """With its own probe, and without the language-model head."""
    theirs = foreign("tiny", "value_head.safetensors")
    model, encoder = checkpoint.load(theirs.folder)
    checkpoint.save(model, encoder, tmp_path / "ours", probe=comparisons)
    assert not any(name.startswith("lm_head") for name in load_file(tmp_path / "ours" / "model.safetensors"))
    again, _ = checkpoint.load(tmp_path / "ours")
    assert again.score.bias.item() == BIAS


def test_the_log_names_the_head_and_where_it_is_read(foreign, caplog):
    caplog.set_level("INFO", logger="basereward")
    checkpoint.load(foreign("tiny_qwen3", "value_head.safetensors").folder)
    assert "the head is v_head.summary.weight of value_head.safetensors (bias 0.75)" in caplog.text
    assert "<|im_end|>" in caplog.text and "no probe.json" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: edit(f, WEIGHT, V_BIAS), r"found a plain qwen2 backbone.*head\.init=new"),
        (lambda f: edit(f, WEIGHT), r"expected one linear head.*found \['v_head\.summary\.bias'\]"),
        (lambda f: edit(f, score__weight=torch.ones(1, 128)), r"nothing beside it.*'score\.weight', 'v_head"),
        (lambda f: edit(f, reward_mean=torch.ones(1)), r"nothing beside it.*'reward_mean'"),
        (lambda f: edit(f, WEIGHT, V_BIAS, score__0__weight=torch.ones(8, 128)), r"found \['score\.0\.weight'\].*head\.init=new"),
        (lambda f: edit(f, WEIGHT, V_BIAS, score__weight=torch.ones(3, 128)), r"classifier with 3 labels is no reward model"),
        (lambda f: edit(f, WEIGHT, v_head__summary__weight=torch.ones(1, 64)), r"shape \(1, 128\).*found \(1, 64\)"),
        (lambda f: edit(f, "model.norm.weight"), r"1 weights of the backbone are missing"),
        (lambda f: (f / "value_head.safetensors").write_bytes(b"no tensors"), r"value_head\.safetensors.*cannot be read"),
        (lambda f: (f / "model.safetensors.index.json").write_text("[]"), r"index\.json.*cannot be read"),
        (lambda f: (f / "model.safetensors").unlink(), r"expected weights in safetensors.*found none"),
    ],
)  # fmt: skip
def test_what_is_no_reward_model_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(folder)


@pytest.mark.parametrize("name", ["value_head.bin", "pytorch_model.bin"])
def test_pickled_heads_and_weights_are_refused_with_the_reason_and_not_opened(name, folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.write_text, (tmp_path / "marker", "executed")

    if name == "value_head.bin":
        edit(folder, WEIGHT, V_BIAS)
    else:
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match=rf"{name} is a pickle, which can run any program.*save_file"):
        checkpoint.load(folder)
    assert not (tmp_path / "marker").exists()
