"""Trainable parts: what is frozen stays bit-identical and keeps no activations, what is trained moves, at its own rate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from basereward import train
from basereward.adapters import choose_parts
from basereward.backbone import load_backbone
from basereward.backbones.find import find_family
from basereward.compose import to_yaml
from basereward.encode import Encoder
from basereward.errors import ConfigError, MissingDependency
from basereward.memory import GIB, memory_bytes, model_without_weights
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.parts import param_groups, part_of, rate_of, recompute_activations
from basereward.records import parse_row
from basereward.run_directory import differing_keys
from basereward.settings import LoraSettings, OptimSettings, PartRates, PartsSettings

HEAD = {"_target_": "basereward.heads.mlp.MLPHead"}
FLOAT32 = OptimSettings()
LORA = LoraSettings(["language_model"], rank=4, alpha=8, lr=1e-3)
# preset or overrides -> parts of which at least one weight learns, beside the head
CHOICES = {
    "parts=frozen_vision": {"language_model", "merger"},
    "parts=language_model": {"language_model"},
    "parts=head_only": set(),
    "parts=lora": {"language_model"},
    'parts.train=["model.visual.blocks.1.*",merger]': {"vision", "merger"},
    'parts=lora parts.lora.modules=[vision,"*.layers.2.mlp.*"] parts.train=[merger]': {"language_model", "vision", "merger"},
}


@pytest.fixture
def model(tiny_folder) -> RewardModel:
    return RewardModel.from_backbone(load_backbone(tiny_folder), HEAD, seed=7)


@pytest.fixture
def pack(tiny_folder):
    from PIL import Image

    encoder = Encoder.from_folder(tiny_folder)
    row = {
        "prompt": "Which colour?",
        "images": [Image.new("RGB", (60, 90), "red")],
        "chosen": "Red.",
        "rejected": "Blue, I think.",
    }
    return collate([encoder.encode(parse_row(row, where="here"))], encoder.patch_settings)


def trained(model: RewardModel) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("choice", CHOICES)
def test_frozen_weights_stay_bit_identical_and_trained_ones_move(small, choice):
    settings = small(
        "run", *choice.split(" "), "parts.lr.head=1e-3", "optim.warmup=0", "run.max_steps=3", "optim.weight_decay=0.1"
    )
    trainer, _, _ = train.prepare(settings)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == trained(trainer.model)
    assert {part_of(name) for name in moved} == CHOICES[choice] | {"head"}
    assert {name for name in before if part_of(name) == "head"} <= moved


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": ["model.language_modle.*"]}, r"parts\.train: 'model.language_modle.\*' matches nothing; expected a part"),
        ({"train": ["visoin"]}, "did you mean 'vision'"),
        ({"train": ["*", "model.*.layers.9.*"]}, "layers.9.*matches nothing"),
        ({"train": ["score.*"]}, "the head is always trained"),
        ({"train": [], "lora": LoraSettings(["score.*"])}, r"parts\.lora\.modules: .*the head is always trained"),
        ({"train": [], "lora": LoraSettings(["*norm*"])}, r"parts\.lora\.modules: .*matches nothing"),
        ({"train": [], "lora": LoraSettings([])}, "at least one part or glob"),
        ({"train": ["merger"], "lora": LoraSettings(["merger"])}, r"merger.*parts\.train and by parts\.lora\.modules"),
        ({"train": [], "lora": LoraSettings(["*_proj"], rank=0)}, r"parts\.lora\.rank: .*at least 1, found 0"),
    ],
)
def test_an_entry_that_means_nothing_is_refused(model, parts, message):
    with pytest.raises(ConfigError, match=message):
        choose_parts(model, PartsSettings(**parts), FLOAT32)


def test_a_part_that_a_backbone_lacks_is_named(model):
    del model.model.visual
    with pytest.raises(ConfigError, match="has no vision, only language_model"):
        choose_parts(model, PartsSettings(train=["vision"]), FLOAT32)


def test_lora_never_wraps_the_head(model):
    choose_parts(model, PartsSettings(train=[], lora=LoraSettings(["*"], rank=2)), FLOAT32)
    assert not [name for name in trained(model) if ".lora_" in name and part_of(name) == "head"]
    assert all(type(layer) in (torch.nn.Linear, torch.nn.SiLU) for layer in model.score)
    assert {name for name in trained(model) if ".lora_" not in name} == {"score.0.weight", "score.0.bias", "score.2.weight"}


def require_grad(module, inputs, output):
    """What tools for adapters hang on the first layer (``enable_input_require_grads``): it makes a frozen tower keep everything."""
    return output.requires_grad_()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("entries", "keeps"), [(["*"], "tower"), (["language_model", "merger"], "merger"), ([], "nothing")])
def test_a_frozen_tower_keeps_no_activations(model, pack, entries, keeps, checkpointing):
    choose_parts(model, PartsSettings(train=entries), FLOAT32)
    if keeps != "tower":
        model.model.visual.blocks[0].register_forward_pre_hook(lambda module, inputs: inputs[0].requires_grad_())
    if checkpointing:
        recompute_activations(model)
    model.train()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        features = find_family(model.config).image_features(model.model, pack).tokens
    assert features.requires_grad == (keeps != "nothing")
    # The merger is a norm and two linear layers: a handful of tensors, where the tower's two blocks keep some fifty.
    low, high = {"tower": (20 if not checkpointing else 2, 500), "merger": (3, 16), "nothing": (0, 0)}[keeps]
    assert low <= len(saved) <= high
    assert torch.is_grad_enabled()


@pytest.mark.filterwarnings("error::FutureWarning")
def test_switching_checkpointing_on_is_not_deprecated(model):
    recompute_activations(model)
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules())


def test_autograd_is_on_again_when_a_frozen_tower_fails(model, pack):
    choose_parts(model, PartsSettings(train=["language_model"]), FLOAT32)
    model.model.visual.blocks[1].register_forward_pre_hook(lambda module, inputs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model(pack)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("entries", [["vision"], ["merger"], ["language_model"], ["model.visual.blocks.0.*"], []])
def test_gradients_of_a_part_are_those_of_full_training(model, pack, entries, checkpointing):
    """Freezing and no_grad cut no path that a gradient needs: frozen language model and merger pass it on to the tower."""
    model(pack).diff().sum().backward()
    full = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    choose_parts(model, PartsSettings(train=entries), FLOAT32)
    if checkpointing:
        recompute_activations(model)
    model.train()
    model(pack).diff().sum().backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert found.keys() == trained(model)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, full[name], rtol=1e-4, atol=1e-6)


def test_every_part_has_its_rate_and_vectors_do_not_decay(model):
    parts = PartsSettings(lr=PartRates(head=1e-2, merger=2e-2, vision=3e-2))
    optim = OptimSettings(lr=4e-2, weight_decay=0.1)
    choose_parts(model, parts, optim)
    groups = param_groups(model, parts, optim)
    by_id = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(by_id) == sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    rates = {"head": 1e-2, "merger": 2e-2, "vision": 3e-2, "language_model": 4e-2}
    for name, parameter in model.named_parameters():
        is_plain = name.endswith("bias") or re.search(r"norm|ln_q", name)
        assert by_id[id(parameter)] == (rates[part_of(name)], 0.0 if is_plain else 0.1), name
    assert groups[0]["part"] == "language_model" and groups[-1]["part"] == "head"


def test_a_rate_that_nothing_uses_is_refused(model):
    parts = PartsSettings(train=["language_model"], lr=PartRates(vision=1e-6))
    choose_parts(model, parts, FLOAT32)
    with pytest.raises(ConfigError, match=r"parts\.lr\.vision: expected null"):
        param_groups(model, parts, FLOAT32)


def test_the_rate_of_adapters():
    parts = PartsSettings(train=["merger"], lora=LORA)
    assert rate_of("model.language_model.layers.0.mlp.up_proj.lora_A.default.weight", parts, FLOAT32) == 1e-3
    assert rate_of("model.visual.merger.mlp.0.weight", parts, FLOAT32) == rate_of("score.weight", parts, FLOAT32) == 3e-6
    parts.lr.language_model = 5e-4
    assert rate_of("model.language_model.layers.0.mlp.up_proj.lora_A.default.weight", parts, FLOAT32) == 5e-4


def test_rates_follow_one_schedule_and_are_logged(small):
    settings = small("run", "parts.lr.head=2e-3", "optim.lr=1e-3", "run.log_every=1", "run.max_steps=4")
    trainer, _, _ = train.prepare(settings)
    trainer.train()
    logged = [row for row in trainer.state.log_history if "loss" in row]
    assert logged[0]["learning_rate/head"] == pytest.approx(2 * logged[0]["learning_rate/language_model"]) != 0
    assert logged[-1]["learning_rate/head"] < logged[1]["learning_rate/head"]


@pytest.mark.parametrize("precision", ["float32", "bf16", "bf16_weights"])
def test_dtypes(model, precision):
    optim = OptimSettings(precision=precision)
    choose_parts(model, PartsSettings(train=["language_model"]), optim)
    dtypes = {}
    for name, parameter in model.named_parameters():
        dtypes.setdefault(part_of(name), set()).add(parameter.dtype)
    frozen = {"float32": torch.float32}.get(precision, torch.bfloat16)
    weights = torch.bfloat16 if precision == "bf16_weights" else torch.float32
    assert dtypes == {"head": {torch.float32}, "language_model": {weights}, "vision": {frozen}, "merger": {frozen}}


REFUSED = {
    ("optim=adamw", "optim.precision=bf16_weights"): "plain AdamW on bfloat16 weights is refused.*adamw_stochastic",
    ("optim=adamw_8bit", "optim.precision=bf16_weights"): "is refused",
    ("optim=adamw_kahan", "optim.precision=bf16"): "this optimizer is for bfloat16 weights",
    ("optim.average=1",): "optim.average",
    ("parts.frozen_dtype=bfloat16",): "optim.precision=bf16",
    ("parts.frozen_dtype=int8",): "float32 or bfloat16",
    ("parts.quantize=nf4",): "parts=qlora",
    ("parts=qlora", "optim.precision=float32"): "optim.precision=bf16",
    ("parts.lr.head=0",): r"parts\.lr\.head",
    ("parts=lora", "parts.lr.vision=1e-5"): r"parts\.lr\.vision: expected null",
    ("parts.train=[visoin]",): "did you mean 'vision'",
    ("optim.algorithm._target_=torch.optim.SGD",): "basereward.optimizers",
    ("compute.attention=varlne",): "did you mean 'varlen'",
    ("compute.attention=varlen",): r"compute\.attention: varlen computes in bfloat16; add optim\.precision=bf16",
    ("compute.liger=yess",): r"compute\.liger: expected true, false or auto, found 'yess'",
    ("backbone.gradient_checkpointing=-1",): r"backbone\.gradient_checkpointing: expected 0 or above",
}


@pytest.mark.parametrize("overrides", REFUSED, ids=" ".join)
def test_what_does_not_go_together_is_refused_by_the_plan(small, overrides):
    with pytest.raises(ConfigError, match=REFUSED[overrides]):
        train.plan(small("never", *overrides))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with CUDA has it")
def test_the_plan_says_what_this_machine_lacks_and_a_run_is_refused(small):
    settings = small("never", "compute.attention=varlen", "optim.precision=bf16")
    assert "not on this machine: compute.attention: varlen needs a CUDA device" in train.plan(settings)
    with pytest.raises(MissingDependency, match=r"compute\.attention: varlen needs a CUDA device"):
        train.run(settings)


def test_how_a_run_computes_may_change_when_it_goes_on(small, tmp_path):
    """Attention, kernels and recomputed layers: the numbers are the same, so the config counts as the same."""
    then = small("run")
    (tmp_path / "config.yaml").write_text(to_yaml(then))
    ways = ("compute.attention=sdpa", "compute.liger=false", "compute.compile=true", "backbone.gradient_checkpointing=1")
    assert differing_keys(tmp_path, small("run", *ways)) == []
    assert [key for key, *_ in differing_keys(tmp_path, small("run", *ways, "optim.lr=0.5"))] == ["optim.lr"]


def test_the_place_of_a_run_is_no_part_of_its_config(small, tmp_path):
    """Its own backbone lies below it; another one has a place that counts."""
    (tmp_path / "config.yaml").write_text(to_yaml(small("run")))
    assert differing_keys(tmp_path, small("moved")) == []
    other = f"backbone.path={tmp_path / 'run/other'}"
    assert [key for key, *_ in differing_keys(tmp_path, small("run", other))] == ["backbone.path"]
    assert [key for key, *_ in differing_keys(tmp_path, small("moved", f"backbone.path={tmp_path / 'run/backbone'}"))]


def test_the_plan_says_what_is_trained_and_what_it_costs(small):
    text = train.plan(small("never", "parts=lora", "optim.precision=bf16"))
    assert re.search(r"language_model +LoRA +float32 +393,216 +1.0e-04", text)
    assert re.search(r"vision +frozen +bfloat16 +299,328 +-", text)
    assert re.search(r"head +trained +float32 +16,640 +1.0e-04", text)
    assert "16.0 between steps" in text
    assert not Path(small("never").run.dir).exists()
    assert "it is not" in train.plan(small("never", "backbone.path=some/where", "backbone.create=null"))


@pytest.mark.parametrize(
    ("backbone", "weights", "overrides", "each", "frozen"),
    [
        ("qwen2_5_vl_7b", 7_747_169_280, ("optim.precision=bf16",), 16, 0),
        ("qwen2_5_vl_7b", 7_747_169_280, ("optim=adamw_stochastic", "optim.algorithm.moments=bfloat16"), 8, 0),
        ("qwen2_5_vl_7b", 7_747_169_280, ("optim=adamw_kahan", "optim.average=0.999"), 18, 0),
        ("qwen2_5_vl_3b", 3_754_622_976, ("optim.precision=bf16",), 16, 0),
        ("qwen2_5_vl_3b", 3_754_622_976, ("optim.precision=bf16", "parts=head_only"), 0, 2),
    ],
)
def test_memory_of_the_published_shapes(small, backbone, weights, overrides, each, frozen):
    """The published models have 8,292,166,656 and 3,754,622,976 weights, of which the 7B's language-model head has 544,997,376 (the
    3B's is its embedding). The head's own weights are float32 and take 16 bytes, 20 with an average.
    """
    settings = small("never", f"backbone={backbone}", *overrides)
    model = model_without_weights(settings)
    head = sum(p.numel() for p in model.score.parameters())
    assert sum(p.numel() for p in model.parameters()) - head == weights
    found = memory_bytes(model, settings.optim)
    copies = found.pop("bfloat16 copies in a step", 0)
    assert copies == (2 * weights if "optim.precision=bf16" in overrides and each else 0)
    assert sum(found.values()) == weights * (each + frozen) + head * (20 if "average" in found else 16)
    assert (115 < sum(found.values()) / GIB < 117) == (backbone.endswith("7b") and each == 16)


def test_four_bits_need_what_they_need(small):
    """Where bitsandbytes or CUDA is missing: the plan says so, the run refuses before anything is read."""
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    settings = small("never", "parts=qlora", "optim.precision=bf16")
    assert "not on this machine" in train.plan(settings) and "4-bit" in train.plan(settings)
    with pytest.raises(Exception, match=r"basereward\[qlora\]|CUDA"):
        train.run(settings)
    assert not Path(settings.run.dir).exists()


def test_with_a_frozen_backbone_only_the_head_keeps_anything(model, pack):
    """Also with gradient checkpointing, for which transformers would make every embedding require a gradient."""
    choose_parts(model, PartsSettings(train=[]), FLOAT32)
    recompute_activations(model)
    model.train()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        model(pack)
    assert 0 < len(saved) < 10 and all(tensor.shape[0] in (1, 2, 128) for tensor in saved)
