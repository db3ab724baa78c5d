"""Which backbones are taken, which are refused and why, and the dtypes of the model around them."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, LlamaConfig, Qwen2Config
from twin_folders import CREATE, SEEING

from basereward.attention.door import TREE_ATTENTION, VISION_ATTENTION
from basereward.backbone import check_family, load_backbone
from basereward.backbones.find import families
from basereward.errors import CheckpointError, ConfigError
from basereward.model import RewardModel

LINEAR = {"_target_": "basereward.heads.linear.LinearHead"}
MLP = {"_target_": "basereward.heads.mlp.MLPHead"}


def config_of(tiny_folder):
    return load_backbone(tiny_folder).config


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(tiny_folder, tmp_path / "backbone")


def edit_config(folder, change) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config.get("text_config", config))
    path.write_text(json.dumps(config), encoding="utf-8")


def test_a_sliding_window_is_refused(folder):
    edit_config(folder, lambda text: text.update(use_sliding_window=True))
    with pytest.raises(ConfigError, match="use_sliding_window"):
        load_backbone(folder)


def test_a_layer_with_a_window_is_refused(folder):
    """Also where use_sliding_window is false: the layer types are what transformers goes by."""
    edit_config(folder, lambda text: text.update(layer_types=["full_attention", "sliding_attention", "full_attention"]))
    with pytest.raises(ConfigError, match="layer_types"):
        load_backbone(folder)


def test_frequencies_that_depend_on_the_row_are_refused(tiny_folder):
    config = config_of(tiny_folder)
    config.get_text_config().rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e6, "factor": 2.0}
    with pytest.raises(ConfigError, match="rope_type='dynamic'"):
        check_family(config)


def test_another_family_is_refused_with_near_matches(tmp_path):
    LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"'llama'.*known: internvl, qwen2, qwen2_5_vl, qwen2_vl, qwen3, qwen3_vl"):
        load_backbone(tmp_path)
    config = Qwen2Config()
    config.model_type = "qwen25_vl"
    with pytest.raises(ConfigError, match="did you mean 'qwen2_5_vl'"):
        check_family(config)


def test_every_family_has_a_tiny_member(twin):
    """So that a new file in backbones/ cannot stay untested."""
    assert {config_of(twin(name)).model_type for name in CREATE} == set(families())


@pytest.mark.parametrize("tiny_folder", ["tiny_internvl"], indirect=True)
def test_an_internvl_on_another_language_model_is_refused(tiny_folder):
    config = config_of(tiny_folder)
    config.text_config = LlamaConfig()
    with pytest.raises(ConfigError, match="on 'llama'"):
        check_family(config)


@pytest.mark.parametrize("tiny_folder", ["tiny_internvl"], indirect=True)
def test_an_internvl_that_contradicts_itself_is_refused(tiny_folder):
    config = config_of(tiny_folder)
    config.image_seq_length = 256
    with pytest.raises(ConfigError, match="image_seq_length=4"):
        check_family(config)


def test_missing_weights_are_refused_not_made_up(folder):
    edit_config(folder, lambda text: text.update(num_hidden_layers=4, layer_types=["full_attention"] * 4))
    with pytest.raises(CheckpointError, match=r"missing.*layers\.3"):
        load_backbone(folder)


def test_a_folder_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        load_backbone(tmp_path / "nowhere")


def test_a_backbone_is_no_reward_model(tiny_folder):
    with pytest.raises(CheckpointError, match="reward_head"):
        RewardModel(load_backbone(tiny_folder).config)


def test_the_language_model_uses_tree_attention(model):
    language_model = getattr(model.model, "language_model", model.model)
    assert language_model.config._attn_implementation == TREE_ATTENTION


@pytest.mark.parametrize("tiny_folder", SEEING, indirect=True)
def test_a_tower_with_windows_computes_them_together_and_one_with_tiles_keeps_its_own(model):
    windows = getattr(model.model, "visual", None)
    tower = windows or model.model.vision_tower
    assert tower.config._attn_implementation == (VISION_ATTENTION if windows is not None else "sdpa")


def test_weights_are_named_for_other_tools(tiny_folder):
    model = RewardModel.from_backbone(load_backbone(tiny_folder), LINEAR, seed=0)
    names = set(model.state_dict())
    assert {name for name in names if not name.startswith("model.")} == {"score.weight"}
    assert model.score.weight.shape == (1, 128)


def test_the_seed_decides_the_head(tiny_folder):
    heads = [RewardModel.from_backbone(load_backbone(tiny_folder), LINEAR, seed=seed).score.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_rewards_are_float32_over_a_bf16_backbone(tiny_folder, model, pack, cases):
    """Within 0.1 of float32, and not rounded to bfloat16."""
    low = RewardModel.from_backbone(load_backbone(tiny_folder, dtype=torch.bfloat16), MLP, seed=7)
    assert {p.dtype for p in low.score.parameters()} == {torch.float32}
    with torch.no_grad():
        found, expected = low(pack(cases)), model(pack(cases))
    assert found.dtype == torch.float32 and (found - expected).abs().max() < 0.1
    assert not torch.equal(found, found.bfloat16().float())


def test_rewards_are_float32_under_autocast(model, pack, cases):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(pack(cases))
    assert found.dtype == torch.float32
    with torch.no_grad():
        assert (found - model(pack(cases))).abs().max() < 0.1


def test_the_backbone_of_a_published_form_loads_without_its_language_model_head(tiny_folder, tmp_path):
    """Published folders hold the generating model, with a head and its own names for the weights."""
    config = AutoConfig.from_pretrained(tiny_folder)
    kind = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    whole = kind.from_config(config)
    whole.save_pretrained(tmp_path)
    expected, found = whole.model.state_dict(), load_backbone(tmp_path).state_dict()
    assert expected.keys() == found.keys() and all(torch.equal(expected[name], found[name]) for name in expected)
